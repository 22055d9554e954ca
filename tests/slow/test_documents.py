"""Tests of the tests: a document that is wrong must be red."""
import re

import pytest

import conditions
import samples
from documents import Reader, elided, plain
from pages import Block, PageError, fenced

ID = '55c4db64-87b7-4ddb-b46f-d268d47e6cf%s'


@pytest.fixture
def reader(checkout, tmp_path):
    reader = Reader(checkout, tmp_path)
    yield reader
    reader.close()


def block(words, text, before='', output=''):
    return Block(words, text + '\n', before, output=output)


@pytest.mark.parametrize('words, text, before, output', [
    ('bash', 'echo one', '', 'two'),
    ('bash', 'echo one', '', ''),
    ('bash', 'true', '', 'one'),
    ('bash', 'echo one >&2; echo two', '', 'two\none'),
    ('bash', 'printf one', '', 'one'),
    ('bash', 'exit', '', ''),
    ('bash', 'curl -o nothing localhost:1', '', "curl: (7) Couldn't connect to server"),
    ('bash', f'echo {ID % 1}; echo {ID % 2}', '', f'{ID % 1}\n{ID % 1}'),
    ('bash server', 'echo one', '', 'two'),
    ('bash server', 'echo one', '', ''),
    ('text log', 'one', '', ''),
    ('pycon', '>>> 1 + 1\n3', '', ''),
    ('python run', 'print(1)', '', '2'),
    ('python', 'ROUTES = {}', 'See `routers.py`:', ''),
    ('python', 'import os', 'See below:', ''),
    ('ini', '[pipeline:main]\npipeline = instance', 'See `configure.ini`:', ''),
    ('ini', 'pipeline = instance', 'Sections of `configure.ini`:', ''),
    ('python', 'pass', 'New file `auth.py`:', ''),
    ('diff', '--- a/auth.py\n+++ b/auth.py\n@@ -1,1 +1,1 @@\n-no such line\n+x', '', ''),
    ('console', '$ true', '', ''),
    ('bash', 'git log nowhere', '', ''),
])
def test_a_wrong_block_is_red(reader, words, text, before, output):
    with pytest.raises(AssertionError):
        reader.follow(block(words, text, before, output))


def test_the_terminal_remembers(reader):
    reader.follow(block('bash', "T='a b'\nmkdir new\ncd new"))
    reader.follow(block('bash', 'echo "$T"\npwd', output='a b\n/home/you/any/new'))


def test_a_server_runs_until_the_next_one(reader):
    serve = 'echo one\nvenv/bin/python -m http.server -b localhost 8000'
    one = 'one\nServing HTTP on 127.0.0.1 port 8000 (http://127.0.0.1:8000/) ...'
    reader.follow(block('bash server', serve, output=one))
    reader.follow(block('bash server 2', 'echo two; exec sleep 60', output='two'))
    reader.follow(block('bash', 'curl -sf -o /dev/null localhost:8000/auth.py'))
    line = '127.0.0.1 - - [22/Nov/2026 03:21:52] "GET /auth.py HTTP/1.1" %s -'
    reader.follow(block('text log', line % 200))
    reader.patience = 0.1
    with pytest.raises(AssertionError):
        reader.follow(block('text log', line % 403))
    assert all(terminal.runs() for terminal in reader.terminals.values())
    first = reader.terminals['server'].process
    reader.follow(block('bash server', 'echo three', output='three'))
    assert first.poll() is not None


def test_what_is_only_shown_is_kept(reader):
    reader.follow(block('bash not run', 'false'))
    assert reader.not_run == ['false']


def write_page(root, *replacements):
    """Write the first sample page with some texts replaced, and return its path."""
    page, text = root / 'lessons' / '01-area.md', samples.AREA
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    page.write_text(text)
    return page


def test_a_right_page(root, tmp_path):
    page = write_page(root)
    conditions.follow_to_the_end(page, tmp_path)
    for condition in (conditions.examples_hold_with_the_solution_alone,
                      conditions.turn_holds_with_the_answer_alone):
        condition(page, tmp_path)
    conditions.has_the_form(page)
    conditions.links_have_an_end(page)
    assert conditions.nova_commands(page) == [['nova/wsgi.py']]
    (tmp_path / 'second').mkdir()
    conditions.follow_to_the_end(root / 'lessons' / '02-moved.md', tmp_path / 'second')


APPLY_BACK = ('```bash\npython3 lessons/follow.py apply broken -R\n```\n\n'
              '```text\nChanged: shapes.py\n```\n')


