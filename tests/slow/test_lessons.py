"""The lessons, followed from their index to the last page, and what they make of the toy.

The pages share one folder, as they do for a reader: each begins where the one before
has ended. Nothing here runs without a network, as the lessons install packages.
"""
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from documents import Reader, blocks, follow
from support import ROOT, TOKEN, call, is_uuid4, send

pytestmark = pytest.mark.slow

INDEX = ROOT / 'lessons' / 'README.md'
PAGES = follow.pages()
NAMES = [page.name for page in PAGES]
PARTS = ['Why', 'The change', 'Try it', 'What happened', 'In Nova', 'Break it', 'Your turn']
NOVA = 'https://github.com/openstack/nova/'
URL = '/v2.1/demo/servers'
JSON = {**TOKEN, 'Content-Type': 'application/json'}


# Each page is followed.

@pytest.fixture(scope='module')
def reader(tmp_path_factory, network):
    """A reader who begins in a clone of the repository."""
    if not network:
        pytest.skip('no network: the lessons need packages of their own')
    folder = tmp_path_factory.mktemp('lessons') / 'clone'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns('venv', '__pycache__', 'hello*.py'))
    reader = Reader(folder, tmp_path_factory.mktemp('scratch'))
    reader.done = []
    yield reader
    reader.close()


def test_the_index_does_what_it_says(reader):
    clone = reader.folder
    try:
        assert reader.read(INDEX) >= 1
    finally:
        reader.folder = clone       # page 1 begins here again


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_a_page_does_what_it_says(reader, page):
    assert reader.done == NAMES[:NAMES.index(page.name)], 'a page before this one has failed'
    assert reader.read(page) >= 5
    assert reader.folder.name != 'clone', 'page 1 must leave the clone: follow.py start 1, and cd'
    assert follow.differences(follow.number(page), reader.folder) == '', (
        'the folder of somebody who follows is not what follow.py makes')
    reader.done.append(page.name)


# Each page has the same form.

def sections(text):
    """Return the headings "##" of a page, without what its blocks hold."""
    return re.findall(r'^## (.*)$', re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S), re.M)


def counted(number, noun):
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_a_page_has_the_form(page):
    text = page.read_text()
    lines = text.splitlines()
    number = follow.number(page)
    assert number == PAGES.index(page) + 1
    assert re.fullmatch(rf'# {number}\. .+', lines[0])
    assert 150 <= len(lines) <= 350
    assert sections(text) == PARTS
    around = ['README.md', *NAMES[max(0, number - 2):number - 1], *NAMES[number:number + 1]]
    for part in '\n'.join(lines[1:8]), text.rpartition('\n---\n')[2]:
        for name in around:
            assert f']({name})' in part, f'the navigation does not lead to {name}'
    top = text.partition('\n## ')[0]
    files, added, removed = follow.numbers(page)
    assert (f'**Changes:** {counted(files, "file")}, {counted(added, "line")} added, {removed}'
            ' removed') in top
    assert re.search(r'^\*\*Time:\*\* about \d+ minutes', top, re.M)
    assert re.search(r'^\*\*At the end:\*\* \S', top, re.M)
    its = list(blocks(page))
    assert any("T='X-Auth-Token: open-sesame'\nU=localhost:8000\n" in block.text
               for block in its if block.words == 'bash' and not block.headings)
    assert any(block.words == 'mermaid' for block in its)
    assert re.search(r'^## Your turn$.*^<details', text, re.M | re.S)
    for block in (block for block in its if block.words != 'mermaid'):
        for line in (block.text + block.output).splitlines():
            # A diff shows lines of the code, one character to the right.
            assert len(line) <= (101 if block.words == 'diff' else 96), f'{block.place}: {line}'


@pytest.mark.parametrize('page', [INDEX, *PAGES], ids=['README.md', *NAMES])
def test_every_link_of_a_page_has_an_end(page):
    text = page.read_text()
    prose = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    assert not re.search(r'\bline \d+\b|#L\d+', prose)
    ends = re.findall(r'^\[([^\]]+)\]: +(\S+)', prose, re.M)
    assert len({name for name, _ in ends}) == len(ends)
    links = re.findall(r'\]\[([a-z]\w*)\]', prose)
    assert set(links) == {name for name, _ in ends}
    for link in [end for _, end in ends] + re.findall(r'\]\(([^)\s]+)\)', prose):
        if link.startswith(NOVA):
            assert re.match(r'(blob|tree|commit)/[0-9a-f]{40}\b', link.removeprefix(NOVA)), link
        elif not link.startswith(('https://', 'http://', '#')):
            assert (page.parent / link.partition('#')[0]).exists(), link


