"""Start at any page, do what its blocks say, check your work, and read Nova's own code.

    python3 lessons/follow.py start 10 ../page-10
    python3 lessons/follow.py start 10 ../page-10 --port 8001
    python3 lessons/follow.py start end ../toy
    python3 lessons/follow.py start real ../real

In the folder that "start" has made:

    python3 lessons/follow.py apply
    python3 lessons/follow.py apply NAME
    python3 lessons/follow.py apply NAME -R
    python3 lessons/follow.py check
    python3 lessons/follow.py check --turn
    python3 lessons/follow.py nova nova/api/openstack/wsgi.py Resource.dispatch
    python3 lessons/follow.py next

What the toy looks like on a page is worked out from the pages: the tool begins with the toy in
this repository and changes it as the pages before say. pages.py reads the pages, states.py makes
the changes.
"""
import argparse
import ast
import difflib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile

import pages
import states
from pages import ROOT, PageError

# "start real" makes the folder of this page: the real Nova runs in it, and prints its trace.
REAL = '38'
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'toy-nova-api')
# The beginning of a path tells the package that has the file.
RELEASES = {
    'nova': ('nova', '34.0.0'),
    'etc': ('nova', '34.0.0'),
    'keystoneauth1': ('keystoneauth1', '5.18.1'),
    'keystonemiddleware': ('keystonemiddleware', '13.0.1'),
    'openstack': ('openstacksdk', '4.22.0'),
    'oslo_context': ('oslo.context', '6.5.0'),
    'oslo_db': ('oslo.db', '18.1.1'),
    'oslo_messaging': ('oslo.messaging', '18.3.1'),
    'oslo_middleware': ('oslo.middleware', '8.2.0'),
    'oslo_policy': ('oslo.policy', '6.0.1'),
    'paste': ('PasteDeploy', '3.1.0'),
    'routes': ('Routes', '2.5.1'),
    'webob': ('WebOb', '1.8.11'),
}
FIND_PACKAGES = '''
import importlib.metadata, re, sys
for name in sys.argv[1:]:
    importlib.metadata.version(re.match(r"[\\w.-]+", name)[0])
'''


def step(text):
    """Tell the reader something."""
    print(text, flush=True)


# start

