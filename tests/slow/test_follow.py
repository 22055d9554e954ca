"""The lesson tool, lessons/follow.py, on the two sample pages."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

import follow
import pages
import samples
import states
from support import ROOT

AREA_AND_TOOLS = ['auth.py', 'configure.ini', 'shapes.py', 'tools.py']


@pytest.fixture
def installed(monkeypatch):
    """What would have been installed, if these tests had the time."""
    names = []
    monkeypatch.setattr(follow, 'make_venv',
                        lambda folder: (folder / 'venv').symlink_to(sys.prefix))
    monkeypatch.setattr(follow, 'install', lambda folder, more: names.extend(more))
    return names


@pytest.fixture
def folder(root, tmp_path, monkeypatch):
    """The folder of a reader at page 1, with the class written."""
    return begin(root, tmp_path / 'mine', 1, monkeypatch)


def begin(root, path, place, monkeypatch):
    states.make_folder(place, path, root, 8123)
    states.set_page(path, 'end' if place == 'end' else pages.pages(root)[place - 1].stem)
    (path / 'venv').symlink_to(sys.prefix)
    if place == 1:
        states.change(pages.blocks(pages.pages(root)[0])[1], path)
        states.commit(path, 'The class')
    monkeypatch.chdir(path)
    return path


def refusal(*words, root=ROOT):
    """Return the one line with which the tool refuses something."""
    with pytest.raises(SystemExit) as stopped:
        follow.main(words, root)
    message = stopped.value.code
    assert isinstance(message, str) and '\n' not in message    # Python prints it, and exits with 1
    return message


def does(capfd, *words, root, status=0):
    """Return what the tool prints."""
    capfd.readouterr()
    assert follow.main(words, root) == status
    out, err = capfd.readouterr()
    assert err == ''
    return out


# States

def test_the_states(root, tmp_path):
    made = {}
    for place in 1, 2, 'end':
        states.make(place, tmp_path / str(place), root)
        made[place] = states.files(tmp_path / str(place))
    assert made[1] == {name: (ROOT / name).read_text() for name in states.TOY}
    assert sorted(name for name in made[2] if made[2][name] != made[1].get(name)) == AREA_AND_TOOLS
    assert 'return self.side * self.side' in made[2]['shapes.py']
    assert 'Cube' not in made[2]['shapes.py'] and 'return Square()' not in made[2]['shapes.py']
    assert made[2]['configure.ini'].endswith('port = 8000\nnew = yes\n')
    assert made[2]['auth.py'].startswith('"""The filter."""\nimport hmac\n')
    assert 'tools.py' not in made['end'] and 'TWO' not in made['end']['sub/tools.py']
    assert pages.packages(2, root) == []
    assert pages.packages('end', root) == ['PasteDeploy>=3', 'WebOb']


CODE = '''\
"""Code."""
import a
from b import (
    c)

ONE = 1
# Two.
TWO, THREE = (
    2, 3)


# A class.
@a
class First:
    """First."""

    x: int = 1

    def one(self):
        pass

    # Two.
    @c
    def two(self):
        pass


def last():
    pass
'''


@pytest.mark.parametrize('ask, text, old, new', [
    ('in place of ONE', 'ONE = 5', 'ONE = 1', 'ONE = 5'),
    ('in place of THREE', 'TWO = 2', '# Two.\nTWO, THREE = (\n    2, 3)', 'TWO = 2'),
    ('in place of last', 'def last():\n    pass\n\n\nlast()',
     '    pass\n\n\ndef last():\n    pass\n',
     '    pass\n\n\ndef last():\n    pass\n\n\nlast()\n'),
    ('in place of First.two', 'def two(self):\n    return 2',
     '    # Two.\n    @c\n    def two(self):\n        pass\n',
     '    def two(self):\n        return 2\n'),
    ('in place of First.x', '    x: int = 2', 'x: int = 1', 'x: int = 2'),
    ('after ONE', 'FOUR = 4', 'ONE = 1\n', 'ONE = 1\nFOUR = 4\n'),
    ('after ONE', 'def four():\n    pass', 'ONE = 1\n',
     'ONE = 1\n\n\ndef four():\n    pass\n\n\n'),
    ('after First.one', 'def four(self):\n    pass', '        pass\n\n    # Two.',
     '        pass\n\n    def four(self):\n        pass\n\n    # Two.'),
    ('after First', 'FOUR = 4', '        pass\n\n\ndef last',
     '        pass\n\n\nFOUR = 4\n\n\ndef last'),
    ('after last', 'def four():\n    pass', 'def last():\n    pass\n',
     'def last():\n    pass\n\n\ndef four():\n    pass\n'),
    ('before First', 'class Zero:\n    pass', '# A class.',
     'class Zero:\n    pass\n\n\n# A class.'),
    ('before First.one', '    def zero(self):\n        pass', '    def one(self)',
     '    def zero(self):\n        pass\n\n    def one(self)'),
    ('after ONE', 'def last():\n    return 1', CODE[CODE.index('ONE'):],
     'ONE = 1\n\n\ndef last():\n    return 1\n\n\n' + CODE[CODE.index('# Two'):].partition(
         '\n\n\ndef last')[0] + '\n'),
    ('the imports', 'import d', 'import a\nfrom b import (\n    c)\n', 'import d\n'),
    ('the docstring', '"""More\n\ncode."""', '"""Code."""\n', '"""More\n\ncode."""\n'),
    ('remove from First.one', '', '    def one(self):\n        pass\n\n', ''),
    ('remove from ONE THREE', '', 'ONE = 1\n# Two.\nTWO, THREE = (\n    2, 3)\n\n\n', '\n'),
    ('remove from last', '', '\n\ndef last():\n    pass\n', ''),
])
def test_an_edit(ask, text, old, new):
    what, _, symbol = ask.rpartition(' ') if 'the ' not in ask else (ask, '', '')
    if ask.startswith('remove'):
        what, text = 'remove from', ask.removeprefix('remove from ').replace(' ', '\n')
    assert CODE.count(old) == 1
    got = states.edit(CODE, text + '\n', pages.Ask(what, 'code.py', symbol))
    assert got == CODE.replace(old, new)


@pytest.mark.parametrize('what, symbol, text, message', [
    ('in place of', 'Second', 'x = 1', 'has no Second'),
    ('after', 'First.three', 'x = 1', 'has no First.three'),
    ('after', 'First.three.four', 'x = 1', 'has no First.three'),
    ('in place of', 'ONE', 'ONE = (', 'would not be Python any more'),
    ('after', 'ONE', 'TWO = (', 'not Python'),
    ('remove from', '', 'Nothing', 'has no Nothing'),
])
def test_an_edit_that_cannot_be_done(what, symbol, text, message):
    with pytest.raises(pages.PageError, match=message):
        states.edit(CODE, text + '\n', pages.Ask(what, 'code.py', symbol))
    with pytest.raises(pages.PageError, match='is not Python: line 1'):
        states.edit('x = (', text + '\n', pages.Ask('in place of', 'code.py', 'x'))


LINES = """\
def one():
    a = 1
    return a


