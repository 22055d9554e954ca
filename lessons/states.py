"""Make the toy as it is at the start of a page, and do what blocks say."""
import ast
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import textwrap

from pages import ROOT, PageError, commands, lasting, named, pages_before, tool_commands

TOY = ['configure.ini', 'server.py', 'auth.py', 'routers.py', 'controllers.py',
       'requirements.txt', '.gitignore']
# What commands of the pages make is no part of a state: Nova's own files among them.
MADE_OF_NOVA = {'nova-34.0.0', 'api-paste.ini', 'compute_id'}
LEFT_OUT = {'venv', 'lessons', '.git', '__pycache__', '.pytest_cache', *MADE_OF_NOVA}
NOT_COMMITTED = ('/venv\n/lessons\n/try_*\n__pycache__/\n*.sqlite\n*.log\n*.pid\n'
                 '/nova-34.0.0*\n/api-paste.ini\n/compute_id\n')
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTS = (ast.Import, ast.ImportFrom)


# States

def make(place, folder, root=ROOT):
    """Write to a folder the toy as it is at the start of a page, or at the end."""
    folder.mkdir(exist_ok=True)
    for name in TOY:
        shutil.copy(pathlib.Path(root, name), folder / name)
    ini = folder / 'configure.ini'      # the toy's own port may have been changed
    ini.write_text(re.sub(r'^port *= *\d+', 'port = 8000', ini.read_text(), flags=re.M))
    for page in pages_before(place, root):
        follow_page(page, folder)
    for path in folder.glob('try_*'):
        path.unlink()       # what a page only tries out


def follow_page(page, folder, instead=None):
    """Make the lasting changes of a page, with other blocks instead of a solution."""
    undo = {}
    for block in lasting(page):
        if instead and block.name in instead:
            for other in instead[block.name]:
                change(other, folder)
        else:
            follow_block(page, block, folder, undo)


def follow_block(page, block, folder, undo):
    """Make the change that a lasting block makes where it stands."""
    if block.asks and of_nova(block.asks.file):
        return
    if block.flag == 'solution' or not block.flag and block.changes_files:
        change(block, folder)
    elif block.words == 'bash' and not block.flag:
        move_files(block, folder)
        for words in tool_commands(block.text, 'apply'):
            apply_in_passing(page, words, folder, undo, block.place)


def apply_in_passing(page, words, folder, undo, place):
    """Do what a command "apply NAME" on a page does."""
    back = '-R' in words
    for name in [word for word in words if word != '-R']:
        if name not in named(page):
            raise PageError(f'{place}: there is no block of the name "{name}"')
        if back:
            write(folder, {path: old for path, (old, new) in undo.pop(name).items()})
        else:
            undo[name] = changes(named(page)[name], folder)
            write(folder, {path: new for path, (old, new) in undo[name].items()})


# Files

def of_nova(name):
    """Say whether a file is one of Nova's own, which a page may change, but no state has."""
    return name.partition('/')[0] in MADE_OF_NOVA


def files(folder, others=()):
    """Return {name: text} for all files of a folder that people write themselves.

    Nova's own are among them only if others names them.
    """
    found = {}
    for name in filter(of_nova, others):
        if pathlib.Path(folder, name).is_file():
            found[name] = pathlib.Path(folder, name).read_text(encoding='utf-8')
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(set(names) - LEFT_OUT):
            path = pathlib.Path(place, name)
            if not re.search(r'\.(log|pid|pyc|sqlite[\w-]*)$', name) and path.is_file():
                text = path.read_text(encoding='utf-8', errors='surrogateescape')
                found[path.relative_to(folder).as_posix()] = text
    return found


def write(folder, texts):
    """Write {name: text} to a folder. A file whose text is None is removed."""
    for name, text in texts.items():
        path = pathlib.Path(folder, name)
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8', errors='surrogateescape')
            continue
        path.unlink(missing_ok=True)
        while path.parent != pathlib.Path(folder) and not own_files(path.parent):
            path = path.parent
            shutil.rmtree(path)


def own_files(folder):
    """Return what a folder holds besides what Python has compiled."""
    return [path for path in folder.iterdir() if path.name != '__pycache__']


