"""Start at any lesson, and check your work at its end.

    python3 lessons/follow.py start 7 ../lesson-7
    python3 lessons/follow.py start end ../grown
    python3 lessons/follow.py check 7

"start" makes a new folder with the toy as it is at the start of a lesson, or
at its end, before the real Nova joins it. "check" tells you whether the current
folder is what a lesson ends with and, where it is not, shows what differs.

Both work out what the toy should look like from the pages themselves: they
begin with the toy in this repository, and change it as the pages say. The tests
use the same functions, so a block on a page means one thing only.
"""
import argparse
import collections
import dataclasses
import difflib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOY = ['configure.ini', 'server.py', 'auth.py', 'routers.py', 'controllers.py',
       'requirements.txt', '.gitignore']
FILES = ['python', 'ini', 'yaml', 'text file']      # blocks that show all or part of a file
LEFT_OUT = {'venv', 'lessons', '.git', '__pycache__', '.pytest_cache'}
NOT_COMMITTED = '/venv\n/lessons\n__pycache__/\n*.sqlite\n*.pid\n*.log\n'

Numbers = collections.namedtuple('Numbers', 'files added removed')


class PageError(AssertionError):
    """A page asks for something that cannot be done."""


@dataclasses.dataclass
class Block:
    """A fenced block of a page."""

    words: str              # what follows the opening fence: "bash server", say
    text: str
    before: str = ''        # the paragraph in front of it
    headings: tuple = ()    # the headings that it stands under, from "##" down
    answer: int = 0         # the number of the <details> that it is part of
    place: str = 'a page'   # the page and the line, for messages
    output: str = ''        # the "text" block that follows, if this one is to be run

    @property
    def scopes(self):
        """Name the parts of the page, outer ones first, whose changes will be undone."""
        scopes = []
        if any('Break it' in heading for heading in self.headings):
            scopes.append(('break', self.headings))
        if 'Your turn' in self.headings:
            scopes.append(('turn', self.headings[:1]))
        if self.answer:
            scopes.append(('answer', self.answer))
        return scopes


def pages(root=ROOT):
    """Return the paths of all pages, in order."""
    return sorted(pathlib.Path(root, 'lessons').glob('[0-9][0-9]-*.md'))


def number(page):
    """Return the number of the lesson that a page holds."""
    return int(page.name[:2])


def blocks(path):
    """Yield the blocks of a page, each with the output that is shown for it."""
    runs = None             # the block before this one, if it can have an output
    for block in fenced(path):
        if block.words == 'text' and runs and runs.headings == block.headings and (
                runs.answer == block.answer):
            runs.output = block.text
            yield runs
            runs = None
            continue
        if runs:
            yield runs
        runs = block if block.words.split()[:1] == ['bash'] or block.words == 'python run' else None
        if not runs:
            yield block
    if runs:
        yield runs


def fenced(path):
    """Yield what stands between fences, one Block for each pair."""
    before = previous = ''
    headings, answers, answer, opened = (), 0, 0, None
    for line_number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        place = f'{path.name}, line {line_number}'
        if opened and line == '```':
            yield opened
            opened, before = None, ''
        elif opened:
            opened.text += line + '\n'
        elif line.startswith('```'):
            opened = Block(line[3:], '', before, headings, answer, place)
        elif line.lstrip().startswith('```'):
            raise PageError(f'{place}: a fence must begin at the left margin')
        elif found := re.match(r'(#+) (.*)', line):
            headings = headings[:max(0, len(found[1]) - 2)] + (found[2],) * (found[1] != '#')
        else:
            if line.startswith('<details'):
                answers += 1
                answer = answers
            elif line.startswith('</details>'):
                answer = 0
            before = f'{before} {line}' if previous else line or before
        previous = '' if line.startswith(('```', '#')) else line
    if opened:
        raise PageError(f'{opened.place}: this block is never closed')