def two():
    a = 1

    return a
"""


@pytest.mark.parametrize('ask, old, new', [
    ('in place of the line `return a` of `one`', '    a = 1\n    return a\n', '    a = 1\nNEW\n'),
    ('after the line `a = 1` of `one`', '    a = 1\n    return', '    a = 1\nNEW\n    return'),
    ('after the line `a = 1` of `two`', '    a = 1\n\n', '    a = 1\n\nNEW\n\n'),
    ('before the line `return a` of `two`', '\n\n    return', '\n\nNEW\n\n    return'),
    ('before the line `def two():`', 'def two', 'NEW\n\ndef two'),
    ('at the end of', '    a = 1\n\n    return a\n', '    a = 1\n\n    return a\n\nNEW\n'),
])
def test_an_edit_near_a_line(ask, old, new):
    before = 'At the end of `f.py`:' if ask == 'at the end of' else f'In `f.py`, {ask}:'
    asks = pages.Block('python', '', before).asks
    text = '    pass\n'
    assert LINES.count(old) == 1
    assert states.edit(LINES, text, asks) == LINES.replace(old, new.replace('NEW\n', text))


@pytest.mark.parametrize('before, message', [
    ('In `f.py`, after the line `a = 1`:', 'has 2 lines "a = 1"'),
    ('In `f.py`, after the line `b = 1` of `one`:', 'has 0 lines "b = 1"'),
    ('In `f.py`, after the line `a = 1` of `three`:', 'has no three'),
    ('In `f.py`, in place of the line `def two():`:', 'would not be Python'),
])
def test_an_edit_near_a_line_that_cannot_be_done(before, message):
    with pytest.raises(pages.PageError, match=re.escape(message)):
        states.edit(LINES, 'x = 1\n', pages.Block('python', '', before).asks)


def test_words_in_a_sentence_ask_for_nothing():
    assert pages.Block('python', '', 'The lines are at the end of `f.py`:').asks is None


@pytest.mark.parametrize('old, new, kept', [
    ('import a\nimport b\n\nb.c(a)\n', 'import a\n\nb.c(a)\n', 'import a\nimport b\n\nb.c(a)\n'),
    ('from a import b as c\n\nc()\n', '"""Doc."""\n\nc()\n',
     '"""Doc."""\nfrom a import b as c\n\nc()\n'),
    ('import a\nimport b\n\na()\n', 'import b\n\nb()\n', 'import b\n\nb()\n'),
    ('import a\n\na()\n', 'from b import a\n\na()\n', 'from b import a\n\na()\n'),
    ('import a\n\na()\n', 'def a():\n    a()\n', 'def a():\n    a()\n'),
    ('import a)\n', 'a()\n', 'a()\n'),
])
def test_imports_that_a_reader_still_needs_are_kept(old, new, kept):
    assert states.keep_imports(old, new) == kept


def test_a_section_takes_the_place_of_its_namesake():
    ini = '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 2\nz = 3\n'
    assert states.replace_sections(ini, '[b]\ny = 5\n') == (
        '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 5\n')
    assert states.replace_sections(ini, '[c]\nw = 4\n\n[a]\nx = 6\n') == (
        '# one\n[a]\nx = 6\n\n# two\n[b]\ny = 2\nz = 3\n\n[c]\nw = 4\n')


OF_NOVA = '''
In `nova-34.0.0/nova/wsgi.py`, after the line `x = 1`:

```python
y = 2
```

<details>

At the end of `nova-34.0.0/README.rst`:

```rst solution told
It has y, too.
```

</details>
'''


def test_a_page_may_change_the_source_of_nova(root, folder, capfd):
    page = root / 'lessons' / '01-area.md'
    page.write_text(samples.AREA.replace('\n## Break it', f'{OF_NOVA}\n## Break it'))
    states.make('end', root / 'end', root)
    assert not (root / 'end' / 'nova-34.0.0').exists()
    nova = folder / 'nova-34.0.0'
    (nova / 'nova').mkdir(parents=True)
    (nova / 'README.rst').write_text('Nova.\n')
    (nova / 'nova' / 'wsgi.py').write_text('x = 1\n')
    path = 'nova-34.0.0/README.rst'
    assert does(capfd, 'apply', 'told', root=root) == f'Changed: {path}\n'
    assert (folder / path).read_text() == 'Nova.\n\nIt has y, too.\n'
    assert does(capfd, 'apply', 'told', '-R', root=root) == f'Changed: {path}\n'
    assert (folder / path).read_text() == 'Nova.\n'
    states.change([block for block in pages.blocks(page) if 'y = 2' in block.text][0], folder)
    assert (nova / 'nova' / 'wsgi.py').read_text() == 'x = 1\ny = 2\n'


# start

def test_start_for_somebody_whom_git_does_not_know(root, tmp_path, monkeypatch, installed, capfd):
    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('HOME', '/nonexistent')
    monkeypatch.setenv('GIT_CONFIG_NOSYSTEM', '1')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', os.devnull)
    new = tmp_path / 'new one'
    out = does(capfd, 'start', '02', str(new), '--port', '8123', root=root)
    for line in (f"cd '{new}'", "T='X-Auth-Token: open-sesame'", 'U=localhost:8123',
                 'venv/bin/python server.py', 'auth.py         The filter.',
                 'tools.py        Tools, at localhost:8123.', 'Then read lessons/02-moved.md.'):
        assert line in out.splitlines()
    assert installed == ['-r', 'requirements.txt']
    assert (new / 'lessons' / '01-area.md').is_file()
    assert (new / '.git' / 'page').read_text() == '02-moved\n'
    for name in 'x.sqlite', 'x.pid', 'x.log', 'sub/__pycache__/x':
        (new / name).parent.mkdir(exist_ok=True, parents=True)
        (new / name).write_text('')

    def git(*words):
        return subprocess.check_output(['git', *words], cwd=new, text=True)
    assert git('status', '--porcelain') == ''
    assert git('log', '--format=%s') == 'The toy at the start of page 2\n'
    assert set(git('ls-files').split()) == set(states.files(new))
    (new / 'auth.py').write_text('')
    git('commit', '-qam', 'Mine')


def test_start_at_the_end(root, tmp_path, installed, capfd):
    out = does(capfd, 'start', 'end', str(tmp_path / 'new'), root=root)
    assert 'sub/tools.py    Tools, at localhost:8000.\n' in out
    assert out.endswith('\nThen read lessons/README.md.\n')
    assert installed == ['-r', 'requirements.txt', 'PasteDeploy>=3', 'WebOb']


def test_start_leaves_alone_what_is_there(root, tmp_path, installed):
    for name in 'folder', 'file', 'link':
        path = tmp_path / name
        path.mkdir() if name == 'folder' else (
            path.write_text('') if name == 'file' else path.symlink_to('nowhere'))
        assert 'exists already' in refusal('start', '1', str(path), root=root)
        assert os.path.lexists(path)
    assert list((tmp_path / 'folder').iterdir()) == [] == installed
    assert 'No such file' in refusal('start', '1', str(tmp_path / 'no' / 'parent'), root=root)


@pytest.mark.parametrize('error, message', [
    (SystemExit('no pip'), 'no pip'), (KeyboardInterrupt(), 'nothing has been left behind'),
    (pages.PageError('a bad page'), 'a bad page')])
def test_start_leaves_nothing_half_made(root, tmp_path, monkeypatch, error, message):
    def fail(folder):
        raise error
    monkeypatch.setattr(follow, 'make_venv', fail)
    assert message in refusal('start', '1', str(tmp_path / 'new'), root=root)
    assert not (tmp_path / 'new').exists()


def test_start_without_git(root, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert 'need git' in refusal('start', '1', str(tmp_path / 'new'), root=root)


def test_start_of_a_page_for_another_python(root, tmp_path):
    page = root / 'lessons' / '02-moved.md'
    page.write_text(page.read_text().replace('Python 3.10 or', 'Python 99.1 or'))
    message = refusal('start', '2', str(tmp_path / 'new'), root=root)
    assert 'Page 2 needs Python 99.1 or newer' in message
    message = refusal('start', 'end', str(tmp_path / 'new'), root=root)
    assert 'The end needs Python 99.1 or newer' in message


@pytest.mark.parametrize('word', ['3', '0', '-1', 'one', '', '²', '1.0'])
def test_a_page_that_is_none(root, tmp_path, word):
    message = refusal('start', '--', word, str(tmp_path / 'x'), root=root)
    assert message == f'There is no page "{word}". There are 1, 2, "real", and "end".'


@pytest.mark.parametrize('words', [
    [], ['begin'], ['start'], ['start', '1'], ['start', '1', 'x', '--port', 'x'],
    ['start', '1', 'x', '--port', '0'], ['apply', 'a', 'b'], ['check', '--all'], ['nova'],
    ['next', '2']])
def test_a_wrong_command_line(root, words):
    refusal(*words, root=root)


@pytest.mark.parametrize('words', [['next'], ['apply'], ['apply', 'tools'], ['check']])
def test_a_folder_that_is_none(root, monkeypatch, words):
    monkeypatch.chdir(root)
    assert refusal(*words, root=root) == 'Run this in a folder that "start" has made.'


@pytest.mark.parametrize('words', [['next'], ['apply'], ['apply', 'tools'], ['check']])
def test_a_folder_without_a_page(root, tmp_path, monkeypatch, words):
    folder = begin(root, tmp_path / 'mine', 'end', monkeypatch)
    assert 'at the end' in refusal(*words, root=root)
    states.set_page(folder, '07-gone')
    assert '07-gone' in refusal(*words, root=root)


# next

def test_next(root, folder, capfd, installed):
    for name in 'tools', 'area':
        follow.main(['apply', name], root)
    assert 'commit them first' in refusal('next', root=root)
    assert (folder / '.git' / 'page').read_text() == '01-area\n'
    states.commit(folder, 'Mine')
    out = does(capfd, 'next', root=root)
    assert out.startswith('The code so far:\n\nauth.py         The filter.\n')
    assert out.endswith('\n\nNow read lessons/02-moved.md.\n')
    assert (folder / '.git' / 'page').read_text() == '02-moved\n'
    assert refusal('apply', 'tools', '-R', root=root)
    assert refusal('next', root=root) == 'lessons/02-moved.md is the last page.'
    assert installed == []


def test_next_installs_what_is_missing(root, folder, installed):
    page = root / 'lessons' / '01-area.md'
    page.write_text(page.read_text() + '\n## Later\n\n```bash\n'
                    'venv/bin/pip install -q WebOb none-such\n```\n')
    follow.main(['next'], root)
    assert installed == ['WebOb', 'none-such']


# apply

def test_apply_lists_the_names(root, folder, capfd):
    assert does(capfd, 'apply', root=root) == '''\
area    shapes.py, in place of Square.area
broken  shapes.py, in place of unit
cube    shapes.py, after Square
tools   new file tools.py; the docstring auth.py; sections of configure.ini
'''
    assert refusal('apply', 'area2', root=root) == (
        'There is no block "area2": page 1 has area, broken, cube, tools.')


def test_apply_and_back(root, folder, capfd):
    before = states.files(folder)
    changed = 'Changed: auth.py, configure.ini, tools.py\n'
    assert does(capfd, 'apply', 'tools', root=root) == changed
    assert 'port = 8123' in (folder / 'configure.ini').read_text()
    assert 'localhost:8123' in (folder / 'tools.py').read_text()
    assert 'applied already' in refusal('apply', 'tools', root=root)
    assert does(capfd, 'apply', 'cube', root=root) == 'Changed: shapes.py\n'
    assert does(capfd, 'apply', 'tools', '-R', root=root) == changed
    assert does(capfd, 'apply', '-R', 'cube', root=root) == 'Changed: shapes.py\n'
    assert states.files(folder) == before
    message = refusal('apply', 'tools', '-R', root=root)
    assert message.startswith('"tools" has not been applied here')


def test_apply_to_code_that_is_other_than_the_pages(root, folder, capfd):
    (folder / 'shapes.py').write_text('class Cube:\n    pass\n\n\nclass Square:\n    # by me\n'
                                      '    def area(self):\n        pass\n')
    does(capfd, 'apply', 'area', root=root)
    does(capfd, 'apply', 'cube', root=root)
    text = (folder / 'shapes.py').read_text()
    assert text.startswith('class Square:\n    def area(self):\n        """Return')
    assert text.count('class Cube') == 1 and 'volume' in text


