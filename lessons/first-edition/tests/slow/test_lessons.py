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
import sys
import tempfile
import time

import pytest

from documents import Reader, blocks, follow
from support import ROOT, TOKEN, call, is_uuid4, send

pytestmark = pytest.mark.slow

INDEX = ROOT / 'lessons' / 'README.md'
OTHERS = [ROOT / 'lessons' / name for name in ('NOT-AS-IN-NOVA.md', 'WHERE-TO-GO.md')]
PAGES = follow.pages()
NAMES = [page.name for page in PAGES]
PARTS = ['Why', 'The change', 'Try it', 'What happened', 'In Nova', 'Break it', 'Your turn']
NOVA = 'https://github.com/openstack/nova/'
URL = '/v2.1/demo/servers'
JSON = {**TOKEN, 'Content-Type': 'application/json'}


# Each page is followed.

def test_the_index_does_what_it_says(reader):
    clone = reader.folder
    try:
        assert reader.read(INDEX) >= 1
    finally:
        reader.folder = clone       # page 1 begins here again


@pytest.mark.parametrize('page', PAGES, ids=NAMES)
def test_a_page_does_what_it_says(reader, page):
    python = follow.needs(page)
    if python and sys.version_info < python:
        pytest.skip(f'{page.name} needs Python {python[0]}.{python[1]} or newer, as Nova does')
    assert reader.done == NAMES[:NAMES.index(page.name)], 'a page before this one has failed'
    if '**Needs:** RabbitMQ' in page.read_text() and not glob.glob('/usr/lib/rabbitmq/lib/*'):
        for block in follow.lasting(page):
            follow.change(block, reader.folder)
        reader.done.append(page.name)
        pytest.skip(f'{page.name} needs RabbitMQ, which is not installed here')
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
    assert ('nova==' in text) <= (follow.needs(page) is not None)
    assert page in follow.before('end') or not [p for p in PAGES[number:] if not follow.needs(p)]
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


@pytest.mark.parametrize('page', [INDEX, *PAGES, *OTHERS], ids=lambda page: page.name)
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


def test_the_readme_promises_what_a_page_shows():
    promise = next(block.text for block in blocks(ROOT / 'README.md')
                   if block.words == 'text picture' and 'nova/' in block.text)
    shown = ''.join(block.text for page in PAGES if follow.needs(page) for block in blocks(page))
    assert set(promise.splitlines()) <= set(shown.splitlines())


def test_the_last_pages_are_found():
    for page in OTHERS:
        assert f']({page.name})' in INDEX.read_text()
        assert '](README.md)' in page.read_text()
    assert f']({OTHERS[-1].name})' in PAGES[-1].read_text()


# What the lessons have made of the toy.

@pytest.fixture
def grown(reader, tmp_path):
    """A new reader of what there is after the last lesson, with a database of its own."""
    any_python = [page.name for page in follow.before('end')]
    if not any_python or reader.done[:len(any_python)] != any_python:
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


def server_of(name):
    return json.dumps({'server': {'name': name, 'flavorRef': 'toy'}})


def in_the_end(port, path, status):
    """Wait until a server has a status."""
    deadline = time.monotonic() + 20
    while (found := call(port, 'GET', path)[1]['server'])['status'] != status:
        assert time.monotonic() < deadline, f'it is {found["status"]}, not {status}'
        time.sleep(0.1)
    return found