def change(block, folder):
    """Change the files in folder as a block says; return whether it says anything of the kind."""
    folder = pathlib.Path(folder)
    if block.words == 'diff':
        done = git(folder, 'apply', '-', text=block.text)
        if done.returncode:
            raise PageError(f'{block.place}: the diff does not apply: {done.stdout.strip()}')
        return True
    if block.words == 'bash':
        return change_by_commands(block, folder)
    found = re.findall(r'(New file|Sections of) `([^`]+)`', block.before)
    if block.words not in FILES or not found:
        return False
    kind, name = found[-1]
    path = folder / name
    if kind == 'New file':
        if path.exists() or not path.parent.is_dir():
            reason = 'is not new' if path.exists() else 'has no folder to be in: "mkdir" comes first'
            raise PageError(f'{block.place}: {name} {reason}')
        path.write_text(block.text, encoding='utf-8')
    else:
        if not path.exists() or not block.text.startswith('['):
            reason = ('this block must begin with "[section]"' if path.exists()
                      else f'there is no {name}')
            raise PageError(f'{block.place}: {reason}')
        ini = path.read_text(encoding='utf-8')
        path.write_text(replace_sections(ini, block.text), encoding='utf-8')
    return True


def change_by_commands(block, folder):
    """Do what the lines "git mv" and "mkdir" of a bash block do to the files."""
    changed = False
    for line in block.text.splitlines():
        words = shlex.split(line) if line.startswith(('git mv ', 'mkdir ')) else []
        try:
            if words[:2] == ['git', 'mv']:
                _, _, old, new = words
                shutil.move(folder / old, folder / new)
            elif words:
                for name in words[1:]:
                    if name != '-p':
                        (folder / name).mkdir(parents='-p' in words, exist_ok='-p' in words)
        except (OSError, ValueError) as error:
            raise PageError(f'{block.place}: {line}: {error}') from error
        changed = changed or bool(words)
    return changed


def replace_sections(ini, sections):
    """Put each [section] of a text in the place of its namesake, or at the end."""
    for section in re.split(r'\n+(?=\[)', sections.rstrip('\n')):
        name = re.escape(section.partition('\n')[0])
        old = re.compile(rf'^{name}\n(?:[^\[#\n].*(?:\n|\Z))*', re.M)
        if old.search(ini):
            ini = old.sub(lambda found: section + '\n', ini, count=1)
        else:
            ini = f'{ini}\n{section}\n'
    return ini


def lasting(page):
    """Yield the blocks of a page whose changes are there to stay."""
    for block in blocks(page):
        if not block.scopes:
            yield block


def needs(page):
    """Return the oldest Python for a page that does not work on any, as (3, 11), or None.

    The lessons with the real Nova are of this kind. They come last.
    """
    text = page.read_text(encoding='utf-8')
    found = re.search(r'^\*\*Needs:\*\* Python (\d+)\.(\d+)', text, re.M)
    return found and (int(found[1]), int(found[2]))


def before(lesson, root=ROOT):
    """Return the pages before a lesson or, for "end", all that work on any Python."""
    if lesson == 'end':
        return [page for page in pages(root) if not needs(page)]
    return [page for page in pages(root) if number(page) < int(lesson)]


def state(lesson, folder, root=ROOT):
    """Write to folder the toy as it is before a lesson or, for "end", when it has grown up."""
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    for name in TOY:
        shutil.copy(pathlib.Path(root, name), folder / name)
    for page in before(lesson, root):
        for block in lasting(page):
            change(block, folder)
        prose = ' '.join(page.read_text(encoding='utf-8').split())
        for name in re.findall(r'Nothing uses `([^`]+)` any more', prose):
            (folder / name).unlink(missing_ok=True)


def after(lesson):
    """Return what names the state after a lesson: the number of the next one."""
    return int(lesson) + 1


def packages(lesson, root=ROOT):
    """Return the packages that the pages before a lesson install."""
    names = []
    for page in before(lesson, root):
        for block in lasting(page):
            lines = block.text.replace('\\\n', ' ').splitlines() if block.words == 'bash' else []
            for line in lines:
                if line.startswith('venv/bin/pip install -q ') and ' -r ' not in line:
                    names += shlex.split(line, comments=True)[3:]
    return list(dict.fromkeys(names))


