"""Read the pages: the blocks of each, and what a block asks for."""
import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What may follow the language behind a fence. A number is that of a further terminal or its log.
KINDS = {
    'bash': r'server( \d)?|not run',
    'python': r'run|not run',
    'text': r'log( \d)?|picture|file',
}
NAMED = ['given', 'solution']       # flags that a name follows
EXAMPLES = ['example', 'turn']      # flags of examples

# The last words of the paragraph in front of a block say what the block does to which file.
ASKS = re.compile(r'''
    (?: ([Nn]ew\ file|[Aa]ll\ of|[Ss]ections\ of|[Rr]emove\ from|At\ the\ end\ of)
        \ `([^`]+)`
      | [Ii]n\ `([^`]+)`,\ (?: (in\ place\ of|after|before)
                               \ (?:the\ line\ `([^`]+)`\ of\ )?`([^`]+)`
                             | (in\ place\ of|after|before)\ the\ line\ `([^`]+)`
                             | (the\ imports|the\ docstring) )
    ):\**$''', re.X)
TOOL = 'python3 lessons/follow.py '


class PageError(AssertionError):
    """A page asks for something that cannot be done."""


@dataclasses.dataclass
class Ask:
    """What a block does to a file."""

    what: str           # new file, after, the imports ...
    file: str
    symbol: str = ''    # the definition to put it near, or in place of
    line: str = ''      # the line, if it is one line, of that definition or of the file


@dataclasses.dataclass
class Block:
    """A fenced block of a page."""

    words: str              # the language, and the kind of block: "bash server 2"
    text: str
    before: str = ''        # the paragraph in front of it
    headings: tuple = ()    # the headings that it stands under, from "##" down
    answer: int = 0         # the number of the <details> that it stands in
    place: str = 'a page'   # the page and the line, for messages
    flag: str = ''          # given, solution, example or turn
    name: str = ''          # the name of a given block or of a solution
    output: str = ''        # what it prints: the "text" block that follows

    @property
    def scopes(self):
        """Name the parts of the page, outer ones first, whose changes do not last."""
        scopes = []
        if any('Break it' in heading for heading in self.headings):
            scopes.append(('break', self.headings))
        if any('Your turn' in heading for heading in self.headings):
            scopes.append(('turn', self.headings[:1]))
        if self.answer:
            scopes.append(('answer', self.answer))
        return scopes

    @property
    def asks(self):
        """Say what the block does to a file, or return None."""
        if self.words.split()[0] in ('bash', 'pycon', 'mermaid', 'diff'):
            return None
        found = ASKS.search(self.before)
        if not found or self.words not in ('text file', self.words.split()[0]):
            return None
        what, file, other, where, line, symbol, by_line, its_line, part = found.groups()
        return Ask((what or where or by_line or part).lower(), file or other, symbol or '',
                   line or its_line or '')

    @property
    def changes_files(self):
        """Say whether the block shows a change, and is no command and no quotation."""
        return self.words == 'diff' or self.asks is not None

    @property
    def runs(self):
        """Say whether an output may follow the block."""
        return not self.flag and (self.words.startswith('bash') or self.words == 'python run')


# The pages

def pages(root=ROOT):
    """Return the paths of all pages of the road, in order."""
    return sorted(pathlib.Path(root, 'lessons').glob('[0-9][0-9]-*.md'))


def side_roads(root=ROOT):
    """Return the paths of the pages beside the road, on which no other page builds."""
    return sorted(pathlib.Path(root, 'lessons').glob('[A-Z]-*.md'))


def number(page):
    """Return the number of a page, or the letter of a side road."""
    first = page.name.partition('-')[0]
    return int(first) if first.isdigit() else first


def place(page):
    """Return the number of the page whose start is the start of this page, too."""
    if page.name[0].isdigit():
        return number(page)
    head = page.read_text(encoding='utf-8').partition('\n## ')[0]
    found = re.search(r'^- \*\*Starts from:\*\* page (\d+)', head, re.M)
    if not found:
        raise PageError(f'{page.name}: "- **Starts from:** page N" is missing')
    return int(found[1])


def pages_before(place, root=ROOT):
    """Return the pages before a number, or all pages for "end"."""
    return [page for page in pages(root) if place == 'end' or number(page) < place]


def python_needed(page):
    """Return the oldest Python that the head of a page names, as (3, 11), or None."""
    head = page.read_text(encoding='utf-8').partition('\n## ')[0]
    found = re.search(r'Python (\d+)\.(\d+) or newer', head)
    return (int(found[1]), int(found[2])) if found else None


# Blocks