@pytest.mark.parametrize('code, name, message', [
    ('class Squares:\n    pass\n', 'area',
     'shapes.py has no Square.area. Nothing has been changed.'),
    ('class Square:\n    pass\n', 'area',
     'shapes.py has no Square.area. Nothing has been changed.'),
    ('class Square(:\n    pass\n', 'area', 'shapes.py is not Python: line 1'),
])
def test_apply_changes_all_or_nothing(root, folder, code, name, message):
    (folder / 'shapes.py').write_text(code)
    assert message in refusal('apply', name, root=root)
    (folder / 'configure.ini').unlink()
    (folder / 'configure.ini').mkdir()
    assert 'Run this in' in refusal('apply', 'tools', root=root)
    (folder / 'configure.ini').rmdir()
    (folder / 'configure.ini').write_text('[server:main]\nport = 8123\n')
    (folder / 'auth.py').unlink()
    before = states.files(folder)
    assert 'there is no auth.py' in refusal('apply', 'tools', root=root)
    assert states.files(folder) == before


def test_what_has_changed_since_is_not_taken_back(root, folder):
    follow.main(['apply', 'tools'], root)
    (folder / 'tools.py').write_text('# mine\n')
    message = refusal('apply', 'tools', '-R', root=root)
    assert 'tools.py: changed since "tools" was applied' in message
    assert (folder / 'tools.py').read_text() == '# mine\n'