def test_the_contract_after_the_last_lesson(grown):
    port = start(grown)
    status, content, _ = call(port, 'GET', URL)
    assert status == 200
    assert [server['name'] for server in content['servers']] == ['inst-2', 'inst-1', 'inst-0']
    status, content, headers = call(port, 'POST', URL, server_of('demo_one'), JSON)
    server = content['server']
    path = f'{URL}/{server["id"]}'
    assert (status, headers['Location']) == (202, f'http://localhost:{port}{path}')
    assert re.fullmatch('req-[0-9a-f-]{36}', headers['X-Openstack-Request-Id'])
    assert is_uuid4(server['id']) and (server['name'], server['status']) == ('demo_one', 'BUILD')
    message = f"Cannot 'pause' instance {server['id']} while it is in vm_state building"
    assert call(port, 'POST', f'{path}/action', '{"pause": null}', JSON)[:2] == (
        409, {'conflictingRequest': {'code': 409, 'message': message}})
    assert in_the_end(port, path, 'ACTIVE') == {**server, 'status': 'ACTIVE'}
    renamed = {'server': {**server, 'status': 'ACTIVE', 'name': 'demo_two'}}
    assert call(port, 'PUT', path, '{"server": {"name": "demo_two"}}', JSON)[:2] == (200, renamed)
    assert call(port, 'PUT', path, '{"server": {}}', JSON)[:2] == (200, renamed)
    assert call(port, 'GET', URL)[1]['servers'][0] == {'id': server['id'], 'name': 'demo_two'}
    for action, status in [('pause', 'PAUSED'), ('unpause', 'ACTIVE'), ('os-stop', 'SHUTOFF'),
                           ('os-start', 'ACTIVE')]:
        found = call(port, 'POST', f'{path}/action', f'{{"{action}": null}}', JSON)
        assert found[:2] == (202, None)
        assert call(port, 'GET', path)[1]['server']['status'] == status
    assert call(port, 'DELETE', path)[:2] == (204, None)
    assert call(port, 'GET', path)[0] == 404


def test_a_field_and_an_action_appear_at_their_version(grown):
    port = start(grown)
    path = f'{URL}/{call(port, "GET", URL)[1]["servers"][0]["id"]}'
    for version, used, field, action in [
            (None, '2.1', False, 404), ('compute 2.16', '2.16', False, 404),
            ('compute 2.17', '2.17', False, 202), ('compute 2.18', '2.18', False, 202),
            ('compute 2.19', '2.19', True, 202), ('compute latest', '2.19', True, 202),
            ('volume 3.1, compute 2.19', '2.19', True, 202), ('volume 3.1', '2.1', False, 404)]:
        headers = {**JSON, 'OpenStack-API-Version': version} if version else JSON
        status, content, answered = call(port, 'GET', path, None, headers)
        assert (status, answered['OpenStack-API-Version']) == (200, f'compute {used}')
        assert ('description' in content['server']) == field
        found = call(port, 'POST', f'{path}/action', '{"trigger_crash_dump": null}', headers)
        assert found[0] == action
    described = '{"server": {"name": "x", "flavorRef": "toy", "description": "y"}}'
    status, content, _ = call(port, 'POST', URL, described,
                              {**JSON, 'OpenStack-API-Version': 'compute 2.19'})
    assert (status, content['server']['description']) == (202, 'y')


READER = {'X-Auth-Token': 'open-window', 'Content-Type': 'application/json'}
LAB = {'X-Auth-Token': 'open-barley', 'Content-Type': 'application/json'}
ADMIN = {'X-Auth-Token': 'open-gate', 'Content-Type': 'application/json'}


def test_the_policy_after_the_last_lesson(grown):
    port = start(grown)
    path = f'{URL}/{call(port, "GET", URL)[1]["servers"][0]["id"]}'
    theirs, lab = path.replace('demo', 'lab'), URL.replace('demo', 'lab')

    def forbidden(rule):
        message = f"Policy doesn't allow os_compute_api:{rule} to be performed."
        return 403, {'forbidden': {'code': 403, 'message': message}}
    for method, url, body, headers, expected in [
            ('GET', URL, None, READER, 200),
            ('GET', path, None, READER, 200),
            ('GET', f'{path}/ips', None, READER, 200),
            ('POST', URL, server_of('x'), READER, forbidden('servers:create')),
            ('PUT', path, '{"server": {"name": "x"}}', READER, forbidden('servers:update')),
            ('DELETE', path, None, READER, forbidden('servers:delete')),
            ('POST', f'{path}/action', '{"reboot": {"type": "SOFT"}}', READER,
             forbidden('servers:reboot')),
            ('POST', f'{path}/action', '{"os-stop": null}', READER, forbidden('servers:stop')),
            ('POST', f'{path}/action', '{"os-start": null}', READER, forbidden('servers:start')),
            ('POST', f'{path}/action', '{"pause": null}', READER,
             forbidden('os-pause-server:pause')),
            ('GET', f'{URL}?all_tenants=1', None, TOKEN,
             forbidden('servers:index:get_all_tenants')),
            ('GET', theirs, None, LAB, 404), ('DELETE', theirs, None, LAB, 404),
            ('GET', theirs, None, ADMIN, 200), ('GET', lab, None, ADMIN, 200)]:
        found = call(port, method, url, body, headers)[:2]
        assert (method, url, found if isinstance(expected, tuple) else found[0]) == (
            method, url, expected)
    assert call(port, 'GET', lab, None, ADMIN)[1] == {'servers': []}
    assert len(call(port, 'GET', f'{lab}?all_tenants=1', None, ADMIN)[1]['servers']) == 3