def blocks(path):
    """Return the blocks of a page, each with the output that is shown for it."""
    found = []
    for block in fenced(path):
        last = found[-1] if found else None
        if block.words == 'text' and not block.flag and not block.asks and last and last.runs and (
                not last.output and (last.headings, last.answer) == (block.headings, block.answer)):
            last.output = block.text
        else:
            found.append(block)
    solutions = {block.answer for block in found if block.flag == 'solution'}
    for block in found:
        if block.answer in solutions:
            block.answer = 0    # these <details> are a solution, which lasts
    return found


def fenced(path):
    """Yield what stands between fences, one Block for each pair."""
    paragraph, ended = '', True
    headings, answers, answer, opened = (), 0, 0, None
    for line_number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        place = f'{path.name}, line {line_number}'
        if opened and line == '```':
            yield opened
            opened, paragraph, ended = None, '', True
        elif opened:
            opened.text += line + '\n'
        elif line.startswith('```'):
            words, flag, name = understand(line[3:], place)
            opened = Block(words, '', paragraph, headings, answer, place, flag, name)
            check_flag(opened)
        elif line.lstrip().startswith('```'):
            raise PageError(f'{place}: a fence must begin at the left margin')
        elif found := re.match(r'(#+) (.*)', line):
            level = len(found[1])
            headings = headings[:max(0, level - 2)] + ((found[2],) if level > 1 else ())
            paragraph, ended = '', True
        elif not line.strip():
            ended = True
        else:
            if line.startswith('<details'):
                answers += 1
                answer = answers
            elif line.startswith('</details>'):
                answer = 0
            paragraph = line if ended else f'{paragraph} {line}'
            ended = False
    if opened:
        raise PageError(f'{opened.place}: this block is never closed')


def understand(words, place):
    """Return the language with the kind, the flag and the name that stand behind a fence."""
    language, *rest = words.split() or ['']
    if rest and rest[0] in NAMED:
        if len(rest) != 2 or not re.fullmatch(r'[A-Za-z0-9-]+', rest[1]):
            raise PageError(f'{place}: "{rest[0]}" needs a name of letters, digits and "-"')
        return language, rest[0], rest[1]
    if rest in [[flag] for flag in EXAMPLES] and language == 'pycon':
        return language, rest[0], ''
    if not language or rest and not re.fullmatch(KINDS.get(language, r'(?!)'), ' '.join(rest)):
        raise PageError(f'{place}: what is a block of "{words}"?')
    return ' '.join([language, *rest]), '', ''


def check_flag(block):
    """Refuse a given block or a solution that does not say what it does."""
    if block.flag in NAMED and block.words != 'bash' and not block.changes_files:
        raise PageError(f'{block.place}: the paragraph before "{block.name}" must end with what it'
                        ' does, as "In `f.py`, after `X`:"')


def lasting(page):
    """Return the blocks of a page whose changes are there to stay."""
    return [block for block in blocks(page) if not block.scopes]


def named(page):
    """Return {name: its blocks} for all that "apply" can do on a page."""
    found = {}
    for block in blocks(page):
        if block.name in found:
            raise PageError(f'{block.place}: there are two blocks of the name "{block.name}"')
        if block.flag in NAMED:
            found[block.name] = [block]
    for path in sorted(given_folder(page).glob('*.md')):
        if path.stem in found:
            raise PageError(f'given/{page.stem}/{path.name}: the page itself has this name, too')
        found[path.stem] = blocks(path)
    return found


def given_folder(page):
    """Return the folder for what a page gives away and does not print."""
    return page.parent / 'given' / page.stem


def examples(page, flag='example'):
    """Return the blocks of a page's examples, or of those of "Your turn"."""
    return [block for block in blocks(page) if block.flag == flag]


def heading_of(example):
    """Return the bold title in front of an example: "Example 2. The match names the method."."""
    found = re.match(r'\*\*(.+?)\*\*', example.before)
    return found[1] if found else example.place


# Commands

def commands(text):
    """Return the words of each command in a script."""
    found = []
    for line in text.replace('\\\n', ' ').splitlines():
        for command in line.split(' && '):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:      # a quotation over several lines
                continue
            if words:
                found.append(words)
    return found


def tool_commands(text, verb):
    """Return the arguments of each call of this tool in a script."""
    start = [*TOOL.split(), verb]
    return [words[3:] for words in commands(text) if words[:3] == start]


def packages(place, root=ROOT):
    """Return the packages that the pages before a number install."""
    names = [name for page in pages_before(place, root) for name in packages_of(page)]
    return list(dict.fromkeys(names))


def packages_of(page):
    """Return the packages that a page installs."""
    return [name for block in lasting(page) if block.words == 'bash' and not block.flag
            for name in packages_in(block.text)]


def packages_in(text):
    """Return the packages that a script installs."""
    start = ['venv/bin/pip', 'install', '-q']
    return [name for words in commands(text) if words[:3] == start and '-r' not in words
            for name in words[3:]]