def start(options, root=ROOT):
    """Make a new folder, ready to begin a page in; leave nothing behind if that fails."""
    page = page_named(options.page, root)
    place = pages.place(page) if page else 'end'
    folder = pathlib.Path(options.folder)
    port = int(states.port_of(root)) if options.port is None else options.port
    check_before_start(page, place, folder, port, root)
    try:
        folder.mkdir()
    except OSError as error:
        sys.exit(f'{folder} cannot be made: {error.strerror}.')
    try:
        step('Writing the toy, with a first git commit.')
        states.make_folder(place, folder, root, port)
        states.set_page(folder, page.stem if page else 'end')
        make_venv(folder)
        install(folder, ['-r', 'requirements.txt', *pages.packages(place, root)])
        if options.page == 'real':
            make_databases(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    step(f'\n{code_so_far(folder)}')
    step(how_to_begin(options.folder, folder))
    step(f'\nThen read lessons/{page.name if page and options.page != "real" else "README.md"}.')


def page_named(word, root):
    """Return the page with the number or the letter that a reader names, or None for "end".

    "real" is another name for a page.
    """
    known = {str(pages.number(page)): page
             for page in [*pages.pages(root), *pages.side_roads(root)]}
    name = REAL if word == 'real' else word.lstrip('0').upper()
    if name != 'END' and name not in known:
        there = ', '.join(known) or 'no pages'
        sys.exit(f'There is no page "{word}". There are {there}, "real", and "end".')
    return known.get(name)


def check_before_start(page, place, folder, port, root):
    """Stop if something is missing, or in the way."""
    if not 0 < port < 65536:
        sys.exit(f'{port} is no port: choose a number from 1 to 65535.')
    followed = [*pages.pages_before(place, root), *([page] if page else [])]
    needed = max(pages.python_needed(other) or (3,) for other in followed)
    if sys.version_info < needed:
        what = f'Page {pages.number(page)}' if page else 'The end'
        sys.exit(f'{what} needs Python {needed[0]}.{needed[1]} or newer, and'
                 f' this is {sys.version_info[0]}.{sys.version_info[1]}. Start it with another'
                 ' python3.')
    if not shutil.which('git'):
        sys.exit('The lessons need git, and it is not installed here. Install it, then try again.')
    if os.path.lexists(folder):
        sys.exit(f'{folder} exists already, and is left as it is. Choose the name of a new folder.')


def make_venv(folder):
    """Make the virtual environment of a folder."""
    step('Making a virtual environment.')
    if run_quietly([sys.executable, '-m', 'venv', 'venv'], folder).returncode:
        sys.exit('The virtual environment could not be made. On Debian and Ubuntu, install what is'
                 ' missing with "sudo apt install python3-venv", then start again.')


def install(folder, names):
    """Install packages in the virtual environment of a folder."""
    step(f'Installing {" ".join(names).removeprefix("-r ")}. This may take a minute.')
    done = run_quietly(['venv/bin/python', '-m', 'pip', 'install', '-q', *names], folder)
    if done.returncode:
        sys.exit(f'The packages could not be installed: {reason_of(done)}')


def make_databases(folder):
    """Make the databases of the real Nova, with the script that the pages have made for that."""
    step("Making Nova's databases.")
    done = run_quietly(['bash', 'prepare.sh'], folder)
    if done.returncode:
        sys.exit(f'bash prepare.sh has failed: {done.stdout.strip().splitlines()[-1]}')


def run_quietly(words, folder=None):
    """Run a program, and keep what it prints."""
    return subprocess.run(words, cwd=folder, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def reason_of(done):
    """Return the line in which pip says why it has failed."""
    lines = done.stdout.strip().splitlines() or ['pip has not said why']
    return next((line for line in lines if line.startswith('ERROR:')), lines[-1])


def code_so_far(folder):
    """Return what each module says of itself in the first line of its docstring."""
    lines = ['The code so far:', '']
    names = sorted(states.files(folder), key=lambda name: ('/' in name, name))
    modules = [name for name in names if name.endswith('.py') and not name.startswith('try_')]
    width = max(map(len, modules), default=0) + 2
    for name in modules:
        about = docstring_of(folder / name)
        if about or not name.endswith('__init__.py'):
            line = textwrap.fill(f'{name:{width}}{about}', 96, subsequent_indent=width * ' ')
            lines.append(line.rstrip())
    return '\n'.join(lines)


def docstring_of(path):
    """Return the first line of the docstring of a module."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    except (SyntaxError, ValueError):
        return '(not Python at the moment)'
    return (docstring or '').partition('\n')[0]


def how_to_begin(name, folder):
    """Return what to type in the two terminals."""
    return f"""
{name} is ready. Where a page says "the first terminal", run the HTTP server there:

cd {shlex.quote(name)}
venv/bin/python server.py

In the second terminal, type everything else:

cd {shlex.quote(name)}
T='X-Auth-Token: open-sesame'
U=localhost:{states.port_of(folder)}"""


# The folder that the reader is in

def own_folder():
    """Return the current folder, if it is one that "start" has made."""
    folder = pathlib.Path.cwd()
    if not (folder / '.git' / 'page').is_file() or not (folder / 'configure.ini').is_file():
        sys.exit('Run this in a folder that "start" has made.')
    return folder


def current_page(folder, root):
    """Return the page that a folder is at."""
    name = (folder / '.git' / 'page').read_text(encoding='utf-8').strip()
    page = pathlib.Path(root, 'lessons', f'{name}.md')
    if name == 'end':
        sys.exit('This folder is at the end, after the last page.')
    if not page.is_file():
        sys.exit(f'This folder is at the page lessons/{name}.md, and there is no such page.')
    return page


# next

def turn_page(options, root=ROOT):
    """Go on to the next page in the same folder."""
    folder = own_folder()
    page = current_page(folder, root)
    if page in pages.side_roads(root):
        sys.exit(f'lessons/{page.name} is a side road: no page follows it.')
    following = [other for other in pages.pages(root) if other > page]
    if not following:
        sys.exit(f'lessons/{page.name} is the last page.')
    told = run_quietly(['git', 'status', '--porcelain'], folder)
    if told.returncode:
        sys.exit(f'git failed: {told.stdout.strip().splitlines()[-1]}')
    if told.stdout:
        sys.exit('You have changes that are not committed: commit them first, or put them aside'
                 ' with "git stash -u".')
    needed = pages.packages(pages.number(following[0]), root)
    if needed and run_quietly(['venv/bin/python', '-c', FIND_PACKAGES, *needed],
                              folder).returncode:
        install(folder, needed)
    states.set_page(folder, following[0].stem)
    step(f'{code_so_far(folder)}\n\nNow read lessons/{following[0].name}.')


# apply

def apply(options, root=ROOT):
    """Do in the reader's folder what a block of the page says, or take it back."""
    folder = own_folder()
    page = current_page(folder, root)
    known = pages.named(page)
    if options.name is None:
        list_names(page, known)
    elif options.name not in known:
        there = f'has {", ".join(known)}' if known else 'has nothing to apply'
        sys.exit(f'There is no block "{options.name}": page {pages.number(page)} {there}.')
    elif options.back:
        tell_changes(states.take_back(folder, options.name))
    else:
        changed = states.changes(known[options.name], folder, states.port_of(folder))
        if not changed:
            sys.exit(f'"{options.name}" has been applied already: it would change nothing.')
        states.write(folder, {name: new for name, (old, new) in changed.items()})
        states.keep_undo(folder, options.name, changed)
        tell_changes(changed)


def list_names(page, known):
    """Print the names of what can be applied, and what each does."""
    if not known:
        step(f'Page {pages.number(page)} has nothing to apply.')
    width = max(map(len, known), default=0) + 2
    for name, its in known.items():
        step(f'{name:{width}}{"; ".join(about(its))}'[:96].rstrip())


def about(blocks):
    """Return what blocks do, in a few words each."""
    for block in blocks:
        ask = block.asks
        if ask and (ask.line or ask.symbol):
            yield f'{ask.file}, {ask.what} {ask.line or ask.symbol}'
        elif ask:
            yield f'{ask.what} {ask.file}'
        else:
            yield 'a diff' if block.words == 'diff' else 'moves files'


def tell_changes(changed):
    """Print which files have changed."""
    step(textwrap.fill(f'Changed: {", ".join(sorted(changed))}', 96, break_on_hyphens=False))


# check

def check(options, root=ROOT):
    """Run the examples of the page on the reader's code; return the exit status."""
    folder = own_folder()
    page = current_page(folder, root)
    wanted = pages.examples(page, 'turn' if options.turn else 'example')
    what = 'examples of "Your turn"' if options.turn else 'examples'
    if not wanted:
        sys.exit(f'Page {pages.number(page)} has no {what}.')
    of_page = '' if options.turn else f' of page {pages.number(page)}'
    step(f'The {what}{of_page}, with your code:\n')
    if run_examples(wanted, folder):
        return 1
    step(f'\nAll {what} hold.')
    if options.diff:
        found = differences(page, folder)
        step(f'\nLines with "-" are yours, and lines with "+" are the page\'s. Yours may stay.'
             f'\n\n{found}'.rstrip() if found else "\nYour files are as the page's own.")
    return 0


def run_examples(wanted, folder):
    """Run examples with the Python of the reader's folder; return the exit status."""
    script = pathlib.Path(__file__).with_name('examples.py')
    port = states.port_of(folder)
    told = json.dumps([[pages.heading_of(block), states.with_port(block.text, port)]
                       for block in wanted])
    words = ['venv/bin/python', '-B', script]
    try:
        return subprocess.run(words, cwd=folder, timeout=60, input=told, text=True).returncode
    except FileNotFoundError:
        sys.exit('There is no venv/bin/python here.')
    except subprocess.TimeoutExpired:
        sys.exit('An example runs for more than a minute. Is there an endless loop?')


def differences(page, folder):
    """Return how the files that the page changes differ from its own solution, as a diff."""
    with tempfile.TemporaryDirectory() as right:
        right = pathlib.Path(right).resolve()
        states.make(pages.place(page), right, page.parent.parent)
        before = states.files(right)
        states.follow_page(page, right)
        after = states.files(right)
    return compare({name: after[name] for name in after if after[name] != before.get(name)}, folder)


def compare(wanted, folder):
    """Return how a folder differs from files that are {name: text}, as a diff."""
    there = states.files(folder)
    parts = []
    for name, text in sorted(wanted.items()):
        if name not in there:
            parts.append(f'{name} is missing.\n')
        else:
            parts.extend(difflib.unified_diff(
                plain(there[name]).splitlines(True), plain(text).splitlines(True),
                f'{name} (yours)', f'{name} (of the page)'))
    return ''.join(parts)


def plain(text):
    """Return a text without what does not matter: the port, line ends, blank lines at the end."""
    text = re.sub(r'\b(localhost|127\.0\.0\.1):\d+', r'\1:8000', '\n'.join(text.splitlines()))
    return re.sub(r'^port *= *\d+ *$', 'port = 8000', text, flags=re.M).rstrip() + '\n'


# nova

def nova(options, root=ROOT):
    """Print what a file of a released package defines."""
    source = released(options.file)
    show = show_sections if options.file.endswith(('.ini', '.conf')) else show_symbols
    show(options.file, source, options.symbol)


def released(path):
    """Return the text of a file in a released package."""
    if path.partition('/')[0] not in RELEASES:
        sys.exit(f'{path} is in no package that is known here. Known are {", ".join(RELEASES)}.')
    name, version = RELEASES[path.partition('/')[0]]
    with zipfile.ZipFile(wheel_of(name, version)) as wheel:
        inside = [other for other in wheel.namelist()
                  if other == path or other.endswith(f'.data/data/{path}')]
        if not inside or path.endswith('/'):
            sys.exit(f'{name} {version} has no file {path}.')
        return wheel.read(inside[0]).decode('utf-8', errors='replace')


def wheel_of(name, version):
    """Return the path of a released package, downloaded if it is not there yet."""
    found = downloaded(name, version)
    if not found:
        print(f'Downloading {name} {version}, once, to read it. Nothing is installed.',
              file=sys.stderr, flush=True)
        python = 'venv/bin/python' if os.path.exists('venv/bin/python') else sys.executable
        done = run_quietly([
            python, '-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:',
            '--ignore-requires-python', f'{name}=={version}', '-d', str(CACHE.expanduser())])
        found = downloaded(name, version)
        if done.returncode or not found:
            sys.exit(f'{name} {version} could not be downloaded: {reason_of(done)}')
    return found


def downloaded(name, version):
    """Return the path of a released package, or None."""
    for path in CACHE.expanduser().glob('*.whl'):
        its_name, its_version = path.name.split('-')[:2]
        if (plain_name(its_name), its_version) == (plain_name(name), version):
            return path
    return None


def plain_name(name):
    """Return the name of a package as the names of wheels have it."""
    return re.sub(r'[-_.]+', '_', name).lower()


def show_symbols(path, source, symbols):
    """Print definitions of a Python file, or list what it defines."""
    if not symbols:
        step(f'# {path}')
        for node in states.parse(source).body:
            if isinstance(node, states.DEFINITIONS):
                step(node.name)
        return
    try:
        found = [states.extent(source, symbol) for symbol in symbols]
    except PageError as error:
        sys.exit(f'{path} {error}.')
    lines = source.splitlines()
    show(path, [(symbol, lines[first - 1:last]) for symbol, (first, last) in zip(symbols, found)])


def show_sections(path, source, names):
    """Print sections of an ini file, or list them."""
    sections = {part.partition(']')[0]: part for part in re.split(r'^\[', source, flags=re.M)[1:]}
    if not names:
        step('\n'.join([f'# {path}', *sections]))
        return
    for name in names:
        if name not in sections:
            sys.exit(f'{path} has no section [{name}].')
    show(path, [(f'[{name}]', without_end(f'[{sections[name]}')) for name in names])


def without_end(section):
    """Return the lines of a section without comments about the next one."""
    lines = section.splitlines()
    while not lines[-1].strip() or lines[-1].startswith('#'):
        lines.pop()
    return lines


def show(path, parts):
    """Print parts of a file, each with its name above."""
    step('\n\n'.join('\n'.join([f'# {path}: {name}', *lines]) for name, lines in parts))


# The command line

class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message):
        """Stop."""
        sys.exit(f'{message}. "python3 lessons/follow.py --help" shows what can be done.')


def parser():
    """Return the parser of the command line."""
    whole = Parser(prog='follow.py', description=__doc__,
                   formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = whole.add_subparsers(dest='verb', required=True, metavar='VERB')
    verb = verbs.add_parser('start', help='make a folder for a page')
    verb.add_argument('page', help='the number of the page, the letter of a side road, "end",'
                      ' or "real": the real Nova, ready for its trace')
    verb.add_argument('folder', help='the folder to make')
    verb.add_argument('--port', type=int, help="the port to use, if not the toy's own")
    verb.set_defaults(do=start)
    verb = verbs.add_parser('next', help='go on to the next page')
    verb.set_defaults(do=turn_page)
    verb = verbs.add_parser('apply', help='do what a block of the page says')
    verb.add_argument('name', nargs='?', help='the name of the block; without it, all are listed')
    verb.add_argument('-R', dest='back', action='store_true', help='take it back')
    verb.set_defaults(do=apply)
    verb = verbs.add_parser('check', help='run the examples of the page on your code')
    verb.add_argument('--turn', action='store_true', help='the examples of "Your turn"')
    verb.add_argument('--diff', action='store_true',
                      help="once all hold, compare your code with the page's own solution")
    verb.set_defaults(do=check)
    verb = verbs.add_parser('nova', help="print Nova's own code, and that of its libraries")
    verb.add_argument('file', help='as nova/api/openstack/wsgi.py')
    verb.add_argument('symbol', nargs='*', help='as Resource.dispatch; in an .ini, a section')
    verb.set_defaults(do=nova)
    return whole


def main(arguments=None, root=ROOT):
    """Do what the command line says, and return the exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.do(options, root) or 0
    except PageError as error:
        sys.exit(f'{error}. Nothing has been changed.')
    except KeyboardInterrupt:
        left = '; nothing has been left behind' if options.do is start else ''
        sys.exit(f'Stopped before the end{left}.')
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == '__main__':
    sys.exit(main())