def changes(blocks, folder, port=None):
    """Return {name: (old text, new text)} for what blocks do. Change nothing."""
    asked = {block.asks.file for block in blocks if block.asks}
    before = files(folder, asked)
    with tempfile.TemporaryDirectory() as copy:
        copy = pathlib.Path(copy).resolve()
        write(copy, before)
        for block in blocks:
            if port:
                block.text = with_port(block.text, port)
            if not change(block, copy):
                raise PageError(f'{block.place}: this block does not say what it changes')
        after = files(copy, asked)
    for name in before.keys() & after.keys():
        if name.endswith('.py') and before[name] != after[name]:
            after[name] = keep_imports(before[name], after[name])
    return {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})
            if before.get(name) != after.get(name)}


def port_of(folder):
    """Return the port in configure.ini, which "start" has written there."""
    ini = pathlib.Path(folder, 'configure.ini').read_text(encoding='utf-8')
    found = re.search(r'^port *= *(\d+)', ini, re.M)
    return found[1] if found else '8000'


def with_port(text, port):
    """Return a file, or a block, for another port than 8000."""
    text = re.sub(r'\b(localhost|127\.0\.0\.1):8000\b', rf'\g<1>:{port}', text)
    return re.sub(r'^([ +-]?port *= *)8000$', rf'\g<1>{port}', text, flags=re.M)


# Blocks

def change(block, folder):
    """Change the files in a folder as a block says; return whether it says anything of the kind."""
    if block.words == 'diff':
        done = git(folder, 'apply', '-', text=block.text)
        if done.returncode:
            reason = done.stdout.strip().partition('\n')[0]
            raise PageError(f'{block.place}: the diff does not apply: {reason}')
        return True
    if block.words == 'bash':
        return move_files(block, folder, strict=True)
    if block.asks is None:
        return False
    try:
        change_file(block.asks, block.text, folder)
    except PageError as error:
        raise PageError(f'{block.place}: {error}') from error
    return True


def change_file(ask, text, folder):
    """Change one file."""
    path = folder / ask.file
    if ask.what == 'new file':
        if path.exists() and path.read_text(encoding='utf-8') != text:
            raise PageError(f'{ask.file} is there already')
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise PageError(f'there is no {ask.file}')
    if ask.what not in ('new file', 'all of'):
        try:
            text = edit(path.read_text(encoding='utf-8'), text, ask)
        except PageError as error:
            raise PageError(f'{ask.file} {error}') from error
    path.write_text(text, encoding='utf-8')


def edit(source, text, ask):
    """Return a file with a part of it changed."""
    if ask.what == 'sections of':
        return replace_sections(source, text)
    if ask.what == 'remove from':
        for name in text.split():
            source = remove(source, name)
        result = source
    elif ask.what == 'at the end of':
        result = source.rstrip('\n') + '\n\n' + text
    elif ask.what == 'the imports':
        result = replace_imports(source, text)
    elif ask.what == 'the docstring':
        result = replace_docstring(source, text)
    elif ask.line:
        result = edit_line(source, text, ask)
    elif ask.what == 'in place of':
        result = replace(source, text, ask.symbol)
    else:
        result = insert(source, text, ask.what, ask.symbol)
    if ask.file.endswith('.py'):
        parse(result, 'would not be Python any more')
    return result


def edit_line(source, text, ask):
    """Put a text in the place of a line, or after or before it.

    Where an empty line sets the line apart from what follows or precedes, the text is, too.
    """
    lines = source.splitlines(True)
    first, last = extent(source, ask.symbol) if ask.symbol else (1, len(lines))
    found = [index for index in range(first - 1, last) if lines[index].strip() == ask.line]
    if len(found) != 1:
        raise PageError(f'has {len(found)} lines "{ask.line}"')
    at = found[0]
    if ask.what == 'in place of':
        lines[at] = text
    elif ask.what == 'after':
        apart = at + 1 < len(lines) and not lines[at + 1].strip()
        lines.insert(at + 1, '\n' * apart + text)
    else:
        apart = at > 0 and not lines[at - 1].strip()
        lines.insert(at, text + '\n' * apart)
    return ''.join(lines)


def move_files(block, folder, strict=False):
    """Do what the lines "git mv", "git rm" and "mkdir" of a script do to the files."""
    moved = False
    for words in commands(block.text):
        try:
            if words[:2] == ['git', 'mv']:
                *sources, target = words[2:]
                for source in sources:
                    (folder / target).parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(folder / source, folder / target)
            elif words[:2] == ['git', 'rm']:
                for name in words[2:]:
                    if not name.startswith('-'):
                        (folder / name).unlink()
            elif words[0] == 'mkdir':
                for name in words[1:]:
                    if not name.startswith('-'):
                        (folder / name).mkdir(parents=True, exist_ok=True)
            elif strict:
                raise PageError(f'{block.place}: "{words[0]}" is no command for a given block')
            else:
                continue
        except (OSError, ValueError, shutil.Error) as error:
            raise PageError(f'{block.place}: {" ".join(words)}: {error}') from error
        moved = True
    return moved