def test_the_index_names_every_page():
    assert INDEX.read_text().startswith('# From the toy to Nova\n')
    assert re.findall(r'\]\((\d\d-[^)]*)\)', INDEX.read_text())[:len(NAMES)] == NAMES


# What the lessons have made of the toy.

@pytest.fixture
def grown(reader, tmp_path):
    """A new reader of what there is after the last lesson, with a database of its own."""
    if not NAMES or reader.done != NAMES:
        pytest.skip('the lessons have not been followed to their end')
    folder = tmp_path / 'checkout'
    follow.state('end', folder)
    (folder / 'venv').symlink_to(reader.folder / 'venv')
    (tmp_path / 'scratch').mkdir()
    grown = Reader(folder, tmp_path / 'scratch')
    yield grown
    grown.close()


def start(grown, command='venv/bin/python server.py'):
    """Make the table and start a server; return its port."""
    assert grown.run('venv/bin/python database.py') == ''
    grown.serve(command)
    return int(grown.port)


def test_the_contract_after_the_last_lesson(grown):
    port = start(grown)
    status, content, _ = call(port, 'GET', URL)
    assert status == 200
    assert [server['name'] for server in content['servers']] == ['inst-0', 'inst-1', 'inst-2']
    status, content, headers = call(port, 'POST', URL, '{"server": {"name": "demo_one"}}', JSON)
    server = content['server']
    path = f'{URL}/{server["id"]}'
    assert (status, headers['Location']) == (201, f'http://localhost:{port}{path}')
    assert is_uuid4(server['id']) and server['name'] == 'demo_one'
    assert call(port, 'GET', path)[:2] == (200, {'server': server})
    renamed = {'server': {**server, 'name': 'demo_two'}}
    assert call(port, 'PUT', path, '{"name": "demo_two"}', JSON)[:2] == (200, renamed)
    assert call(port, 'GET', URL)[1]['servers'][3] == {'id': server['id'], 'name': 'demo_two'}
    assert call(port, 'DELETE', path)[:2] == (204, None)
    assert call(port, 'GET', path)[0] == 404