def numbers(page, root=ROOT):
    """Return how many files a page changes, and how many lines it adds and removes."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        state(number(page), folder / 'old', root)
        state(after(number(page)), folder / 'new', root)
        told = git(folder, 'diff', '--no-index', '--no-ext-diff', '-M', '--numstat', 'old', 'new')
    rows = [row.split('\t') for row in told.stdout.splitlines()]
    return Numbers(len(rows), sum(int(row[0]) for row in rows), sum(int(row[1]) for row in rows))


def files(folder):
    """Return {name: text} for all files of a folder that people write themselves."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(set(names) - LEFT_OUT):
            path = pathlib.Path(place, name)
            if not re.search(r'\.(log|pid|pyc|sqlite[\w-]*)$', name):
                text = path.read_text(encoding='utf-8', errors='replace')
                found[path.relative_to(folder).as_posix()] = text
    return found


def plain(text):
    """Return a text without what does not matter: the port, line ends, blank lines at the end."""
    text = re.sub(r'\b(localhost|127\.0\.0\.1):\d+', r'\1:8000', '\n'.join(text.splitlines()))
    return re.sub(r'^port *= *\d+ *$', 'port = 8000', text, flags=re.M).rstrip() + '\n'


def differences(lesson, folder, root=ROOT):
    """Return how a folder differs from what a lesson ends with: '' if it does not."""
    with tempfile.TemporaryDirectory() as right:
        state(after(lesson), right, root)
        wanted = files(right)
    there = files(folder)
    parts = []
    for name, text in sorted(wanted.items()):
        if name not in there:
            parts.append(f'{name} is missing.\n')
        else:
            parts.extend(difflib.unified_diff(
                plain(there[name]).splitlines(True), plain(text).splitlines(True),
                f'{name} (yours)', f'{name} (at the end of lesson {lesson})'))
    return ''.join(parts)


