"""LESSONS.md, followed from the repository as it is to the real client.

The lessons share one folder, as they do for a reader: each begins where the one
before has ended. Those that install packages are skipped without a network.
"""
import concurrent.futures
import contextlib
import glob
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from documents import Reader, blocks
from support import ROOT, TOKEN, call, is_uuid4, send

LESSONS = ROOT / 'LESSONS.md'
PARTS = ['Why', 'The change', 'Try it', 'What happened', 'In nova', 'Break it']
CHAPTERS = [(chapter, list(group)) for chapter, group in itertools.groupby(
    blocks(LESSONS), lambda block: block.heading.split(' ### ')[0])]
NAMES = [name for name, _ in CHAPTERS]
URL = '/v2.1/demo/servers'
JSON = {**TOKEN, 'Content-Type': 'application/json'}


@pytest.fixture(scope='module')
def reader(tmp_path_factory, network):
    """A reader with a copy of the repository, and with a venv that may be added to."""
    folder = tmp_path_factory.mktemp('lessons') / 'checkout'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns('.git', 'venv', '__pycache__'))
    reader = Reader(folder, tmp_path_factory.mktemp('scratch'))
    if network:
        # Beside the folder, which is copied before every "Break it".
        reader.run('python3 -m venv ../venv && ln -s ../venv venv'
                   ' && venv/bin/pip install -q -r requirements.txt')
    else:
        (folder / 'venv').symlink_to(sys.prefix)
    reader.done = []
    yield reader
    reader.close()


@pytest.mark.parametrize('name, its_blocks', CHAPTERS, ids=NAMES)
def test_a_lesson_does_what_it_says(reader, network, name, its_blocks):
    if not network and any('$ venv/bin/pip install' in block.text for block in its_blocks):
        pytest.skip('no network: this lesson needs packages of its own')
    assert reader.done == NAMES[:NAMES.index(name)], 'a lesson before this one has failed'
    for block in its_blocks:
        reader.follow(block)
    reader.mind_breaks('')
    reader.done.append(name)


def test_every_lesson_has_the_same_form():
    text = LESSONS.read_text()
    lessons = re.findall(r'^## (\d+\. .*)$', text, re.M)
    assert [int(lesson.split('.')[0]) for lesson in lessons] == list(range(1, 13))
    assert re.findall(r'^### (.*)$', text, re.M) == PARTS * 12
    assert NAMES == ['## How to follow', *(f'## {lesson}' for lesson in lessons)]
    contents = re.findall(r'^\| \[(.*?)\]\(#(.*?)\)', text, re.M)
    assert contents == [(lesson, re.sub(r'[^\w -]', '', lesson.lower()).replace(' ', '-'))
                        for lesson in lessons]


def test_every_link_of_the_lessons_has_an_end():
    text = LESSONS.read_text()
    ends = re.findall(r'^\[(\w+)\]: ', text, re.M)
    assert len(ends) == len(set(ends))
    assert set(re.findall(r'`\]\[(\w+)\]', text)) == set(ends)


# What the lessons have made of the toy.

@pytest.fixture
def grown(reader, tmp_path):
    """A new reader of what there is after the last lesson, with a database of its own."""
    if reader.done != NAMES:
        pytest.skip('the lessons have not been followed to their end')
    reader.stop()
    folder = tmp_path / 'checkout'
    shutil.copytree(reader.folder, folder, ignore=shutil.ignore_patterns('venv'))
    (folder / 'venv').symlink_to(reader.folder / 'venv')
    ini = folder / 'configure.ini'
    ini.write_text(re.sub(rf'(?<![-\w]){reader.port}(?![-\w])', '8000', ini.read_text()))
    (folder / 'servers.sqlite').unlink(missing_ok=True)
    (tmp_path / 'scratch').mkdir()
    grown = Reader(folder, tmp_path / 'scratch')
    yield grown
    grown.close()


def start(grown, command='venv/bin/python server.py'):
    """Make the table and start a server; return its port."""
    assert grown.run('venv/bin/python database.py') == ''
    expected = '' if 'gunicorn' in command else 'Listening on http://localhost:8000, until Ctrl-C.'
    grown.serve(command, expected)
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
    ('GET', f'{URL}/new', None, TOKEN, 404, 'itemNotFound', 'action'),
    ('GET', f'{URL}/web.01', None, TOKEN, 404, 'itemNotFound', '01'),
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
    ('POST', URL, '[' * 60000, JSON, 400, 'badRequest', 'cannot be read'),
    ('POST', URL, 'x', {**TOKEN, 'Content-Type': 'multipart/form-data'}, 400, 'badRequest',
     'boundary'),
    ('POST', URL, '--x\r\nContent-Disposition: form-data; name=name\r\n'
     'Content-Type: application/x-www-form-urlencoded\r\nContent-Transfer-Encoding: base64\r\n\r\n'
     'a=b\r\n--x--\r\n', {**TOKEN, 'Content-Type': 'multipart/form-data; boundary=x'}, 400,
     'badRequest', 'cannot be read'),
    ('POST', URL, '{}', {**JSON, 'Content-Length': 'two'}, 400, 'badRequest', 'Content-Length'),
    ('POST', URL, '<x/>', {**TOKEN, 'Content-Type': 'application/xml'}, 415, 'badMediaType',
     'application/json'),
    ('POST', URL, 'x' * 70000, FORM, 413, 'overLimit', '65536'),
    ('POST', URL, 'x' * 70000, {}, 413, 'overLimit', '65536'),
    ('POST', URL, iter([b'{}']), JSON, 411, 'badRequest', 'Content-Length'),
    ('POST', f'{URL}/42/action', '{}', JSON, 400, 'badRequest', 'one action'),
    ('POST', f'{URL}/42/action', '[]', JSON, 400, 'badRequest', 'object'),
    ('POST', f'{URL}/42/action', '{"a": 1, "b": 2}', JSON, 400, 'badRequest', 'one action'),
    ('POST', f'{URL}/42/action', '{"explode": null}', JSON, 400, 'badRequest', 'explode'),
    ('POST', f'{URL}/42/action', '{"reboot": null}', JSON, 400, 'badRequest', 'SOFT'),
    ('POST', f'{URL}/42/action', '{"reboot": {"type": []}}', JSON, 400, 'badRequest', 'SOFT'),
    ('POST', f'{URL}/42/action', '{"pause": null}', JSON, 404, 'itemNotFound', '42'),
    ('GET', '/v2.1/demo/flavors/huge', None, TOKEN, 404, 'itemNotFound', 'huge'),
    ('POST', '/v2.1/demo/flavors', '{}', JSON, 404, 'itemNotFound', 'action'),
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
            assert answer_headers['Allow'] == 'GET, POST'
    assert call(port, 'GET', f'{URL}/detail')[1] == before
    assert 'Traceback' not in grown.log.read_text()


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