FORM = {**TOKEN, 'Content-Type': 'application/x-www-form-urlencoded'}
REFUSALS = [
    # method, URL, body, headers, status, key, the message names
    ('GET', URL, None, {}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', '/v2.1/nowhere', None, {}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', URL, None, {'X-Auth-Token': 'open'}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', URL, None, {'X-Project-Id': 'demo'}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', '/v2.1/lab/servers', None, TOKEN, 400, 'badRequest', "project_id 'lab'"),
    ('GET', '/v2.1/%FF/servers?%FF', None, TOKEN, 400, 'badRequest', 'project_id'),
    ('GET', f'{URL}/42', None, TOKEN, 404, 'itemNotFound', '42'),
    ('GET', f'{URL}/%00', None, TOKEN, 404, 'itemNotFound', 'could not be found'),
    ('GET', f'{URL}/new', None, TOKEN, 404, 'itemNotFound', 'Instance new'),
    ('GET', f'{URL}/web.01', None, TOKEN, 404, 'itemNotFound', 'Instance web.01'),
    ('GET', f'{URL}/caf%C3%A9', None, TOKEN, 404, 'itemNotFound', 'Instance café'),
    ('GET', f'{URL}%0A', None, TOKEN, 404, 'itemNotFound', 'URL'),
    ('GET', f'{URL}?limit=x', None, TOKEN, 400, 'badRequest', 'limit'),
    ('GET', f'{URL}?limit=-1', None, TOKEN, 400, 'badRequest', 'limit'),
    ('GET', f'{URL}?marker=42', None, TOKEN, 400, 'badRequest', '42'),
    ('GET', f'{URL}?name=(a%2B)%2Bb', None, TOKEN, 400, 'badRequest', 'parentheses'),
    ('GET', f'{URL}?name=%FF', None, TOKEN, 400, 'badRequest', 'query'),
    ('DELETE', '/v2.1', None, {}, 405, 'badMethod', 'GET, HEAD'),
    ('GET', f'{URL}/42/ips', None, TOKEN, 404, 'itemNotFound', '42'),
    ('DELETE', f'{URL}/42', None, TOKEN, 404, 'itemNotFound', '42'),
    ('PUT', f'{URL}/42', 'name=x', FORM, 404, 'itemNotFound', '42'),
    ('GET', '/v2.1/demo/nowhere', None, TOKEN, 404, 'itemNotFound', 'URL'),
    ('PATCH', URL, None, TOKEN, 405, 'badMethod', 'GET, POST'),
    ('HEAD', URL, None, TOKEN, 405, None, None),
    ('POST', URL, None, TOKEN, 400, 'badRequest', 'name'),
    ('POST', URL, 'name=', FORM, 400, 'badRequest', 'name'),
    ('POST', URL, 'name=a%00b', FORM, 400, 'badRequest', 'printed'),
    ('POST', URL, 'name=' + 'x' * 256, FORM, 400, 'badRequest', '255'),
    ('POST', f'{URL}?name=%FF', None, TOKEN, 400, 'badRequest', 'cannot be read'),
    ('POST', URL, '{"name": "\\ud800"}', JSON, 400, 'badRequest', 'printed'),
    ('POST', URL, '{"server": 5}', JSON, 400, 'badRequest', 'name'),
    ('POST', URL, '[]', JSON, 400, 'badRequest', 'object'),
    ('POST', URL, '{', JSON, 400, 'badRequest', 'cannot be read'),
    ('POST', URL, '[' * 4000, JSON, 400, 'badRequest', 'cannot be read'),
    ('POST', URL, 'x', {**TOKEN, 'Content-Type': 'multipart/form-data'}, 400, 'badRequest',
     'boundary'),
    ('POST', URL, '--x\r\nContent-Disposition: form-data; name=name\r\n'
     'Content-Type: application/x-www-form-urlencoded\r\nContent-Transfer-Encoding: base64\r\n\r\n'
     'a=b\r\n--x--\r\n', {**TOKEN, 'Content-Type': 'multipart/form-data; boundary=x'}, 400,
     'badRequest', 'cannot be read'),
    ('POST', URL, '{}', {**JSON, 'Content-Length': 'two'}, 400, 'badRequest', 'Content-Length'),
    ('POST', URL, '<x/>', {**TOKEN, 'Content-Type': 'application/xml'}, 415, 'badMediaType',
     'application/json'),
    ('POST', URL, 'x' * 5000, FORM, 413, 'overLimit', '4096'),
    ('POST', URL, 'x' * 5000, {}, 413, 'overLimit', '4096'),
    ('POST', URL, None, {**JSON, 'Transfer-Encoding': 'chunked'}, 411, 'badRequest', 'Content-Length'),
    ('POST', f'{URL}/42/action', '{}', JSON, 400, 'badRequest', 'one action'),
    ('POST', f'{URL}/42/action', '[]', JSON, 400, 'badRequest', 'object'),
    ('POST', f'{URL}/42/action', '{"a": 1, "b": 2}', JSON, 400, 'badRequest', 'one action'),
    ('POST', f'{URL}/42/action', '{"explode": null}', JSON, 400, 'badRequest', 'explode'),
    ('POST', f'{URL}/42/action', '{"reboot": null}', JSON, 400, 'badRequest', 'SOFT'),
    ('POST', f'{URL}/42/action', '{"reboot": {"type": []}}', JSON, 400, 'badRequest', 'SOFT'),
    ('POST', f'{URL}/42/action', '{"pause": null}', JSON, 404, 'itemNotFound', '42'),
    ('GET', '/v2.1/demo/flavors/huge', None, TOKEN, 404, 'itemNotFound', 'huge'),
    ('POST', '/v2.1/demo/flavors', '{}', JSON, 405, 'badMethod', 'only GET.'),
]


def test_the_refusals_after_the_last_lesson(grown):
    port = start(grown)
    before = call(port, 'GET', f'{URL}/detail')[1]
    for method, url, body, headers, status, key, names in REFUSALS:
        found, content, answer_headers = call(port, method, url, body, headers)
        assert (method, url, found) == (method, url, status)
        assert answer_headers['Content-Type'] == 'application/json'
        assert (content is None) == (method == 'HEAD')
        if content:
            assert list(content) == [key]
            assert content[key]['code'] == status
            assert names in content[key]['message']
        if status == 405:
            assert names is None or answer_headers['Allow'] in names
    assert call(port, 'GET', f'{URL}/detail')[1] == before
    assert 'Traceback' not in grown.terminals['server'].log.read_text()


