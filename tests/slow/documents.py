"""Read a Markdown document as a program: run its commands, compare their outputs.

A Reader has a folder, as anybody has who follows a document, and takes its fenced
blocks in order. What a block does is decided by the words behind its fence and,
for files, by the last words of the paragraph in front of it:

    ```bash            commands for the second terminal; a ```text block that follows is
                       all they print, and without one they print nothing, or are all of
                       follow.py, "git diff", "sed -n", "cat": the document need not repeat that
    ```bash server     the same for the server's terminal: what ran there is stopped with
                       Ctrl-C, and the last command stays in the foreground. With no
                       ```text, what it prints at the start is not compared.
    ```bash server 2   a further terminal, beside the first
    ```bash not run    only shown
    ```text log        the last lines that the running server has printed ("log 2" likewise)
    ```python run      a script of its own, with its output in the ```text that follows
    ```pycon           a Python session, which the next one under this heading continues
    ```python solution NAME     done where it stands
    ```python given NAME, ```pycon example, ```pycon turn
                       not done where they stand, but by follow.py
    ```python, ```ini ...
                       done, if the paragraph ends with "New file `name`:" or the like (see
                       lessons/pages.py); otherwise a quotation from the file that is named
    ```mermaid, ```text, ```text picture, ```python not run
                       only to be looked at

Shell variables and "cd" hold until the end of the document. "follow.py start" makes the
folder of a page, with a virtual environment that is there already. What is changed under
"Break it" must be undone by the document itself at the next heading. What is changed under
"Your turn", or in <details> that are no solution, is undone at their end.

Generated ids, dates, versions, addresses, durations, the port and the folder may
differ from what the document shows, but where one id stands twice in the document
it must be one id in the output too.
"""
import contextlib
import dataclasses
import difflib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import follow
import states
from pages import ROOT, TOOL, PageError, blocks, place, tool_commands

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}')
# What Python was busy with depends on its version.
RECURSION = re.compile(r'(maximum recursion depth exceeded)\s+(?:while|in)'
                       r'\s+(?:calling\s+a\s+Python\s+object|comparison)')
VOLATILE = [
    (re.compile(r'\x1b\[[\d;]*m'), ''),
    (re.compile(r'/home/you/[\w-]+'), '<folder>'),
    (re.compile(r'\breq-[0-9a-f-]{36}'), 'req-<id>'),
    (re.compile(r'\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d'), '<time>'),
    (re.compile(r'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT'), '<time>'),
    (re.compile(r'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?'), '<time>'),
    (re.compile(r'(?<=last=)\d\d:\d\d:\d\d'), '<time>'),
    (re.compile(r'\b10(\.\d+){3}\b'), '<address>'),
    (re.compile(r'Python([/ ])\d[\w.+]*'), r'Python\1<version>'),
    (re.compile(r'0x[0-9a-f]+'), '<address>'),
    (re.compile(r'\b\d+(\.\d+)? ?(ms|milliseconds)\b'), '<duration>'),
    (re.compile(r'\b\d+\.\d+ ?(s|seconds)\b|(?<=\bseconds=)\d+\.\d+'), '<duration>'),
]
SETUP = re.compile(r'(python3 -m venv venv|venv/bin/pip install -q -r requirements\.txt)'
                   r'( && |\s*\n|$)')
# A curl that writes elsewhere shows how it gets on, if nobody silences it.
METER = re.compile(r'\bcurl\b(?!.* (-\w*s\w*|--silent)\b).*(\||>| -\w*o\b|\))')
# Commands that are there to show something, which a document need not repeat.
SHOWS = re.compile(rf'({re.escape(TOOL)}|git (diff|show|log|status)\b|sed -n |cat )')
# A traceback: its first line, and its frames, which a document may show as "...".
FRAMES = re.compile(r'^(Traceback \(most recent call last\):\n)(?: .*\n)+', re.M)
END = '(end of the block)'
KEPT = ('venv', 'nova-34.0.0')      # large, and left as they are where changes are undone
SESSION = f'''
import code, sys
console = code.InteractiveConsole()
more = False
while line := sys.stdin.readline():
    if line == "{END}\\n":
        print(line, end="")
    else:
        print(("... " if more else ">>> ") + line, end="")
        more = console.push(line.rstrip())
'''


