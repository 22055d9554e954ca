"""Read a Markdown document as a program: run its commands, compare its outputs.

A Reader has a folder, as a person has who follows the document, and takes its
fenced blocks in order. What a block is shows in the words behind its fence and,
for files, in the paragraph in front of it:

    ```console         "$ " commands, each followed by what it prints
    ```text log        what the running server has printed since the last look
    ```pycon           a Python session, which the next one under this heading continues
    ```diff            a change, for "git apply"
    ```ini, ```python  "New file `name`": written; "Sections of `name`": each
                       replaces its namesake; else, after "`name`", a quotation
    ```text            a picture

A server that a command starts runs until the next one is started. NAME='value'
holds for all commands after it. What is changed under a heading "Break it" is
undone at its end. All else that a block may be is an error.

Generated ids, dates, versions, addresses, the port and the folder may differ
from what the document shows, but where one id stands twice in the document it
must be one id in the output too.
"""
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}')
VOLATILE = [
    (re.compile(r'\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d'), '<time>'),
    (re.compile(r'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT'), '<time>'),
    (re.compile(r'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d'), '<time>'),
    (re.compile(r'\b10(\.\d+){3}\b'), '<address>'),
    (re.compile(r'CPython/[\d.]+'), '<version>'),
    (re.compile(r'0x[0-9a-f]+'), '<address>'),
]
SERVER = re.compile(r'venv/bin/(python server\.py|gunicorn) ?')

SETUP = 'python3 -m venv venv && venv/bin/pip install -q -r requirements.txt && '
FOLDER = '/home/you/toy-nova-api'
END = '(end of the block)'
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


class Block:
    """A fenced block: its words, its lines, and the paragraph in front of it."""

    def __init__(self, words, lines, before, heading, number):
        self.words, self.lines, self.before = words, lines, before
        self.heading, self.number = heading, number
        self.text = ''.join(line + '\n' for line in lines)

    def commands(self):
        """Yield (command, expected output) for each "$ " line."""
        parts = re.split(r'^\$ ', self.text, flags=re.M)
        assert parts[0] == '' and len(parts) > 1, 'a console block begins with "$ "'
        for part in parts[1:]:
            lines = part.splitlines()
            last = 1
            while lines[last - 1].endswith('\\') or lines[last:last + 1] and (
                    lines[last].startswith('> ')):
                last += 1
            command = [line.removeprefix('> ') for line in lines[:last]]
            yield '\n'.join(command), '\n'.join(lines[last:])


def blocks(path):
    """Yield the fenced blocks of a document."""
    before = heading = chapter = previous = ''
    opened = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if opened is not None and line == '```':
            yield Block(*opened)
            opened = None
        elif opened is not None:
            opened[1].append(line)
        elif line.startswith('```'):
            opened = (line[3:], [], before, heading, number)
        else:
            before = f'{before} {line}' if previous else line or before
            if line.startswith('## '):
                heading = chapter = line
            elif line.startswith('### '):
                heading = f'{chapter} {line}'
        previous = line
    assert opened is None, 'the last block has no end'


def replace_sections(ini, sections):
    """Put each [section] of a text in the place of its namesake, or at the end."""
    for section in re.split(r'\n+(?=\[)', sections.rstrip('\n')):
        name = re.escape(section.partition('\n')[0])
        old = re.compile(rf'^{name}\n(?:[^\[#\n].*\n)*', re.M)
        if old.search(ini):
            ini = old.sub(lambda found: section + '\n', ini, count=1)
        else:
            ini = f'{ini}\n{section}\n'
    return ini