# check

def test_check(root, folder, capfd):
    assert does(capfd, 'check', root=root, status=1) == '''\
The examples of page 1, with your code:

  not yet  Example 1. A square has an area.
  holds    Example 2. The square stays as it was.
  not yet  Example 3. Half a square is none.

Example 1 stops at this line:

    square.area()

It should give

    9

With your code, it gives

    0
'''
    shapes = folder / 'shapes.py'
    mine = 'print("debug", self.side)\n        return self.side * self.side'
    shapes.write_text(shapes.read_text().replace('return 0', mine))
    (folder / 'server.py').write_text('# not a file of this page\n')
    assert does(capfd, 'check', root=root).endswith('\n\nAll examples hold.\n')
    out = does(capfd, 'check', '--diff', root=root)
    assert '\n\nAll examples hold.\n\nLines with "-" are yours' in out
    assert '-        print("debug", self.side)\n+        """Return the area."""\n' in out
    assert 'tools.py is missing.\n' in out and 'server.py' not in out
    for name in 'area', 'tools':
        follow.main(['apply', name], root)
    out = does(capfd, 'check', '--diff', root=root)
    assert out.endswith('\n\nAll examples hold.\n\nYour files are as the page\'s own.\n')
    assert '  not yet  Task 1. A cube.\n' in does(capfd, 'check', '--turn', root=root, status=1)
    follow.main(['apply', 'cube'], root)
    assert does(capfd, 'check', '--turn', root=root) == '''\
The examples of "Your turn", with your code:

  holds    Task 1. A cube.

All examples of "Your turn" hold.
'''


