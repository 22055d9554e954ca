"""What every page must fulfil. Each function raises AssertionError where a page does not."""
import functools
import glob
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest

import follow
import pages
import states
from documents import Reader

WRONG = pathlib.Path(__file__).parent / 'wrong'

# What the head of a page may need, and the file of the program.
PROGRAMS = {'RabbitMQ': '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server'}


def root_of(page):
    return page.parent.parent


@functools.cache
def texts_before(page):
    """Return the files at the start of a page. Making them takes a second or two."""
    with tempfile.TemporaryDirectory() as folder:
        states.make(pages.place(page), pathlib.Path(folder), root_of(page))
        return states.files(pathlib.Path(folder))


def make_start(page, folder):
    folder.mkdir()
    states.write(folder, texts_before(page))


def make_end(page, folder, instead=None):
    make_start(page, folder)
    states.follow_page(page, folder, instead)


# A page is followed.

def program_missing(page):
    """Return the program that the head of a page needs and this machine does not have, or None."""
    head = page.read_text(encoding='utf-8').partition('\n## ')[0]
    for name in re.findall(r'^- \*\*Needs:\*\* (\w+)', head, re.M):
        if name in PROGRAMS and not glob.glob(PROGRAMS[name]):
            return name
    return None


def follow_to_the_end(page, scratch, venv=sys.prefix):
    """Follow a page from its own start, and compare the folder with the start of the next page."""
    if missing := program_missing(page):
        pytest.skip(f'{page.name} needs {missing}, which is not installed')
    starts = [words[0] for block in pages.blocks(page) if not block.headings
              for words in pages.tool_commands(block.text, 'start')]
    assert starts[:1] == [str(pages.number(page))], 'the page does not begin with its own "start"'
    clone, temporary = scratch / 'clone', scratch / 'scratch'
    clone.mkdir()
    temporary.mkdir()
    (clone / 'lessons').symlink_to(page.parent)
    reader = Reader(clone, temporary, root_of(page), venv)
    reader.read(page)
    make_end(page, scratch / 'right')
    there, right = files_of(reader.folder), files_of(scratch / 'right')
    other = [name for name in {*there, *right} if there.get(name) != right.get(name)]
    assert not other, f'{", ".join(sorted(other))}: not as at the start of the next page'


def files_of(folder):
    return {name: follow.plain(text) for name, text in states.files(folder).items()}


# Its examples are tried.

def check(page, folder, venv, *options):
    """Run "check" in a folder with the toy; return its status and what it prints."""
    if not (folder / '.git').exists():
        (folder / '.git').mkdir()
        (folder / 'venv').symlink_to(venv)
        states.set_page(folder, page.stem)
        (folder / 'lessons').symlink_to(page.parent)
    done = subprocess.run([sys.executable, 'lessons/follow.py', 'check', *options], cwd=folder,
                          capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def examples_hold_with_the_solution_alone(page, scratch, venv=sys.prefix):
    """Check that the examples are red before the first solution, and hold at the end."""
    before, after = scratch / 'before', scratch / 'after'
    make_start(page, before)
    undo = {}
    for block in pages.lasting(page):
        if block.flag == 'solution':
            status, printed = check(page, before, venv)
            assert status == 1, 'the examples hold before the solution is there'
            break
        states.follow_block(page, block, before, undo)
    make_end(page, after)
    status, printed = check(page, after, venv)
    assert status == 0, printed
    assert printed.endswith('\nAll examples hold.\n')


def turn_holds_with_the_answer_alone(page, scratch, venv=sys.prefix):
    """Check that the examples of "Your turn" are red at first, and hold with the page's answer."""
    folder = scratch / 'turn'
    make_end(page, folder)
    status, printed = check(page, folder, venv, '--turn')
    assert status == 1, 'the examples of "Your turn" hold without an answer'
    assert names_in_turn(page), 'there is no given block with an answer under "Your turn"'
    apply_answers(page, folder, {})
    status, printed = check(page, folder, venv, '--turn')
    assert status == 0, printed
    assert printed.endswith('\nAll examples of "Your turn" hold.\n')


def apply_answers(page, folder, instead):
    """Apply all answers of "Your turn", with other blocks instead of one."""
    known = {**pages.named(page), **instead}
    for name in names_in_turn(page):
        changed = states.changes(known[name], folder)
        states.write(folder, {path: new for path, (old, new) in changed.items()})


def names_in_turn(page):
    """Return the names of what is given, or applied, under "Your turn"."""
    names = []
    for block in pages.blocks(page):
        if block.scopes and block.scopes[0][0] == 'turn':
            applied = pages.tool_commands(block.text, 'apply') if block.words == 'bash' else []
            names += [block.name] if block.flag == 'given' else [
                words[0] for words in applied if words and '-R' not in words]
    return list(dict.fromkeys(names))


# Wrong solutions are stopped.

def headings_of_wrong(page, folder=WRONG):
    """Return the headings in the file of wrong solutions for a page."""
    path = folder / page.name
    text = path.read_text(encoding='utf-8') if path.exists() else ''
    return re.findall(r'^## (.*)$', re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S), re.M)


