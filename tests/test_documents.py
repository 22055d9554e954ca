"""Tests of the tests: a document that is wrong must be red."""
import pytest

from documents import Block, Reader, blocks, plain

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
    ('python', 'pass', 'New file `nowhere/new.py`:', ''),
    ('diff', '--- a/auth.py\n+++ b/auth.py\n@@ -1,1 +1,1 @@\n-no such line\n+x', '', ''),
    ('console', '$ true', '', ''),
    ('bash later', 'true', '', ''),
    ('', 'plain', '', ''),
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


PAGE = """\
# A page

Comment the first line, which is `{first}`:

```diff
{diff}```

### Break it

{broken}

### Your turn

```bash
head -n 1 auth.py
```

```text
# kept
```

<details>
<summary>Answer</summary>

```bash
echo lost > auth.py
mkdir lost
```

</details>

```bash
ls -d lost
head -n 1 auth.py
```

It is gone:

```text
ls: cannot access 'lost': No such file or directory
# kept
```
"""


@pytest.mark.parametrize('broken, right', [
    ('```diff\n--- a/auth.py\n+++ b/auth.py\n@@ -1,2 +1,2 @@\n-# kept\n+# broken\n {first}\n```', True),
    ('New file `broken.py`:\n\n```python\npass\n```', False),
    ('Sections of `configure.ini`:\n\n```ini\n[pipeline:main]\npipeline = x\n```', False),
])
def test_what_is_broken_and_what_is_answered_is_undone(reader, tmp_path, broken, right):
    first = (reader.folder / 'auth.py').read_text().splitlines()[0]
    diff = f'--- a/auth.py\n+++ b/auth.py\n@@ -1 +1,2 @@\n+# kept\n {first}\n'
    page = tmp_path / 'page.md'
    broken = broken.replace('{first}', first)
    page.write_text(PAGE.format(first=first, diff=diff, broken=broken))
    if right:
        assert reader.read(page) == len(list(blocks(page))) == 5
        assert (reader.folder / 'auth.py').read_text().startswith('# kept\n')
        assert (reader.folder / 'venv').is_symlink()
    else:
        with pytest.raises(AssertionError, match='page.md, line .*not put back'):
            reader.read(page)


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