def git(folder, *words, text=''):
    """Run git without anybody's settings, and never in a repository around the folder."""
    env = {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}
    env.update(GIT_CONFIG_NOSYSTEM='1', GIT_CONFIG_GLOBAL=os.devnull, LC_ALL='C',
               GIT_CEILING_DIRECTORIES=os.path.dirname(os.path.realpath(folder)))
    settings = ['user.name=The lessons', 'user.email=lessons@localhost', 'commit.gpgsign=false',
                f'core.excludesFile={os.devnull}']
    options = [word for setting in settings for word in ('-c', setting)]
    return subprocess.run(['git', *options, *words], cwd=folder, env=env, input=text, text=True,
                          encoding='utf-8', stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def commit(folder, message):
    """Make a repository of a folder, with all its files in the first commit."""
    for words in (['init', '-q', '-b', 'main', '--template='], ['add', '-A'],
                  ['commit', '-q', '--no-verify', '-m', message]):
        done = git(folder, *words)
        if done.returncode:
            sys.exit(f'"git {words[0]}" failed: {done.stdout.strip()}')
        if words[0] == 'init':
            (folder / '.git' / 'info').mkdir(exist_ok=True)
            (folder / '.git' / 'info' / 'exclude').write_text(NOT_COMMITTED)
    # Readers commit their own work, too, and git may not know who they are.
    if subprocess.run(['git', 'config', 'user.email'], cwd=folder, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        git(folder, 'config', 'user.name', 'A reader')
        git(folder, 'config', 'user.email', 'reader@localhost')


def install(folder, names):
    """Make the virtual environment of a folder, and install what the toy needs by then."""
    step('Making a virtual environment in venv.')
    if subprocess.run([sys.executable, '-m', 'venv', 'venv'], cwd=folder).returncode:
        sys.exit('The virtual environment could not be made. On Debian and Ubuntu, install what is'
                 ' missing with "sudo apt install python3-venv", then start again.')
    step(f'Installing {" ".join(["requirements.txt", *names])}. This may take a minute.')
    pip = ['venv/bin/pip', 'install', '-q', '-r', 'requirements.txt', *names]
    if subprocess.run(pip, cwd=folder).returncode:
        sys.exit('pip could not install the packages; its own message is above. Check that this'
                 ' machine can reach PyPI, then start again.')


def step(text):
    print(text, flush=True)


def start(lesson, folder, root=ROOT):
    """Make a new folder, ready to begin a lesson in; leave nothing behind if that fails."""
    path = pathlib.Path(folder)
    last = lesson == 'end'
    when = 'at its end' if last else f'at the start of lesson {lesson}'
    python = not last and needs(next(p for p in pages(root) if number(p) == int(lesson)))
    if python and sys.version_info < python:
        sys.exit(f'Lesson {lesson} needs Python {python[0]}.{python[1]} or newer, and this is'
                 f' {sys.version_info[0]}.{sys.version_info[1]}. Start it with another python3.')
    if not shutil.which('git'):
        sys.exit('The lessons need git, and it is not installed here. Install it, then try again.')
    if os.path.lexists(path):
        sys.exit(f'{folder} exists already, and is left as it is. Choose the name of a new folder.')
    try:
        path.mkdir()
    except OSError as error:
        sys.exit(f'{folder} cannot be made: {error.strerror}.')
    try:
        step(f'Writing the toy as it is {when}.')
        state(lesson, path, root)
        step('Linking the pages, as lessons.')
        (path / 'lessons').symlink_to(pathlib.Path(root, 'lessons').resolve())
        step('Making a first git commit.')
        commit(path, f'The toy as it is {when}')
        install(path, packages(lesson, root))
    except BaseException:
        shutil.rmtree(path)
        raise
    port = re.search(r'^port *= *(\d+)', (path / 'configure.ini').read_text(), re.M)
    page = 'README.md' if last else next(p.name for p in pages(root) if number(p) == int(lesson))
    step(f"""
{folder} is ready. In the first terminal, for the server:

cd {shlex.quote(folder)}
venv/bin/python server.py

In the second terminal, for everything else:

cd {shlex.quote(folder)}
T='X-Auth-Token: open-sesame'
U=localhost:{port[1] if port else 8000}

Then read lessons/{page}.""")


def check(lesson, folder='.', root=ROOT):
    """Say whether a folder is what a lesson ends with; return the exit status."""
    if not pathlib.Path(folder, 'configure.ini').exists():
        sys.exit('There is no configure.ini here. Run this in the folder with your work.')
    found = differences(lesson, folder, root)
    if found:
        step(f'This is not yet what lesson {lesson} ends with. Lines with "-" are yours, and those'
             f' with "+" are the lesson\'s:\n\n{found}'.rstrip())
        return 1
    following = [page.name for page in pages(root) if number(page) > int(lesson)]
    goes_on = (f'Go on with lessons/{following[0]}.' if following
               else 'That was the last lesson: well done.')
    step(f'All is as it should be at the end of lesson {lesson}. {goes_on}')
    return 0


def main(arguments=None, root=ROOT):
    """Read the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='follow.py', description='Start at any lesson, and check your work at its end.')
    commands = parser.add_subparsers(dest='command', required=True)
    starting = commands.add_parser('start', help='make a folder with the toy at a lesson\'s start')
    starting.add_argument('lesson', help='the number of the lesson, or "end"')
    starting.add_argument('folder', help='the folder to make')
    checking = commands.add_parser('check', help='compare this folder with what a lesson ends with')
    checking.add_argument('lesson', help='the number of the lesson')
    options = parser.parse_args(arguments)
    known = [str(number(page)) for page in pages(root)]
    lesson = options.lesson.lstrip('0')
    if lesson not in known and (lesson, options.command) != ('end', 'start'):
        sys.exit(f'There is no lesson {options.lesson!r}. There are {", ".join(known)}'
                 + (', and "end".' if options.command == 'start' else '.'))
    try:
        if options.command == 'check':
            return check(lesson, root=root)
        start(lesson, options.folder, root)
    except PageError as error:
        sys.exit(f'{error}. Has something in {root} been changed?')
    except KeyboardInterrupt:
        sys.exit('Stopped before the end; nothing has been left behind.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