@pytest.mark.parametrize('old, new, shown', [
    ('return 0', 'return 0 +', '''
    Traceback (most recent call last):
      File "shapes.py", line 9
        return 0 +
                  ^
    SyntaxError: invalid syntax
'''),
    ('return 0', 'return self.siDe', '''
    Traceback (most recent call last):
      File "shapes.py", line 9, in area
        return self.siDe
               ^^^^^^^^^
    AttributeError: 'Square' object has no attribute 'siDe'
'''),
    ('return 0', 'import json; return json.loads(0)', '''
    Traceback (most recent call last):
      File "shapes.py", line 9, in area
        import json; return json.loads(0)
                            ^^^^^^^^^^^^^
    TypeError: the JSON object must be str, bytes or bytearray, not int
'''),
    ('return 0', 'return self.area()', 'RecursionError: maximum recursion depth exceeded'),
    ('"""Shapes."""', 'import nowhere', "ModuleNotFoundError: No module named 'nowhere'"),
    ('"""Shapes."""', 'raise SystemExit', '    SystemExit\n'),
    ('return 0', 'pass', 'With your code, it gives\n\n    nothing\n'),
])
def test_how_a_mistake_is_shown(root, folder, capfd, old, new, shown):
    shapes = folder / 'shapes.py'
    shapes.write_text(shapes.read_text().replace(old, new))
    out = does(capfd, 'check', root=root, status=1)
    for line in shown.strip('\n').splitlines():
        only_marks = not set(line) - set(' ^~')     # which are not the same in each Python
        assert only_marks or line in out, out
    assert 'site-packages' not in out and 'doctest' not in out and str(folder) not in out
    assert len(out.splitlines()) < 70