class Terminal:
    """A terminal in which a server runs, with all that it has printed in a log."""

    def __init__(self, log):
        self.log, self.process = log, None
        log.write_text('')

    def run(self, script, folder, environ):
        """Press Ctrl-C, then paste a script."""
        self.stop()
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(
                ['bash', '-c', script], cwd=folder, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=environ, start_new_session=True)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Press Ctrl-C."""
        if self.runs():
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=20)


class Reader:
    """Follow a document in folder, a copy of the repository, step by step.

    root is the repository whose pages "follow.py start" works with, venv the environment that
    the new folder gets.
    """

    patience = 20   # seconds to wait for a line in a log

    def __init__(self, folder, scratch, root=ROOT, venv=sys.prefix):
        self.folder, self.scratch = folder.resolve(), scratch.resolve()
        self.root, self.venv = root, venv
        self.home = self.folder.parent      # where the document says /home/you
        # Of four digits, as 8000, so that a Content-Length is what the document shows.
        self.port = str(next(port for port in random.sample(range(8001, 9999), 1998)
                             if not listens(port)))
        self.ids = {}               # id in the document -> id in this run
        self.not_run = []           # what is shown only
        # A checkout that comes with its venv is for machines without a network.
        self.offline = (folder / 'venv').exists()
        self.terminals = {}         # name -> Terminal
        self.shell = self.session = self.headings = None
        self.scopes = []            # to be undone: (scope, folder, its copy, its files)
        if (folder / 'configure.ini').exists():
            path = folder / 'configure.ini'
            path.write_text(self.here(path.read_text()))
        (scratch / '.curlrc').write_text('silent\nshow-error\n')
        path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
        self.environ = {**os.environ, 'PATH': path, 'CURL_HOME': str(scratch),
                        'PYTHONUNBUFFERED': '1', 'COLUMNS': '80', 'PIP_QUIET': '2',
                        'PYTHONDONTWRITEBYTECODE': '1', 'TMPDIR': str(scratch)}

    def here(self, text):
        """Turn what the document says into what holds in this run."""
        text = UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        return re.sub(r'(?<!-)\b8000\b(?!-)', self.port, text)

    def read(self, path):
        """Follow a document to its end, in new terminals; return how many blocks it has."""
        done = 0
        try:
            for block in blocks(path):
                try:
                    self.follow(block)
                except PageError:
                    raise
                except AssertionError as error:
                    raise AssertionError(f'{block.place}: {error}') from error
                done += 1
            self.leave([])
        finally:
            self.close()
        return done

    def follow(self, block):
        """Do what a block says, and raise AssertionError where it is not so."""
        self.leave(block.scopes)
        first, _, rest = block.words.partition(' ')
        if block.flag == 'solution':
            states.change(self.adapted(block), self.folder)
        elif block.flag:
            pass
        elif block.words == 'bash':
            self.type(block)
        elif block.words == 'bash not run':
            self.not_run.append(block.text.rstrip('\n'))
        elif first == 'bash':
            self.serve(block.text, block.output, rest)
        elif re.fullmatch(r'log( \d)?', rest) and first == 'text':
            self.compare_log(block.text, rest.replace('log', 'server'))
        elif block.words == 'python run':
            self.compare(block.output, self.script(block.text))
        elif block.words == 'pycon':
            self.compare(block.text, self.converse(block))
        elif block.changes_files:
            states.change(self.adapted(block), self.folder)
        elif block.words not in ('mermaid', 'text', 'text picture', 'python not run'):
            self.quotation(self.adapted(block))

    def adapted(self, block):
        """Return a block as it holds in this run."""
        return dataclasses.replace(block, text=self.here(block.text))

    def type(self, block):
        """Type commands into the second terminal, and compare what they print."""
        script = ''.join(line for line in block.text.splitlines(True)
                         if not line.startswith(f'{TOOL}start '))
        for words in tool_commands(block.text, 'start'):
            self.start(*words)
        if script and not block.output and all(
                SHOWS.match(line) for line in logical_lines(script)):
            self.succeed(script)
        else:
            self.compare(block.output, self.run(script))

    def start(self, word, name, *options):
        """Make the folder of a page, as "follow.py start" does, with a venv that is there."""
        page = follow.page_named(word, self.root)
        folder = (self.folder / name).resolve()
        folder.parent.mkdir(exist_ok=True)
        states.make_folder(place(page) if page else 'end', folder, self.root, self.port)
        states.set_page(folder, page.stem if page else 'end')
        (folder / 'venv').symlink_to(self.venv)
        if word == 'real':
            follow.make_databases(folder)

    def succeed(self, script):
        """Run commands whose output is not on the page. None may be wrong, or print nothing.

        "check" may say that examples do not hold yet.
        """
        for line in logical_lines(script):
            printed = self.run(f'{line}; echo "status $?"\n')
            allowed = '[01]' if line.startswith(f'{TOOL}check') else '0'
            right = re.search(rf'.\nstatus {allowed}$', printed.rstrip('\n'))
            assert right, f'{line}: {printed}'

    def quotation(self, block):
        """Check that a file holds the lines that a block shows of it."""
        names = [name for name in re.findall(r'`([\w./-]*\.\w+)`', block.before)
                 if (self.folder / name).is_file()]
        assert names, f'the paragraph before this block of {block.words!r} names no file'
        text = (self.folder / names[-1]).read_text()
        assert '\n' + block.text in '\n' + text, f'{names[-1]} has no such lines'

    def leave(self, scopes):
        """End the parts of a document that end before these, and begin these."""
        while self.scopes and [scope for scope, *_ in self.scopes] != scopes[:len(self.scopes)]:
            (kind, _), folder, copy, files = self.scopes.pop()
            unchanged = states.files(folder) == files
            assert unchanged or kind != 'break', 'what was broken is not put back'
            if not unchanged or self.folder != folder:
                self.stop()
                self.end_session()
                self.folder = folder
                self.restore(copy)
            shutil.rmtree(copy)
        for scope in scopes[len(self.scopes):]:
            copy = self.scratch / f'copy-{len(self.scopes)}'
            shutil.copytree(self.folder, copy, symlinks=True, ignore=shutil.ignore_patterns(*KEPT))
            self.scopes.append((scope, self.folder, copy, states.files(self.folder)))

    def restore(self, copy):
        """Make the folder what it was when it was copied."""
        for path in self.folder.iterdir():
            if path.name in KEPT:
                continue
            if path.is_symlink() or path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path)
        shutil.copytree(copy, self.folder, symlinks=True, dirs_exist_ok=True)

    def run(self, script):
        """Return what a script prints that is pasted into the second terminal."""
        for line in re.sub(r"'[^']*'", "''", script.replace('\\\n', ' ')).splitlines():
            assert not METER.search(line), f'"curl -s", or it shows its progress: {line}'
        if self.offline:
            script = SETUP.sub('', script)
        if self.shell is None:
            self.shell = subprocess.Popen(
                ['bash'], cwd=self.folder, env=self.environ, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        pasted = self.scratch / 'pasted'
        pasted.write_text(self.here(script))
        self.shell.stdin.write(f'source {pasted} < /dev/null; echo "{END} $PWD"\n')
        self.shell.stdin.flush()
        alarm = threading.Timer(600, os.killpg, (self.shell.pid, signal.SIGKILL))
        alarm.start()
        lines = []
        for line in self.shell.stdout:
            lines.append(line)
            if END in line:
                break
        alarm.cancel()
        printed, end, folder = ''.join(lines).rpartition(END)
        assert end, f'the terminal has been closed, after {"".join(lines)!r}'
        assert not printed or printed.endswith('\n'), (
            f'the prompt would stick to what is printed: {printed!r}')
        self.folder = pathlib.Path(folder.strip())
        return printed

    def script(self, text):
        """Return what a Python script prints."""
        path = self.scratch / 'script.py'
        path.write_text(self.here(text))
        done = subprocess.run(['venv/bin/python', path], cwd=self.folder, text=True, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env={**self.environ, 'PYTHONPATH': str(self.folder)})
        return done.stdout

    def converse(self, block):
        """Type the lines of a Python session, and return what the screen shows."""
        if self.session is None or self.headings != block.headings:
            self.end_session()
            self.headings = block.headings
            self.session = subprocess.Popen(
                ['venv/bin/python', '-c', SESSION], cwd=self.folder, env=self.environ, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in block.text.splitlines():
            if line.startswith(('>>>', '...')):
                self.session.stdin.write(self.here(line[4:]) + '\n')
        self.session.stdin.write(END + '\n')
        self.session.stdin.flush()
        return ''.join(iter(self.session.stdout.readline, END + '\n'))

    def end_session(self):
        if self.session:
            self.session.communicate()
            self.session = None

    def serve(self, script, expected='', name='server'):
        """Start a server, once the one before has ended, and leave it running.

        The first terminal is for the HTTP server. What runs in the others need not listen.
        """
        if name not in self.terminals:
            self.terminals[name] = Terminal(self.scratch / name)
        terminal = self.terminals[name]
        script = SETUP.sub('', script) if self.offline else script
        terminal.run(self.here(script), self.folder, self.environ)
        deadline = time.monotonic() + 120
        while name == 'server' and terminal.runs() and not listens(self.port) and not (
                expected and self.same(expected, terminal.log.read_text())):
            assert time.monotonic() < deadline, f'{script} does not listen'
            time.sleep(0.05)
        if 'gunicorn' in script:
            time.sleep(2)       # it listens before its workers can answer
        if expected:
            self.compare_log(expected, name, whole=True)
        else:
            assert terminal.runs(), f'{script} has ended: {terminal.log.read_text()}'

    def compare_log(self, expected, name='server', whole=False):
        """Compare the end of the log; a line may follow the answer it speaks of."""
        assert name in self.terminals, 'no server has been started'
        number = len(expected.splitlines())
        deadline = time.monotonic() + self.patience
        while True:
            over = time.monotonic() > deadline or not self.terminals[name].runs()
            log = self.terminals[name].log.read_text().replace(str(self.home), '/home/you')
            lines = fold(log).splitlines()
            last = '\n'.join(lines if whole else lines[-number:])
            if over or self.same(expected, last):
                break
            time.sleep(0.05)
        self.compare(expected, last)

    def stop(self):
        for terminal in self.terminals.values():
            terminal.stop()

    def close(self):
        """Close all terminals."""
        self.stop()
        self.end_session()
        if self.shell:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.shell.pid, signal.SIGKILL)
            self.shell.communicate()
            self.shell = None

    def there(self, text):
        """Turn what is printed here into what a document would show."""
        return plain(text.replace(str(self.home), '/home/you'), self.port)

    def same(self, expected, actual):
        return plain(expected)[0] == self.there(actual)[0]

    def compare(self, expected, actual):
        """Check that a command printed what the document shows."""
        expected, actual = elided(expected, actual)
        shown, ids_shown = plain(expected)
        printed, ids_printed = self.there(actual)
        assert printed == shown, '\n'.join(['the output differs:', *difflib.unified_diff(
            shown.splitlines(), printed.splitlines(), 'shown', 'printed', lineterm='')])
        for old, new in zip(ids_shown, ids_printed):
            assert self.ids.setdefault(old, new) == new, f'{old} is two ids here'
            assert list(self.ids.values()).count(new) == 1, f'{old} is also another id'


def logical_lines(script):
    """Return the lines of a script, those that go on after a backslash as one."""
    return [line for line in script.replace('\\\n', ' ').splitlines() if line.strip()]


def elided(expected, actual):
    """Return both texts, without the frames of tracebacks for which a document shows only "..."."""
    pairs = list(zip(FRAMES.finditer(expected), FRAMES.finditer(actual)))
    for shown, printed in reversed(pairs):
        if shown[0].split()[-1] == '...':
            expected = f'{expected[:shown.end(1)]}  ...\n{expected[shown.end():]}'
            actual = f'{actual[:printed.end(1)]}  ...\n{actual[printed.end():]}'
    return expected, actual


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', int(port))) == 0


def fold(text):
    """Break lines that are too long for a page, as documents show them and terminals do."""
    lines = [textwrap.wrap(line.rstrip(), 96, break_long_words=False, break_on_hyphens=False,
                           drop_whitespace=True) if len(line) > 96 else [line.rstrip()]
             for line in text.splitlines()]
    return '\n'.join(sum(lines, []))


def plain(text, port='8000'):
    """Return a text without what may differ, and the ids that stood in it."""
    text = RECURSION.sub(r'\1', text)
    text = fold(re.sub(rf'(?<![-\w]){port}(?![-\w])', '8000', text))
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return UUID.sub('<id>', text).strip('\n'), UUID.findall(text)
