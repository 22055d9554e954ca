"""lessons/follow.py, with small pages made up for the purpose."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from documents import blocks, follow
from support import ROOT

ONE = """\
# 1. One

## The change

New file `new.py`:

```python
one = 1
two = 2
```

Sections of `configure.ini`:

```ini
[server:main]
paste.server_factory = server:server_factory
host = localhost
port = 8000
new = yes
```

## Break it

```diff
--- a/new.py
+++ b/new.py
@@ -1,2 +1,2 @@
-one = 1
+one = 11
 two = 2
```

## Your turn

<details>
<summary>Answer</summary>

```bash
mkdir answer
venv/bin/pip install -q nothing-of-the-kind
```

</details>
"""
TWO = """\
# 2. Two

```bash
mkdir sub
git mv new.py sub/moved.py
venv/bin/pip install -q 'six>=1' \\
    attrs
venv/bin/pip install -q -r requirements.txt
```

```text
some output
```

```diff
--- a/sub/moved.py
+++ b/sub/moved.py
@@ -1,2 +1,3 @@
 one = 1
 two = 2
+three = 3
```

Nothing uses
`auth.py` any more.
"""


@pytest.fixture
def root(tmp_path):
    """A small repository with two lessons."""
    root = tmp_path / 'root'
    (root / 'lessons').mkdir(parents=True)
    for name in follow.TOY:
        shutil.copy(ROOT / name, root)
    for name, text in [('01-one.md', ONE), ('02-two.md', TWO), ('README.md', '# Lessons')]:
        (root / 'lessons' / name).write_text(text)
    shutil.copy(ROOT / 'lessons' / 'follow.py', root / 'lessons')
    return root


@pytest.fixture
def installed(monkeypatch):
    """What "start" would have installed, if these tests had the time."""
    installed = []
    monkeypatch.setattr(follow, 'install', lambda folder, names: installed.append(names))
    return installed


def refusal(*arguments, root):
    with pytest.raises(SystemExit) as stopped:
        follow.main(arguments, root)
    assert isinstance(stopped.value.code, str)     # so Python prints it, and exits with 1
    return stopped.value.code


def test_the_states(root, tmp_path):
    states = {}
    for lesson in 1, 2, 'end':
        follow.state(lesson, tmp_path / str(lesson), root)
        states[lesson] = follow.files(tmp_path / str(lesson))
    assert states[1] == {name: (ROOT / name).read_text() for name in follow.TOY}
    assert states[2].pop('new.py') == 'one = 1\ntwo = 2\n'
    assert states[2].pop('configure.ini').endswith('port = 8000\nnew = yes\n')
    assert set(states[1]) - set(states[2]) == {'configure.ini'}
    assert states['end']['sub/moved.py'] == 'one = 1\ntwo = 2\nthree = 3\n'
    assert not {'new.py', 'auth.py'} & set(states['end'])
    assert not (tmp_path / '2' / 'answer').exists()


def test_a_page_that_needs_another_python(root, tmp_path, installed):
    (root / 'lessons' / '03-three.md').write_text(
        '# 3. Three\n\n**Needs:** Python 99.1 or newer\n\nNew file `three.py`:\n\n'
        '```python\npass\n```\n\n```bash\nvenv/bin/pip install -q future\n```\n')
    assert [follow.needs(page) for page in follow.pages(root)] == [None, None, (99, 1)]
    assert follow.packages('end', root) == ['six>=1', 'attrs']
    follow.state('end', tmp_path / 'end', root)
    assert not (tmp_path / 'end' / 'three.py').exists()
    assert follow.differences(3, tmp_path / 'end', root) == 'three.py is missing.\n'
    assert 'Lesson 3 needs Python 99.1 or newer, and this is' in refusal(
        'start', '3', str(tmp_path / 'new'), root=root)
    assert not (tmp_path / 'new').exists() and installed == []


def test_the_packages(root):
    assert follow.packages(2, root) == []
    assert follow.packages('end', root) == ['six>=1', 'attrs']


def test_the_numbers(root):
    one, two = follow.pages(root)
    assert follow.numbers(one, root) == (2, 3, 0)
    removed = len((ROOT / 'auth.py').read_text().splitlines())
    assert follow.numbers(two, root) == (2, 1, removed)    # a file that moves is one file


def test_a_page_that_does_not_fit_is_refused(root, tmp_path):
    (root / 'lessons' / '02-two.md').write_text(TWO.replace(' one = 1\n', ' other\n'))
    assert '02-two.md, line 15: the diff does not apply' in refusal(
        'start', 'end', str(tmp_path / 'new'), root=root)
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('text', ['  ```bash\n  ls\n  ```\n', '```bash\nls\n'])
def test_a_fence_that_would_be_overlooked_is_refused(tmp_path, text):
    (tmp_path / 'page.md').write_text(text)
    with pytest.raises(follow.PageError, match='page.md, line 1'):
        list(blocks(tmp_path / 'page.md'))


def test_a_section_takes_the_place_of_its_namesake():
    ini = '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 2\nz = 3\n'
    assert follow.replace_sections(ini, '[b]\ny = 5\n') == (
        '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 5\n')
    assert follow.replace_sections(ini, '[c]\nw = 4\n\n[a]\nx = 6\n') == (
        '# one\n[a]\nx = 6\n\n# two\n[b]\ny = 2\nz = 3\n\n[c]\nw = 4\n')


def test_start_for_somebody_whom_git_does_not_know(root, tmp_path, monkeypatch, installed, capfd):
    for name in [name for name in os.environ if name.startswith('GIT_')]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('HOME', '/nonexistent')
    monkeypatch.setenv('GIT_CONFIG_NOSYSTEM', '1')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', '/dev/null')
    new = tmp_path / 'new one'
    assert follow.main(['start', 'end', str(new)], root) == 0
    assert installed == [['six>=1', 'attrs']]
    assert (new / 'lessons' / '01-one.md').is_file()
    out = capfd.readouterr().out
    for line in (f"cd '{new}'", "T='X-Auth-Token: open-sesame'", 'U=localhost:8000',
                 'venv/bin/python server.py', 'Then read lessons/README.md.'):
        assert line in out.splitlines()
    for name in 'servers.sqlite', 'gunicorn.pid', 'sub/__pycache__/x', 'venv/x':
        (new / name).parent.mkdir(exist_ok=True)
        (new / name).write_text('')

    def git(*words):
        return subprocess.check_output(['git', *words], cwd=new, text=True)
    assert git('status', '--porcelain') == ''
    assert git('log', '--format=%s') == 'The toy as it is at its end\n'
    assert set(git('ls-files').split()) == set(follow.files(new))


def test_start_leaves_alone_what_is_there(root, tmp_path, installed):
    for name in 'folder', 'file', 'link':
        path = tmp_path / name
        path.mkdir() if name == 'folder' else (
            path.write_text('') if name == 'file' else path.symlink_to('nowhere'))
        assert 'exists already' in refusal('start', '1', str(path), root=root)
        assert os.path.lexists(path)
    assert list((tmp_path / 'folder').iterdir()) == [] == installed
    assert 'No such file' in refusal('start', '1', str(tmp_path / 'no' / 'parent'), root=root)


@pytest.mark.parametrize('error', [SystemExit('no pip'), KeyboardInterrupt()])
def test_start_leaves_nothing_half_made(root, tmp_path, monkeypatch, error):
    def fail(folder, names):
        raise error
    monkeypatch.setattr(follow, 'install', fail)
    assert refusal('start', '1', str(tmp_path / 'new'), root=root)
    assert not (tmp_path / 'new').exists()


def test_start_without_git(root, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert 'need git' in refusal('start', '1', str(tmp_path / 'new'), root=root)


@pytest.mark.parametrize('lesson', ['3', '0', '-1', 'one', '', '²'])
def test_a_lesson_that_is_none(root, tmp_path, lesson):
    assert 'There is no lesson' in refusal('check', '--', lesson, root=root)
    assert 'There is no lesson' in refusal('start', '--', lesson, str(tmp_path / 'x'), root=root)
    assert 'There is no lesson' in refusal('check', 'end', root=root)


def test_check(root, tmp_path, monkeypatch, capsys):
    def check(lesson='1'):
        status = follow.main(['check', lesson], root)
        return status, capsys.readouterr().out
    assert follow.state(2, tmp_path / 'mine', root) is None
    monkeypatch.chdir(tmp_path / 'mine')
    right = (0, 'All is as it should be at the end of lesson 1. Go on with lessons/02-two.md.\n')
    assert check() == check('01') == right
    ini = pathlib.Path('configure.ini').read_text()
    for name, text in [
            ('configure.ini', ini.replace('port = 8000', 'port = 8123')),
            ('new.py', 'one = 1\r\ntwo = 2\r\n\r\n'), ('extra.py', ''), ('servers.sqlite', '')]:
        pathlib.Path(name).write_bytes(text.encode())
    assert check() == right
    pathlib.Path('new.py').write_text('one = 1\ntwo = 3\n')
    os.unlink('auth.py')
    status, out = check()
    assert status == 1
    assert 'auth.py is missing.\n' in out
    assert '-two = 3\n+two = 2\n' in out
    follow.state('end', tmp_path / 'end', root)
    monkeypatch.chdir(tmp_path / 'end')
    shutil.copy(ROOT / 'auth.py', '.')      # may still be there, though nothing uses it
    assert check('2') == (0, 'All is as it should be at the end of lesson 2.'
                          ' That was the last lesson: well done.\n')
    monkeypatch.chdir(root / 'lessons')
    assert 'no configure.ini' in refusal('check', '1', root=root)


@pytest.mark.slow
def test_a_new_folder_is_ready_to_run(root, tmp_path, network):
    if not network:
        pytest.skip('no network')

    def run(*words):
        return subprocess.run(words, cwd=tmp_path / 'new' if words[0] != sys.executable
                              else tmp_path, capture_output=True, text=True)
    script = str(root / 'lessons' / 'follow.py')
    done = run(sys.executable, script, 'start', '1', 'new')
    assert done.returncode == 0, done.stderr
    assert re.search(r'^Then read lessons/01-one\.md\.$', done.stdout, re.M)
    assert run('venv/bin/python', 'server.py', '--help').returncode == 0
    assert run('venv/bin/python', 'lessons/follow.py', 'check', '1').returncode == 1
    again = run(sys.executable, script, 'start', '1', 'new')
    assert (again.returncode, again.stdout) == (1, '')
    assert len(again.stderr.splitlines()) == 1


def test_a_reader_whom_git_does_not_know_can_commit(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', '/nonexistent')
    monkeypatch.setenv('GIT_CONFIG_NOSYSTEM', '1')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', os.devnull)
    (tmp_path / 'file').write_text('one\n')
    follow.commit(tmp_path, 'first')
    (tmp_path / 'file').write_text('two\n')
    done = subprocess.run(['git', 'commit', '-qam', 'second'], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b'')