def test_examples_that_never_end(root, folder, monkeypatch):
    run = subprocess.run
    monkeypatch.setattr(follow.subprocess, 'run', lambda *words, **options: run(
        *words, **{**options, 'timeout': 1}) if 'timeout' in options else run(*words, **options))
    shapes = folder / 'shapes.py'
    shapes.write_text(shapes.read_text().replace('return 0', 'while True: pass'))
    assert 'endless loop' in refusal('check', root=root)


def test_threads_do_not_hold_up_a_check(root, folder, capfd):
    shapes = folder / 'shapes.py'
    thread = 'threading.Thread(target=time.sleep, args=(600,)).start()'
    shapes.write_text(f'import threading, time\n{thread}\n{shapes.read_text()}')
    does(capfd, 'check', root=root, status=1)


def test_modules_may_have_the_names_of_the_tools(root, folder, capfd):
    for name in 'pages', 'states', 'follow', 'examples':
        (folder / f'{name}.py').write_text('HERE = 1\n')
    shapes = folder / 'shapes.py'
    shapes.write_text('import pages, states, follow, examples\n' + shapes.read_text().replace(
        'return 0', 'return self.side * self.side * examples.HERE * pages.HERE'))
    assert 'All examples hold.' in does(capfd, 'check', root=root)


def test_check_without_examples_or_python(root, tmp_path, folder, monkeypatch):
    (folder / 'venv').unlink()
    assert 'There is no venv/bin/python' in refusal('check', root=root)
    begin(root, tmp_path / 'other', 2, monkeypatch)
    assert refusal('check', root=root) == 'Page 2 has no examples.'
    assert refusal('check', '--turn', root=root) == 'Page 2 has no examples of "Your turn".'


# nova