class Reader:
    """Follow a document in folder, a copy of the repository, step by step."""

    def __init__(self, folder, scratch):
        self.folder, self.scratch = folder, scratch
        # Of four digits, as 8000, so that a Content-Length is what the document shows.
        self.port = str(next(port for port in random.sample(range(8001, 9999), 1998)
                             if not listens(port)))
        self.ids = {}               # id in the document -> id in this run
        self.not_run = []           # the commands that would run the tests
        # A checkout that comes with its venv is for machines without a network.
        self.offline = (folder / 'venv').exists()
        self.server = self.session = None
        self.log = scratch / 'log'
        ini = folder / 'configure.ini'
        ini.write_text(self.here(ini.read_text()))
        (scratch / '.curlrc').write_text('silent\nshow-error\n')
        path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
        self.environ = {**os.environ, 'PATH': path, 'CURL_HOME': str(scratch),
                        'PYTHONUNBUFFERED': '1', 'COLUMNS': '80',
                        'PIP_QUIET': '2'}

    def here(self, text):
        """Turn what the document says into what holds in this run."""
        text = UUID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        return re.sub(r'(?<!-)\b8000\b(?!-)', self.port, text)

    def follow(self, block):
        """Do what a block says, and raise AssertionError where it is not so."""
        words = block.words
        self.mind_breaks(block.heading)
        if words == 'console':
            for command, expected in block.commands():
                if command.endswith('-m pytest'):
                    self.not_run.append(command)
                    continue
                if self.offline:
                    command = command.removeprefix(SETUP)
                if SERVER.search(command):
                    self.serve(command, expected)
                elif assignment := re.fullmatch(r"(\w+)='([^']*)'", command):
                    self.environ[assignment[1]] = self.here(assignment[2])
                else:
                    self.compare(expected, self.run(command))
        elif words == 'text log':
            self.compare_log(block.text)
        elif words == 'pycon':
            self.compare(block.text, self.converse(block))
        elif words == 'diff':
            said = self.run('git apply -v -', self.here(block.text))
            assert re.fullmatch(r'(Checking patch .*\n|Applied patch .* cleanly\.\n)+', said), said
        elif words in ('python', 'ini', 'yaml'):
            self.file(block)
        else:
            assert words == 'text', f'what is a block of {words!r}?'

    def mind_breaks(self, heading):
        """Keep a copy of the folder while the document breaks something in it."""
        unbroken = self.scratch / 'unbroken'
        if 'Break it' in heading and not unbroken.exists():
            shutil.copytree(self.folder, unbroken, symlinks=True)
        elif 'Break it' not in heading and unbroken.exists():
            self.stop()
            shutil.rmtree(self.folder)
            shutil.move(unbroken, self.folder)

    def file(self, block):
        name = re.findall(r'`([\w/-]*\.\w+)`', block.before)[-1]
        path = self.folder / name
        text = self.here(block.text)
        if 'New file `' in block.before:
            assert not path.exists(), f'{name} is not new'
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif 'Sections of `' in block.before:
            path.write_text(replace_sections(path.read_text(), text))
        else:
            assert '\n' + text in '\n' + path.read_text(), f'{name} has no such lines'

    def run(self, command, text=''):
        """Return what a command prints."""
        done = subprocess.run(['bash', '-c', self.here(command)], cwd=self.folder, input=text,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, env=self.environ)
        return done.stdout

    def converse(self, block):
        """Type the lines of a Python session, and return what the screen shows."""
        if self.session is None or self.heading != block.heading:
            self.end_session()
            self.heading = block.heading
            self.session = subprocess.Popen(
                ['venv/bin/python', '-c', SESSION], cwd=self.folder, env=self.environ, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in block.lines:
            if line.startswith(('>>>', '...')):
                self.session.stdin.write(self.here(line[4:]) + '\n')
        self.session.stdin.write(END + '\n')
        self.session.stdin.flush()
        return ''.join(iter(self.session.stdout.readline, END + '\n'))

    def close(self):
        self.stop()
        self.end_session()

    def end_session(self):
        if self.session:
            self.session.communicate()
            self.session = None

    def serve(self, command, expected):
        """Start a server, once the one before has ended, and leave it running."""
        self.stop()
        with open(self.log, 'w') as log:
            self.server = subprocess.Popen(
                ['bash', '-c', self.here(command)], cwd=self.folder, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=self.environ, start_new_session=True)
        deadline = time.monotonic() + 120
        while self.server.poll() is None and not listens(self.port):
            assert time.monotonic() < deadline, f'{command} does not listen'
            time.sleep(0.05)
        if 'gunicorn' in command:
            time.sleep(2)       # it listens before its workers can answer
        self.compare_log(expected)

    def stop(self):
        """Press Ctrl-C."""
        if self.server and self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGINT)
            self.server.wait(timeout=20)

    def compare_log(self, expected):
        """Compare the end of the log; a line may follow the answer it speaks of."""
        number = len(expected.splitlines())
        for pause in [0.05] * 60 + [0]:
            time.sleep(pause)
            last = '\n'.join(self.log.read_text().splitlines()[-number:] if number else [])
            if plain(expected)[0] == plain(last.replace(str(self.folder), FOLDER), self.port)[0]:
                break
        self.compare(expected, last)

    def compare(self, expected, actual):
        """Check that a command printed what the document shows."""
        shown, ids_shown = plain(expected)
        printed, ids_printed = plain(actual.replace(str(self.folder), FOLDER), self.port)
        assert printed == shown
        for old, new in zip(ids_shown, ids_printed):
            assert self.ids.setdefault(old, new) == new, f'{old} is two ids here'
            assert list(self.ids.values()).count(new) == 1, f'{old} is also another id'


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', int(port))) == 0


def plain(text, port='8000'):
    """Return a text without what may differ, and the ids that stood in it."""
    text = re.sub(rf'(?<![-\w]){port}(?![-\w])', '8000', '\n'.join(map(str.rstrip, text.splitlines())))
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return UUID.sub('<id>', text).strip('\n'), UUID.findall(text)