def replace_sections(ini, sections):
    """Put each [section] of a text in the place of its namesake, or at the end."""
    if not sections.startswith('['):
        raise PageError('gets sections, so the block must begin with "[section]"')
    for section in re.split(r'\n+(?=\[)', sections.rstrip('\n')):
        name = re.escape(section.partition('\n')[0])
        old = re.compile(rf'^{name}\n(?:[^\[#\n].*(?:\n|\Z))*', re.M)
        if old.search(ini):
            ini = old.sub(lambda found: section + '\n', ini, count=1)
        else:
            ini = f'{ini}\n{section}\n'
    return ini


# Symbols

def parse(source, otherwise='is not Python'):
    """Return the syntax tree of a Python file."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise PageError(f'{otherwise}: line {error.lineno}: {error.msg}') from error


def names_of(node):
    """Return the names that a statement defines."""
    if isinstance(node, DEFINITIONS):
        return [node.name]
    targets = getattr(node, 'targets', None) or [getattr(node, 'target', None)]
    return [part.id for target in targets if target
            for part in getattr(target, 'elts', [target]) if isinstance(part, ast.Name)]


def definition(source, symbol):
    """Return the statement that defines X, or a class's X.y."""
    body, node = parse(source).body, None
    for part in symbol.split('.'):
        node = next((node for node in body if part in names_of(node)), None)
        if node is None:
            raise PageError(f'has no {symbol}')
        body = getattr(node, 'body', [])
    return node


def extent(source, symbol):
    """Return the first and the last line of a definition, with what stands right above it.

    These are its decorators and comments.
    """
    node = definition(source, symbol)
    first = min(part.lineno for part in [node, *getattr(node, 'decorator_list', [])])
    lines = source.splitlines()
    while first > 1 and lines[first - 2].lstrip().startswith('#'):
        first -= 1
    return first, node.end_lineno


def replace(source, text, symbol):
    """Put a text in the place of a definition."""
    first, last = extent(source, symbol)
    lines = source.splitlines(True)
    return ''.join([*lines[:first - 1], indented(text, symbol), *lines[last:]])


def insert(source, text, where, symbol):
    """Put a text after or before a definition. What it defines anew is removed first."""
    text = indented(text, symbol).strip('\n') + '\n'
    outside = symbol.rpartition('.')[0]
    statements = parse(textwrap.dedent(text), 'gets a block that is not Python').body
    for name in [name for node in statements for name in names_of(node)]:
        full = f'{outside}.{name}' if outside else name
        if full != symbol and has(source, full):
            source = remove(source, full)
    first, last = extent(source, symbol)
    lines = source.splitlines(True)
    cut = last if where == 'after' else first - 1
    above, blank_above = split_blanks(lines[:cut])
    below, blank_below = split_blanks(lines[cut:][::-1])
    large = isinstance(definition(source, symbol), DEFINITIONS) or any(
        isinstance(node, DEFINITIONS) for node in statements)
    gap = (1 if outside else 2) if large else 0
    begins = not above or above[-1].rstrip().endswith(':')
    return ''.join([*above, *['\n'] * (0 if begins else max(blank_above, gap)), text,
                    *['\n'] * (max(blank_below, gap) if below else 0), *below[::-1]])


def has(source, symbol):
    """Say whether a file defines a symbol."""
    try:
        return definition(source, symbol) is not None
    except PageError:
        return False


def remove(source, symbol):
    """Take a definition out, and the empty lines on one side of it."""
    first, last = extent(source, symbol)
    lines = source.splitlines(True)
    above, blank_above = split_blanks(lines[:first - 1])
    below, blank_below = split_blanks(lines[last:][::-1])
    gap = max(blank_above, blank_below) if above and below else 0
    return ''.join([*above, *['\n'] * gap, *below[::-1]])


def split_blanks(lines):
    """Return lines without the empty ones at their end, and how many these are."""
    length = len(lines)
    while length and not lines[length - 1].strip():
        length -= 1
    return lines[:length], len(lines) - length