def test_nova(cache, capfd):
    assert does(capfd, 'nova', 'nova/wsgi.py', 'Loader.load', 'ROUTES', root=ROOT) == '''\
# nova/wsgi.py: Loader.load
    # Twice.
    @staticmethod
    def load(name):
        return name

# nova/wsgi.py: ROUTES
# WSGI.
ROUTES = []
'''
    assert does(capfd, 'nova', 'nova/wsgi.py', root=ROOT) == '# nova/wsgi.py\nLoader\nmain\n'
    ini = 'etc/nova/api-paste.ini'
    assert does(capfd, 'nova', ini, root=ROOT) == f'# {ini}\ncomposite:metadata\npipeline:meta\n'
    assert does(capfd, 'nova', ini, 'composite:metadata', 'pipeline:meta', root=ROOT) == f'''\
# {ini}: [composite:metadata]
[composite:metadata]
use = egg:Paste#urlmap
/: meta

# {ini}: [pipeline:meta]
[pipeline:meta]
pipeline = cors metaapp
'''


@pytest.mark.parametrize('words, message', [
    (['nova/nowhere.py'], 'nova 34.0.0 has no file nova/nowhere.py.'),
    (['nova'], 'nova 34.0.0 has no file nova.'),
    (['neutron/wsgi.py'], 'is in no package that is known here'),
    (['nova/wsgi.py', 'Loader', 'Loader.unload'], 'nova/wsgi.py has no Loader.unload.'),
    (['etc/nova/api-paste.ini', 'meta'], 'etc/nova/api-paste.ini has no section [meta].'),
])
def test_what_nova_does_not_have(cache, capfd, words, message):
    assert message in refusal('nova', *words)
    assert capfd.readouterr().out == ''


def test_nova_without_a_network(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(follow, 'CACHE', tmp_path)
    monkeypatch.setattr(follow, 'run_quietly', lambda words: subprocess.CompletedProcess(
        words, 1, 'WARNING: Retrying\nERROR: No matching distribution found\n'))
    message = 'nova 34.0.0 could not be downloaded: ERROR: No matching distribution found'
    assert refusal('nova', 'nova/wsgi.py') == message


@pytest.mark.parametrize('path, symbol', [
    ('nova/api/openstack/wsgi.py', 'Resource.dispatch'),
    ('etc/nova/api-paste.ini', 'composite:osapi_compute'),
    ('oslo_middleware/sizelimit.py', 'RequestBodySizeLimiter'),
    ('keystonemiddleware/auth_token/__init__.py', 'AuthProtocol'),
    ('oslo_context/context.py', 'RequestContext'), ('oslo_policy/policy.py', 'Enforcer'),
    ('oslo_messaging/rpc/client.py', 'RPCClient'), ('oslo_db/api.py', 'DBAPI'),
    ('routes/mapper.py', 'Mapper'), ('webob/dec.py', 'wsgify'),
    ('paste/deploy/loadwsgi.py', 'loadapp'), ('keystoneauth1/session.py', 'Session'),
    ('openstack/connection.py', 'Connection'),
])
def test_the_real_packages(path, symbol, capfd, network, no_download):
    with no_download([path, symbol]):
        follow.main(['nova', path, symbol])
    assert capfd.readouterr().out.startswith(f'# {path}: {symbol if ":" not in symbol else "["}')


# All of it, for real

def test_a_new_folder_is_ready_to_run(root, tmp_path, network):
    if not network:
        pytest.skip('no network')

    def run(*words, where=tmp_path / 'new'):
        return subprocess.run(words, cwd=where, capture_output=True, text=True)
    script = str(root / 'lessons' / 'follow.py')
    done = run(sys.executable, script, 'start', '1', 'new', where=tmp_path)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.endswith('\nThen read lessons/01-area.md.\n')
    assert run('venv/bin/python', 'server.py', '--help').returncode == 0
    states.change(pages.blocks(pages.pages(root)[0])[1], tmp_path / 'new')
    for words in ['apply', 'tools'], ['apply', 'area'], ['check']:
        done = run(sys.executable, 'lessons/follow.py', *words)
        assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.endswith('\nAll examples hold.\n')
    again = run(sys.executable, script, 'start', '1', 'new', where=tmp_path)
    assert (again.returncode, again.stdout, again.stderr.count('\n')) == (1, '', 1)
    assert pathlib.Path(tmp_path / 'new' / 'lessons').is_symlink()