FORM = {**TOKEN, 'Content-Type': 'application/x-www-form-urlencoded'}
TOO_NEW = {**TOKEN, 'OpenStack-API-Version': 'compute 2.20'}
NO_VERSION = {**TOKEN, 'OpenStack-API-Version': 'compute 2.1.1'}
REFUSALS = [
    # method, URL, body, headers, status, key, the message names
    ('GET', URL, None, {}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', '/v2.1/nowhere', None, {}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', URL, None, {'X-Auth-Token': 'open'}, 403, 'forbidden', 'X-Auth-Token'),
    ('GET', URL, None, {'X-Project-Id': 'demo', 'X-Roles': 'admin'}, 403, 'forbidden',
     'X-Auth-Token'),
    ('DELETE', f'{URL}/42', None, {**READER, 'X-Roles': 'admin'}, 404, 'itemNotFound', '42'),
    ('POST', URL, server_of('x'), {**READER, 'X-Roles': 'admin'}, 403, 'forbidden', 'create'),
    ('GET', URL, None, TOO_NEW, 406, 'computeFault', 'maximum is 2.19'),
    ('GET', URL, None, NO_VERSION, 400, 'badRequest', '2.1.1'),
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
    ('PUT', f'{URL}/42', '{"server": {"name": "x"}}', JSON, 404, 'itemNotFound', '42'),
    ('GET', '/v2.1/demo/nowhere', None, TOKEN, 404, 'itemNotFound', 'URL'),
    ('PATCH', URL, None, TOKEN, 405, 'badMethod', 'GET, POST'),
    ('HEAD', URL, None, TOKEN, 405, None, None),
    ('POST', URL, None, TOKEN, 400, 'badRequest', "None is not of type 'object'"),
    ('POST', URL, 'name=x', FORM, 415, 'badMediaType', 'Unsupported Content-Type'),
    ('POST', URL, '<x/>', {**TOKEN, 'Content-Type': 'application/xml'}, 415, 'badMediaType',
     'Unsupported Content-Type'),
    ('POST', URL, server_of(''), JSON, 400, 'badRequest', 'non-empty'),
    ('POST', URL, server_of(' x'), JSON, 400, 'badRequest', 'whitespace'),
    ('POST', URL, server_of('a\0b'), JSON, 400, 'badRequest', 'printable'),
    ('POST', URL, server_of('\ud800'), JSON, 400, 'badRequest', 'printable'),
    ('POST', URL, server_of('x' * 256), JSON, 400, 'badRequest', 'too long'),
    ('POST', URL, server_of(5), JSON, 400, 'badRequest', "5 is not of type 'string'"),
    ('POST', URL, '{"server": {"name": "x"}}', JSON, 400, 'badRequest', "'flavorRef'"),
    ('POST', URL, '{"server": {"name": "x", "flavorRef": "toy", "nmae": "y"}}', JSON, 400,
     'badRequest', "'nmae' was unexpected"),
    ('POST', URL, '{"server": {"name": "x", "flavorRef": "toy", "description": "y"}}', JSON, 400,
     'badRequest', "'description' was unexpected"),
    ('POST', URL, '{"server": 5}', JSON, 400, 'badRequest', 'field/attribute server'),
    ('POST', URL, '[]', JSON, 400, 'badRequest', "[] is not of type 'object'"),
    ('POST', URL, '{', JSON, 400, 'badRequest', 'Malformed request body'),
    ('POST', URL, '[' * 4000, JSON, 400, 'badRequest', 'Malformed request body'),
    ('POST', URL, b'"\xff"', JSON, 400, 'badRequest', 'Malformed request body'),
    ('POST', URL, '{}', {**JSON, 'Content-Length': 'two'}, 400, 'badRequest', 'Content-Length'),
    ('POST', URL, 'x' * 5000, FORM, 413, 'overLimit', '4096'),
    ('POST', URL, 'x' * 5000, {}, 413, 'overLimit', '4096'),
    ('POST', URL, None, {**JSON, 'Transfer-Encoding': 'chunked'}, 411, 'badRequest',
     'Content-Length'),
    ('POST', f'{URL}/42/action', '{}', JSON, 400, 'badRequest', 'Malformed'),
    ('POST', f'{URL}/42/action', '[]', JSON, 400, 'badRequest', 'Malformed'),
    ('POST', f'{URL}/42/action', None, JSON, 400, 'badRequest', 'Malformed'),
    ('POST', f'{URL}/42/action', '{"a": 1, "b": 2}', JSON, 400, 'badRequest', 'Malformed'),
    ('POST', f'{URL}/42/action', '{"explode": null}', JSON, 400, 'badRequest', 'explode'),
    ('POST', f'{URL}/42/action', '{"reboot": null}', JSON, 400, 'badRequest', 'reboot'),
    ('POST', f'{URL}/42/action', '{"reboot": {"type": []}}', JSON, 400, 'badRequest',
     'field/attribute type'),
    ('POST', f'{URL}/42/action', '{"pause": null}', JSON, 404, 'itemNotFound', '42'),
    ('POST', f'{URL}/42/action', '{"trigger_crash_dump": null}', JSON, 404, 'itemNotFound',
     'The resource could not be found.'),
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
        if url != '/v2.1':
            assert re.fullmatch('req-[0-9a-f-]{36}', answer_headers['X-Compute-Request-Id'])
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
    def create(name):
        return call(port, 'POST', URL, server_of(name), JSON)[1]['server']
    server = create(name)
    path = f'{URL}/{server["id"]}'
    assert do('GET', path) == (200, {'server': server})
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        rename = pool.submit(do, 'PUT', path, {'server': {'name': 'renamed'}})
        deletes = [pool.submit(do, 'DELETE', path) for _ in range(2)]
    assert rename.result()[0] in (200, 404)
    assert sorted(delete.result()[0] for delete in deletes) == [204, 404]
    assert do('GET', path)[0] == 404
    return create(f'{name} stays')['id']


def test_four_workers_agree(database):
    port = start(database, FOUR_WORKERS)
    before = [server['id'] for server in call(port, 'GET', URL)[1]['servers']]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: a_life(port, f'n{number}'), range(40)))
    after = [server['id'] for server in call(port, 'GET', URL)[1]['servers']]
    assert len(before) == 3 and after[-3:] == before
    assert sorted(after[:-3]) == sorted(kept)
    assert start(database) == port          # and a restart keeps everything
    assert [server['id'] for server in call(port, 'GET', URL)[1]['servers']] == after