def indented(text, symbol):
    """Return a block of code as deep as a symbol is: a method may be shown with or without it."""
    depth = 4 * symbol.count('.')
    first = next((line for line in text.splitlines() if line.strip()), '')
    if len(first) - len(first.lstrip()) == depth:
        return text
    return textwrap.indent(textwrap.dedent(text), ' ' * depth)


def replace_imports(source, text):
    """Put a text in the place of the import statements at the top."""
    first, last = imports_of(source)[1:]
    lines = source.splitlines(True)
    return ''.join([*lines[:first], text, *lines[last:]])


def imports_of(source):
    """Return the import statements at the top, and where their lines begin and end."""
    body = parse(source).body
    start = 1 if docstring(source) else 0
    found = list(itertools.takewhile(lambda node: isinstance(node, IMPORTS), body[start:]))
    if not found:
        first = last = body[0].end_lineno if start else 0
    else:
        first, last = found[0].lineno - 1, found[-1].end_lineno
    return found, first, last


def keep_imports(old, new):
    """Return a changed module, with the old imports that it still uses.

    Given imports do not know what a reader's own lines need. A module that was not Python
    is left as the blocks have made it.
    """
    try:
        old_imports = imports_of(old)[0]
    except PageError:
        return new
    tree = parse(new)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    known = {name for node in ast.walk(tree) for name in imported_by(node)}
    known.update(name for node in tree.body for name in names_of(node))
    lost = [ast.unparse(node) + '\n' for node in old_imports
            if names & set(imported_by(node)) - known]
    lines = new.splitlines(True)
    last = imports_of(new)[2]
    return ''.join([*lines[:last], *lost, *lines[last:]])


def imported_by(node):
    """Return the names that a statement imports."""
    names = node.names if isinstance(node, IMPORTS) else []
    return [(alias.asname or alias.name).partition('.')[0] for alias in names]


def replace_docstring(source, text):
    """Put a text in the place of the docstring."""
    node = docstring(source)
    lines = source.splitlines(True)
    return ''.join([text, *lines[node.end_lineno if node else 0:]])


def docstring(source):
    """Return the statement that is the docstring of a module, or None."""
    tree = parse(source)
    return tree.body[0] if ast.get_docstring(tree) is not None else None


# A folder of a reader

def make_folder(place, folder, root=ROOT, port=8000):
    """Make the folder for a page, but for its virtual environment."""
    make(place, folder, root)
    for name, text in files(folder).items():
        write(folder, {name: with_port(text, port)})
    (folder / 'lessons').symlink_to(pathlib.Path(root, 'lessons').resolve())
    when = 'at the end' if place == 'end' else f'at the start of page {place}'
    commit(folder, f'The toy {when}')


def set_page(folder, name):
    """Note the page that a folder is at, and forget what was applied on the page before."""
    (folder / '.git' / 'page').write_text(name + '\n', encoding='utf-8')
    shutil.rmtree(folder / '.git' / 'applied', ignore_errors=True)


def keep_undo(folder, name, changed):
    """Note what a block has changed."""
    path = folder / '.git' / 'applied' / f'{name}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(changed), encoding='utf-8')


def take_back(folder, name):
    """Take back what a block has changed, and return that."""
    path = folder / '.git' / 'applied' / f'{name}.json'
    if not path.exists():
        raise PageError(f'"{name}" has not been applied here')
    changed = json.loads(path.read_text(encoding='utf-8'))
    there = files(folder, changed)
    others = [file for file, (_, new) in changed.items() if there.get(file) != new]
    if others:
        raise PageError(f'{", ".join(others)}: changed since "{name}" was applied')
    write(folder, {file: old for file, (old, _) in changed.items()})
    path.unlink()
    return changed


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
    must(git(folder, 'init', '-q', '-b', 'main', '--template='))
    (folder / '.git' / 'info').mkdir(exist_ok=True)
    (folder / '.git' / 'info' / 'exclude').write_text(NOT_COMMITTED)
    must(git(folder, 'add', '-A'))
    must(git(folder, 'commit', '-q', '--no-verify', '-m', message))
    # Readers commit their own work, too, and git may not know who they are.
    if subprocess.run(['git', 'config', 'user.email'], cwd=folder, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        must(git(folder, 'config', 'user.name', 'A reader'))
        must(git(folder, 'config', 'user.email', 'reader@localhost'))


def must(done):
    """Stop if git has failed."""
    if done.returncode:
        raise PageError(f'git failed: {" ".join(done.stdout.split())}')