@pytest.mark.parametrize('old, new, message', [
    ('start 1', 'start 2', 'does not begin with its own'),
    (APPLY_BACK, '', 'not put back'),
    ('Changed: shapes.py', 'Changed: auth.py', 'the output differs'),
    ('apply tools', 'apply tolls', 'There is no block "tolls"'),
    ('nova/wsgi.py', 'nova/wsgi.py Nonsense', 'has no Nonsense'),
    ('git diff --stat', 'git diff --stat HEAD HEAD', 'status 0'),
    ('place of `Square.area`', 'place of `Square.size`', 'shapes.py has no Square.size'),
    ('        """Return the area."""\n```\n\n## B', '        pass\n```\n\n## B', 'no such lines'),
    ("        return self.side * self.side\n```", "        return 9\n```", 'the output differs'),
    ('class Cube:\n```\n\n</details>', 'class Cuba:\n```\n\n</details>', 'the output differs'),
    ('## Break it', '```bash\necho x > new.py\n```\n\n## Break it', 'new.py: not as at the start'),
])
def test_a_wrong_page_is_red(root, tmp_path, old, new, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        conditions.follow_to_the_end(write_page(root, (old, new)), tmp_path)


@pytest.mark.parametrize('condition, old, new, message', [
    ('examples_hold_with_the_solution_alone', 'return 0', 'return self.side * self.side',
     'before the solution'),
    ('examples_hold_with_the_solution_alone', 'area()\n9', 'area()\n10', 'not yet  Example 1'),
    ('turn_holds_with_the_answer_alone', 'shapes.Cube(2).volume()\n8', '8\n8', 'without an answer'),
    ('turn_holds_with_the_answer_alone', 'self.side ** 3', 'self.side ** 2', 'not yet  Task 1'),
    ('turn_holds_with_the_answer_alone', '```python given cube', '```python not run', 'apply cube'),
])
def test_wrong_examples_are_red(root, tmp_path, condition, old, new, message):
    page = write_page(root, (old, new))
    if message == 'apply cube':
        page = write_page(root, (old, new), ('apply cube', 'apply'))
        message = 'no given block'
    with pytest.raises(AssertionError, match=message):
        getattr(conditions, condition)(page, tmp_path)


def test_wrong_solutions(root, tmp_path):
    page = write_page(root)
    (tmp_path / page.name).write_text(samples.WRONG)
    headings = conditions.headings_of_wrong(page, tmp_path)
    assert headings == ['It changes the square', 'It catches too much', 'It squares']
    for heading in headings:
        scratch = tmp_path / heading
        scratch.mkdir()
        conditions.is_stopped(page, heading, scratch, folder=tmp_path)


@pytest.mark.parametrize('old, new, message', [
    ('example 2', 'example 3', 'not yet  Example 2'),
    ('Instead of area', 'Instead of cube', 'no solution of the page'),
    ('area, stopped by example', 'area, stopped by turn', 'no answer of the page'),
    ('Instead of area', 'In place of area', 'is missing'),
    ('self.side *= self.side\n        return self.side', 'return self.side * self.side',
     'all examples hold'),
])
def test_wrong_solutions_that_are_none_are_red(root, tmp_path, old, new, message):
    page = write_page(root)
    text = samples.WRONG.partition('## It catches')[0]
    assert old in text
    (tmp_path / page.name).write_text(text.replace(old, new))
    with pytest.raises(AssertionError, match=message):
        conditions.is_stopped(page, 'It changes the square', tmp_path, folder=tmp_path)


@pytest.mark.parametrize('old, new', [
    ('>>> square.side\n3', f'>>> square.side # {90 * "x"}\n3'),
    ('>>> shapes.unit()', '>>> if 1:\n...     shapes.unit()'),
    ('>>> shapes.unit()', '\n'.join(6 * ['>>> shapes.unit()'])),
    ('Example 2.', 'Example 4.'),
    ('**Example 2. The square stays as it was.**', ''),
    ('apply tools',
     'apply tools\n```\n\nIn `f.py`, after `x`:\n\n```python given unused\nx = 1'),
    ('At least here.', 'See line 12.'),
    ('At least here.', '[Here](03-nowhere.md).'),
])
def test_a_page_without_the_form_is_red(root, old, new):
    page = write_page(root, (old, new))
    with pytest.raises(AssertionError):
        conditions.has_the_form(page)
        conditions.links_have_an_end(page)


def test_frames_may_be_left_out():
    traceback = 'Traceback (most recent call last):\n  File "x.py"\n    x()\nValueError: x\n'
    shown = 'Traceback (most recent call last):\n    ...\nValueError: x\n'
    assert elided(shown, traceback)[0] == elided(shown, traceback)[1]
    assert elided(traceback, traceback) == (traceback, traceback)
    assert elided(shown, traceback.replace('ValueError', 'OSError'))[1].endswith('\nOSError: x\n')


@pytest.mark.parametrize('text', [
    '  ```bash\n  ls\n  ```\n', '```bash\nls\n', '```\nx\n```\n', '```bash later\nls\n```\n',
    '```python given\nx\n```\n', '```python given a_b\nx\n```\n', '```python example\nx\n```\n',
    'In `f.py`:\n\n```python given a\nx\n```\n'])
def test_a_fence_that_would_be_overlooked_is_refused(tmp_path, text):
    (tmp_path / 'page.md').write_text(text)
    with pytest.raises(PageError, match='page.md, line'):
        list(fenced(tmp_path / 'page.md'))


def test_two_ids_that_should_be_one_are_red(reader):
    one, other = ID % 'b', ID % 'c'
    reader.compare(f'{one} {other} {one}', f'{other} {one} {other}')
    with pytest.raises(AssertionError, match='is two ids'):
        reader.compare(one, one)
    with pytest.raises(AssertionError, match='is also another id'):
        reader.compare(ID % 'd', one)


def test_only_what_must_differ_may_differ():
    text = 'a\r\nDate: Sun, 22 Nov 2026 03:21:47 GMT at 0x7f3 in Python/3.11.7 on :4711 in 1.2 ms'
    other = 'a\nDate: Mon, 23 Nov 2026 13:21:47 GMT at 0x8a in Python/3.12 on :8000 in 11.0 ms'
    assert plain(text, '4711') == plain(other)
    assert plain(f'/home/you/lesson-7/x req-{ID % 1}') == plain(f'/home/you/toy/x req-{ID % 2}')
    assert plain('201 Created')[0] != plain('200 OK')[0]
    assert plain('Wait 60 seconds.')[0] != plain('Wait 61 seconds.')[0]
