"""NOT-AS-IN-NOVA.md tells where the grown toy and the real Nova 34 part ways, and nothing else.

generator.py makes requests, toy_and_nova.py has both respond to them. What differs must be in a
row of the page, and each row must be seen.
"""
import collections
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import pytest

import generator
import grown
import packages
import pages
from generator import JSON_TYPE, NEW, Request

PAGE = pages.ROOT / 'lessons' / 'NOT-AS-IN-NOVA.md'
SCRIPT = pathlib.Path(__file__).with_name('toy_and_nova.py')
SEED = 34
NEW_TEXT = json.dumps(NEW)[1:-1]
WORD = '(ID|OLD|OTHER|GONE)'       # stands for an id

IGNORED = ['OS-DCF:diskConfig', 'accessIPv4', 'accessIPv6', 'adminPass', 'availability_zone',
           'block_device_mapping', 'block_device_mapping_v2', 'config_drive', 'key_name', 'networks',
           'personality', 'security_groups', 'user_data']
FILTERS = ['access_ip_v4', 'auto_disk_config', 'changes-before', 'changes-since', 'config_drive', 'created_at', 'deleted',
           'description', 'display_name', 'flavor', 'host', 'id', 'image', 'ip', 'ip6', 'key_name',
           'launch_index', 'locked', 'metadata', 'node', 'power_state', 'progress', 'project_id',
           'reservation_id', 'soft_deleted', 'sort_dir', 'sort_key', 'task_state', 'tenant_id',
           'user_id', 'uuid', 'vm_state']

# What stands in the first column without being code, and which requests it means.
TERMS = {
    'a body that is not UTF-8': lambda request: not is_utf_8(request.body),
    'a body that begins with a byte order mark': lambda request: (
        request.body or '').startswith('\xef\xbb\xbf'),
    'a body of more than 64 KiB': lambda request: length(request) > 65_536,
    'a body of more than 112 KiB': lambda request: length(request) > 114_688,
    'a body that is nested too deep': lambda request: max(
        (request.body or '').count(bracket) for bracket in '[{') > 900,
    'a body that is JSON, but no object': lambda request: is_no_object(request.body),
    'a field that the toy ignores': lambda request: any(
        f'"{name}":' in (request.body or '') for name in IGNORED),
    'a filter that the toy lacks': lambda request: any(
        name in FILTERS for name, _ in request.query),
    'one of thirty other actions': lambda request: any(
        (request.body or '').startswith(f'{{"{name}": ') for name in generator.OTHER_ACTIONS),
    'more than 128 metadata items': lambda request: '"128":' in (request.body or ''),
    'a tab in the version header': lambda request: (
        '\t' in (request.header('OpenStack-API-Version') or '')),
    'a body': lambda request: request.body is not None,
}


def is_no_object(body):
    try:
        return not isinstance(json.loads(body or '{}'), dict)
    except (ValueError, RecursionError):
        return False


def is_utf_8(body):
    try:
        return (body or '').encode('latin-1').decode() is not None
    except UnicodeDecodeError:
        return False


def length(request):
    found = request.header('Content-Length') or ''
    return int(found) if found.isdecimal() else len(request.body or '')


# The page