# Several processes, one database.

def postgresql_programs():
    """Return the folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    found = shutil.which('pg_ctl') or max(glob.glob('/usr/lib/postgresql/*/bin/pg_ctl'), default='')
    return os.path.dirname(found)


@contextlib.contextmanager
def postgresql():
    """Run a PostgreSQL on a socket of its own, and give its URL. It refuses to be root."""
    user = 'postgres' if os.getuid() == 0 else None
    folder = tempfile.mkdtemp()     # short: a socket's path has 107 bytes at most
    if user:
        shutil.chown(folder, user)

    def run(program, *options):
        subprocess.run([f'{postgresql_programs()}/{program}', '-D', f'{folder}/data', *options],
                       user=user, cwd=folder, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
    try:
        run('initdb', '--auth=trust', '--username=nova', '--encoding=UTF8', '--no-sync')
        run('pg_ctl', '-w', '-l', f'{folder}/log', '-o', f"-k {folder} -c listen_addresses=''",
            'start')
        try:
            yield f'postgresql+psycopg://nova@/postgres?host={folder}'
        finally:
            run('pg_ctl', '-m', 'immediate', 'stop')
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=['SQLite', 'PostgreSQL'])
def database(request, grown):
    """The grown toy, on each kind of database."""
    if request.param == 'SQLite':
        yield grown
    elif not postgresql_programs():
        pytest.skip('no PostgreSQL is installed here')
    else:
        assert grown.run("venv/bin/pip install -q 'psycopg[binary]'") == ''
        ini = grown.folder / 'configure.ini'
        with postgresql() as url:
            ini.write_text(re.sub('sqlite:.*', lambda found: url, ini.read_text()))
            yield grown
            grown.stop()


FOUR_WORKERS = ('venv/bin/gunicorn --paste configure.ini -b localhost:8000 -w 4'
                ' -p gunicorn.pid --log-level critical')


def a_life(port, name):
    """Create a server, and race with a rename and two deletes; return one that stays."""
    def do(method, path, body=None):
        return call(port, method, path, body and json.dumps(body), JSON)[:2]
    server = do('POST', URL, {'name': name})[1]['server']
    path = f'{URL}/{server["id"]}'
    assert do('GET', path) == (200, {'server': server})
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        rename = pool.submit(do, 'PUT', path, {'name': 'renamed'})
        deletes = [pool.submit(do, 'DELETE', path) for _ in range(2)]
    assert rename.result()[0] in (200, 404)
    assert sorted(delete.result()[0] for delete in deletes) == [204, 404]
    assert do('GET', path)[0] == 404
    return do('POST', URL, {'name': f'{name} stays'})[1]['server']['id']


def test_four_workers_agree(database):
    port = start(database, FOUR_WORKERS)
    before = [server['id'] for server in call(port, 'GET', URL)[1]['servers']]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: a_life(port, f'n{number}'), range(40)))
    after = [server['id'] for server in call(port, 'GET', URL)[1]['servers']]
    assert len(before) == 3 and after[:3] == before
    assert sorted(after[3:]) == sorted(kept)
    assert start(database) == port          # and a restart keeps everything
    assert [server['id'] for server in call(port, 'GET', URL)[1]['servers']] == after


def test_a_broken_chunk_is_refused_under_gunicorn(grown):
    port = start(grown, FOUR_WORKERS)
    answer = send(port, f'POST {URL} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: open-sesame\r\n'
                  'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n'
                  'Connection: close\r\n\r\nzz\r\nabc\r\n0\r\n\r\n'.encode())
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')
    assert b'{"badRequest":{"code":400,"message":"The request cannot be read: ' in answer


def test_a_killed_worker_loses_nothing(database):
    port = start(database, FOUR_WORKERS)
    created = []
    for number in range(60):
        if number % 10 == 5:
            database.run('kill -9 $(pgrep -P $(cat gunicorn.pid) | head -n 1)')
        with contextlib.suppress(ConnectionError):
            status, content, _ = call(port, 'POST', URL, f'{{"name": "n{number}"}}', JSON)
            assert status == 201
            created.append(content['server']['id'])
    found = {server['id'] for server in call(port, 'GET', URL)[1]['servers']}
    assert len(created) > 50 and found.issuperset(created)