def test_one_of_many_is_in_time_under_four_workers(database):
    port = start(database, FOUR_WORKERS)
    server = call(port, 'POST', URL, server_of('web'), JSON)[1]['server']
    path = f'{URL}/{server["id"]}'
    in_the_end(port, path, 'ACTIVE')
    for action in ['pause', 'unpause', 'os-stop', 'os-start']:
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: call(
                port, 'POST', f'{path}/action', f'{{"{action}": null}}', JSON)[0], range(10)))
        assert sorted(answers) == [202] + 9 * [409]


def test_a_broken_chunk_is_refused_under_gunicorn(grown):
    port = start(grown, FOUR_WORKERS)
    answer = send(port, f'POST {URL} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: open-sesame\r\n'
                  'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n'
                  'Connection: close\r\n\r\nzz\r\nabc\r\n0\r\n\r\n'.encode())
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')
    assert b'{"badRequest":{"code":400,"message":"Malformed request body"}}' in answer


def test_a_killed_worker_loses_nothing(database):
    port = start(database, FOUR_WORKERS)
    created = []
    for number in range(60):
        if number % 10 == 5:
            database.run('kill -9 $(pgrep -P $(cat gunicorn.pid) | head -n 1)')
        with contextlib.suppress(ConnectionError):
            status, content, _ = call(port, 'POST', URL, server_of(f'n{number}'), JSON)
            assert status == 202
            created.append(content['server']['id'])
    found = {server['id'] for server in call(port, 'GET', URL)[1]['servers']}
    assert len(created) > 50 and found.issuperset(created)