def wrong_solution(page, heading, folder=WRONG):
    """Return the name of a solution, the kind and number of an example, and the wrong blocks."""
    path = folder / page.name
    text = path.read_text(encoding='utf-8')
    part = text.partition(f'\n## {heading}\n')[2].partition('\n## ')[0]
    said = re.search(r'Instead of `?([\w-]+)`?, stopped by (example|turn) (\d+)\.', part)
    assert said, '"Instead of NAME, stopped by example K.", or "by turn K.", is missing'
    its = [block for block in pages.blocks(path) if block.headings[:1] == (heading,)]
    assert its, 'there is no block'
    return said[1], said[2], int(said[3]), its


def is_stopped(page, heading, scratch, venv=sys.prefix, folder=WRONG):
    """Check that a wrong solution, or a wrong answer, is stopped by the example that it names."""
    name, kind, wanted, its = wrong_solution(page, heading, folder)
    place = scratch / 'wrong'
    if kind == 'example':
        solutions = [block.name for block in pages.lasting(page) if block.flag == 'solution']
        assert name in solutions, f'{name} is no solution of the page'
        make_end(page, place, {name: its})
        status, printed = check(page, place, venv)
    else:
        assert name in names_in_turn(page), f'{name} is no answer of the page'
        make_end(page, place)
        apply_answers(page, place, {name: its})
        status, printed = check(page, place, venv, '--turn')
    assert status == 1, 'all examples hold'
    results = re.findall(r'^  (holds  |not yet)  ', printed, re.M)
    assert results.index('not yet') + 1 == wanted, printed


# The form.

def has_the_form(page):
    """Check what can be seen without running anything."""
    its = pages.blocks(page)
    known = pages.named(page)
    given = [block for name in known for block in known[name]]
    for block in its + given:
        if block.words != 'mermaid':
            for line in (block.text + block.output).splitlines():
                assert len(line) <= 96, f'{block.place}: more than 96 characters: {line}'
    for block in its:
        if block.words == 'pycon' and not block.flag:
            lines = block.text.splitlines()
            assert sum(line.startswith('>>>') for line in lines) <= 6, (
                f'{block.place}: more than six lines to be typed')
            assert not any(re.match(r'\.\.\.( |$)', line) for line in lines), (
                f'{block.place}: a statement over several lines')
        if block.flag in pages.EXAMPLES:
            assert re.match(r'\*\*.+?\*\*', block.before), f'{block.place}: no bold title before'
            in_turn = bool(block.scopes) and block.scopes[0][0] == 'turn'
            assert in_turn == (block.flag == 'turn'), f'{block.place}: "turn" is for "Your turn"'
    applied = [name for block in its if block.words == 'bash'
               for words in pages.tool_commands(block.text, 'apply') for name in words]
    for block in its:
        if block.flag == 'given' and not block.scopes:
            assert block.name in applied, f'{block.place}: nothing applies {block.name}'
    numbers = [pages.heading_of(block).partition('.')[0] for block in pages.examples(page)]
    assert numbers == [f'Example {number}' for number in range(1, len(numbers) + 1)]


def links_have_an_end(page):
    """Check the prose: its links, and no numbers of lines."""
    text = page.read_text(encoding='utf-8')
    prose = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    assert not re.search(r'\bline \d+\b|#L\d+', prose)
    ends = re.findall(r'^\[[^\]]+\]: +(\S+)', prose, re.M)
    for link in ends + re.findall(r'\]\(([^)\s]+)\)', prose):
        if not re.match(r'https?://|#', link):
            assert (page.parent / link.partition('#')[0]).exists(), f'{link} does not exist'


def nova_commands(page):
    """Return the arguments of each "follow.py nova" of a page."""
    return [words for block in pages.blocks(page) if block.words.startswith('bash')
            for words in pages.tool_commands(block.text, 'nova')]