@dataclasses.dataclass
class Row:
    """A row of a table: a request, or a pattern of requests, and both answers."""

    cells: list
    line: int

    def __post_init__(self):
        self.text, self.toy, self.nova = self.cells[:3]
        self.status, text = re.fullmatch(r'(?:(\d{3}) of )?(.*)', self.text).groups('')
        spans = re.findall(r'`([^`]+)`', text)
        rest = re.sub(r'`[^`]+`', '', text)
        found = re.search(r'while ([A-Z_, or]+)', rest)
        self.states = re.findall('[A-Z_]+', found[1]) if found else []
        terms = re.sub(r'while [A-Z_, or]+', '', rest)
        self.terms = [term for term in sorted(TERMS, key=len, reverse=True)
                      if (left := terms.replace(term, '', 1)) != terms and [terms := left]]
        assert not re.sub(r'\b(with|and|or)\b|[,\s]', '', terms), f'{self}: {terms!r}?'
        first = spans and re.fullmatch(r'(?:([A-Za-z|…]+)(?: |$))?([/…]\S*)?', spans[0])
        method, url = first.groups() if first else (None, None)
        method = method or '…'
        self.methods = method.split('|')
        self.path, _, query = (url or '…').partition('?')
        self.query = [tuple(pair.partition('=')[::2]) for pair in query.split('&') if pair]
        others = spans[1:] if first else spans
        self.headers = [tuple(re.split(': ?', span, maxsplit=1)) for span in others
                        if re.match(r'[\w-]+:( |$)', span)]
        bodies = [span for span in others if not re.match(r'[\w-]+:( |$)', span)]
        assert len(bodies) < 2, f'{self}: two bodies'
        self.body = bodies[0] if bodies else None

    def __str__(self):
        return f'{PAGE.name}:{self.line}: {self.text}'

    def fits(self, request):
        """Say whether a request is one of those that the row is about."""
        return (any(glob(method, request.method) for method in self.methods)
                and self.fits_path(request)
                and self.fits_query(words(request))
                and all(self.fits_header(request, name, value) for name, value in self.headers)
                and (self.body is None or glob(self.body, short(request.body)))
                and (not self.states or request.state in self.states)
                and all(TERMS[term](request) for term in self.terms))

    def fits_path(self, request):
        path = bare(request.path)
        if request.base == '' or path in ('/', '//'):
            return glob(self.path, request.base + path)
        if self.path == '…' or re.match(r'/+(v\d|$)', self.path):
            return self.path == '…'
        path = re.sub(r'^/[0-9a-f-]+(?=/.)', '', path)      # a project may stand in front
        return glob(self.path, path) or glob(self.path, re.sub('%0a$', '', path))

    def fits_query(self, sent):
        names, wanted = [name for name, _ in sent], [name for name, _ in self.query]
        return len(sent) >= len(wanted) and all(
            any(glob(name, other) and glob(value, text) for other, text in sent)
            and (name == '…' or names.count(name) >= wanted.count(name))
            for name, value in self.query)

    def fits_header(self, request, name, value):
        found = request.header(name)
        return found is not None and glob(value, found.strip())

    def request(self):
        """Return the request of the row, or None if it is a pattern of several."""
        if '…' in self.text or '|' in self.methods or len(self.states) > 1 or self.terms:
            return None
        path = re.sub(rf'\b{WORD}\b', r'{\1}', self.path)
        query = tuple((name, re.sub(rf'^{WORD}\b', r'{\1}', value))
                      for name, value in self.query)
        base = '' if re.match(r'/+(v\d|$)', path) else '/v2.1'
        body = self.body and self.body.replace('NEW', NEW_TEXT)
        request = Request(self.methods[0], path, query=query, base=base,
                          body=body and body.encode().decode('latin-1'),
                          state=(self.states or ['ACTIVE'])[0])
        if body is not None:
            request = request.with_header('Content-Type', JSON_TYPE)
        for name, value in self.headers:
            request = request.with_header(name, value)
        return request


def bare(text):
    """Return a text with {ID} as the page has it."""
    return re.sub(rf'\{{{WORD}\}}', r'\1', text)


def words(request):
    return [(name, bare(value)) for name, value in request.query]


def short(body):
    """Return a body as the page has it."""
    return '' if body is None else body.replace(NEW_TEXT, 'NEW').strip()


def glob(pattern, text):
    """Say whether a text is like a pattern, in which … stands for anything."""
    return re.fullmatch('.*'.join(re.escape(part) for part in pattern.split('…')), text, re.S) is not None


def tables():
    """Return the rows of the second and the third table, by the headings that they stand under."""
    found, heading = collections.defaultdict(list), ''
    for number, line in enumerate(PAGE.read_text(encoding='utf-8').splitlines(), 1):
        if line.startswith('## '):
            heading = line[3:]
        cells = [cell.strip().replace('&#124;', '|') for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        cells = [cell.replace('\\|', '|') for cell in cells]
        if line.startswith('| ') and cells[0] not in ('request', 'the toy', 'response'):
            found[heading].append((cells, number))
    return found


def rows():
    return [Row(cells, number) for cells, number in tables()['The grown toy']]


def field_rows():
    return [(Row([cells[0], '', ''], number), re.findall('`([^`]+)`', cells[1]))
            for cells, number in tables()['Fields and headers']]


# Answers

class Answer:
    """What one of the two has responded."""

    def __init__(self, sent, ids):
        self.status, headers, text = sent
        self.headers = collections.defaultdict(set)
        for name, value in headers:
            self.headers[name.lower()].add(value)
        self.names = {number: word for word, number in ids.items()}
        self.content = {}
        if text.startswith('{'):
            self.content = json.loads(text.encode('latin-1'))
            if {'message', 'title'} <= set(self.content):       # the router's 404, as JSON
                self.content = {}
        self.key = next(iter(self.content), '')

    def __str__(self):
        """Return the answer as the page has it: the status, the key, and the ids of a list."""
        value = self.content.get(self.key)
        ids = []
        if self.key in ('servers', 'flavors'):
            ids = [self.names.get(one['id'], one['id']) for one in value] or ['none']
        return ' '.join([str(self.status), *([self.key] if self.key else []), *ids])

    def fields(self):
        """Return {path: value} for the content, without what no two requests have in common."""
        found = {}
        if self.status < 300:
            flatten(self.content, '', found)
            if self.status == 202:
                found = {name: '' for name in found}
        elif self.key in self.content:
            found = {f'fault.{name}': '' for name in self.content[self.key]} if isinstance(
                self.content[self.key], dict) else {}
        for name, values in self.headers.items():
            found[f'{HEADERS.get(name, name.title())}:'] = ', '.join(sorted(values))
        found.pop('Content-Length:', None)
        for name in found:
            if re.search(r'Request-Id:|Location:|X-Monitor:|\.updated$', name):
                found[name] = ''
        return found


HEADERS = {'openstack-api-version': 'OpenStack-API-Version',
           'x-openstack-nova-api-version': 'X-OpenStack-Nova-API-Version'}


def flatten(content, path, found):
    if isinstance(content, dict) and content:
        for name, value in content.items():
            flatten(value, f'{path}.{name}' if path else name, found)
    elif isinstance(content, list) and content:
        for number, value in enumerate(content):
            flatten(value, path, found)
    else:
        found.setdefault(path, content)


def tells(text, answer):
    """Say whether a cell of the page is about an answer."""
    return text == 'as ever' and int(answer.split()[0]) < 500 or glob(text, answer)


def explained(known, request, toy, nova):
    """Return the rows that tell of a difference. Two may: one of either's answer."""
    fitting = [row for row in known if row.fits(request)]
    for row in fitting:
        if tells(row.toy, toy) and tells(row.nova, nova):
            return [row]
    first = [row for row in fitting if row.toy != 'as ever' and tells(row.toy, toy)]
    second = [row for row in fitting if row.nova != 'as ever' and tells(row.nova, nova)]
    return [first[0], second[0]] if first and second else []


# The two

@pytest.fixture(scope='module')
def nova_python(large_venv):
    """A Python that has the real Nova and all that the toy needs."""
    if sys.version_info < (3, 11):
        pytest.skip('Nova 34 needs Python 3.11 or newer')
    names = ['nova==34.0.0', *pages.packages(grown.PAGE)]
    return sys.executable if packages.are_installed(names) else large_venv() / 'bin' / 'python'


@pytest.fixture(scope='module')
def ask(tmp_path_factory, nova_python):
    """A function that sends a request to both, and returns both answers."""
    folder = tmp_path_factory.mktemp('both') / 'toy'
    grown.make(folder)
    with open(folder.parent / 'log', 'w+') as log:
        process = subprocess.Popen([nova_python, '-B', SCRIPT, folder], text=True, stderr=log,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def read():
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                pytest.fail(log.read()[-3000:])
            return json.loads(line)
        ids = read()

        def ask(request):
            process.stdin.write(json.dumps(request.wire()) + '\n')
            process.stdin.flush()
            return [Answer(sent, ids) for sent in read()]
        with process:       # which closes its pipes, and waits
            yield ask
            process.kill()


@pytest.fixture(scope='module')
def answers(ask):
    """All requests, each with both answers."""
    known = [row.request() for row in [*rows(), *(row for row, _ in field_rows())]]
    found = dict.fromkeys([*filter(None, known), *generator.requests(SEED)])
    found = sorted(found, key=lambda request: generator.STATES.index(request.state))
    return [(request, *ask(request)) for request in found]


# The tests

def test_the_page_tells_of_each_difference(answers):
    known, untold = rows(), collections.defaultdict(list)
    for request, toy, nova in answers:
        if str(toy) != str(nova) and not explained(known, request, str(toy), str(nova)):
            untold[f'| {toy} | {nova} |'].append(str(request))
    lines = [f'{pair} {len(found)} of:\n      ' + '\n      '.join(sorted(found, key=len)[:4])
             for pair, found in sorted(untold.items())]
    assert not untold, (f'{PAGE.name} has no row for {sum(map(len, untold.values()))} of '
                        f'{len(answers)} requests:\n' + '\n'.join(lines))


def test_each_row_is_true(answers):
    wrong = []
    for row in rows():
        fitting = [(request, str(toy), str(nova)) for request, toy, nova in answers
                   if row.fits(request)]
        own = row.request()
        mine = [found for found in fitting if found[0] == own] if own else fitting
        if not any(tells(row.toy, toy) and tells(row.nova, nova) and toy != nova
                   for _, toy, nova in mine):
            seen = collections.Counter((toy, nova) for _, toy, nova in mine)
            wrong.append(f'{row}: {row.toy} | {row.nova}, but seen: {seen.most_common(3)}')
    assert not wrong, '\n'.join(wrong)


def test_the_toy_never_fails(answers):
    assert not [str(request) for request, toy, _ in answers if not 0 < toy.status < 500]


def test_the_page_tells_of_each_field(answers):
    known, untold, seen = field_rows(), collections.defaultdict(list), set()
    for request, toy, nova in answers:
        if str(toy) != str(nova):
            continue
        fields = toy.fields(), nova.fields()
        for name in sorted({*fields[0], *fields[1]}):
            pair = [side.get(name, 'none') for side in fields]
            if pair[0] == pair[1]:
                continue
            for row, names in known:
                fitting = [pattern for pattern in names if glob(pattern, name)]
                if fitting and row.status in ('', str(toy.status)) and row.fits(request):
                    seen.update((row.line, pattern) for pattern in fitting)
                    break
            else:
                untold[f'{name} | {pair[0]!s:.60} | {pair[1]!s:.60}'].append(f'{toy}: {request}')
    lines = [f'{name}: {len(found)} of:\n      ' + '\n      '.join(sorted(found, key=len)[:3])
             for name, found in sorted(untold.items())]
    assert not untold, '\n'.join(lines)
    unseen = [f'{row}: {name}' for row, names in known for name in names
              if (row.line, name) not in seen]
    assert not unseen, '\n'.join(unseen)
