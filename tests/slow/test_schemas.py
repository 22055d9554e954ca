"""The grown toy responds as Nova's own schemas of responses say, where Nova has the request."""
import json
import pathlib
import subprocess
import time

import pytest

import follow
import grown
import states
from documents import listens
from support import JSON, TOKEN, call, free_port, install, wait_until

SCRIPT = pathlib.Path(__file__).with_name('nova_schemas.py')
NEEDED = ['jsonschema', 'netaddr', 'oslo.serialization', 'oslo.utils', 'rfc3986']
IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b'
NEW = {'server': {'name': 'web', 'flavorRef': '2', 'imageRef': IMAGE, 'metadata': {'a': 'b'}}}

# A request, its body, the status or two that the toy may respond with, and where Nova has it.
# ID is the id of a server, which the second request creates.
CALLS = [
    ('GET /', None, [200], 'versions.py', 'Versions.index'),
    ('POST /v2.1/servers', NEW, [201, 202], 'servers.py', 'ServersController.create'),
    ('GET /v3', None, [300], 'versions.py', 'Versions.multi'),
    ('GET /v2.1', None, [200], 'versions.py', 'VersionsV2.index'),
    ('GET /v2.1/', None, [200], 'versions.py', 'VersionsV2.index'),
    ('GET /v2.1/servers', None, [200], 'servers.py', 'ServersController.index'),
    ('GET /v2.1/servers?limit=1', None, [200], 'servers.py', 'ServersController.index'),
    ('GET /v2.1/cafe/servers', None, [200], 'servers.py', 'ServersController.index'),
    ('GET /v2.1/servers/detail', None, [200], 'servers.py', 'ServersController.detail'),
    ('GET /v2.1/servers/detail?limit=1', None, [200], 'servers.py', 'ServersController.detail'),
    ('GET /v2.1/cafe/servers/detail', None, [200], 'servers.py', 'ServersController.detail'),
    ('GET /v2.1/servers/ID', None, [200], 'servers.py', 'ServersController.show'),
    ('GET /v2.1/cafe/servers/ID', None, [200], 'servers.py', 'ServersController.show'),
    ('PUT /v2.1/servers/ID', {'server': {'name': 'db'}}, [200], 'servers.py',
     'ServersController.update'),
    ('GET /v2.1/servers/ID/ips', None, [200], 'ips.py', 'IPsController.index'),
    ('GET /v2.1/servers/ID/ips/private', None, [200], 'ips.py', 'IPsController.show'),
    ('POST /v2.1/servers/ID/action', {'reboot': {'type': 'HARD'}}, [202], 'servers.py',
     'ServersController._reboot'),
    ('POST /v2.1/servers/ID/action', {'os-stop': None}, [202], 'servers.py',
     'ServersController._stop'),
    ('GET /v2.1/servers/ID', None, [200], 'servers.py', 'ServersController.show'),
    ('POST /v2.1/servers/ID/action', {'os-start': None}, [202], 'servers.py',
     'ServersController._start'),
    ('POST /v2.1/servers/ID/action', {'pause': None}, [202], 'pause_server.py',
     'PauseServerController._pause'),
    ('GET /v2.1/servers/ID', None, [200], 'servers.py', 'ServersController.show'),
    ('POST /v2.1/servers/ID/action', {'unpause': None}, [202], 'pause_server.py',
     'PauseServerController._unpause'),
    ('GET /v2.1/flavors', None, [200], 'flavors.py', 'FlavorsController.index'),
    ('GET /v2.1/flavors?limit=1', None, [200], 'flavors.py', 'FlavorsController.index'),
    ('GET /v2.1/flavors/detail', None, [200], 'flavors.py', 'FlavorsController.detail'),
    ('GET /v2.1/flavors/detail?limit=1', None, [200], 'flavors.py', 'FlavorsController.detail'),
    ('GET /v2.1/flavors/2', None, [200], 'flavors.py', 'FlavorsController.show'),
    ('GET /v2.1/flavors/2/os-extra_specs', None, [200], 'flavors_extraspecs.py',
     'FlavorExtraSpecsController.index'),
    ('DELETE /v2.1/servers/ID', None, [204], 'servers.py', 'ServersController.delete'),
]


@pytest.fixture
def toy(tmp_path, venv):
    """The port of the grown toy."""
    port, folder = free_port(), tmp_path / 'toy'
    grown.make(folder)
    ini = folder / 'configure.ini'
    ini.write_text(states.with_port(ini.read_text(), port))
    python = pathlib.Path(venv) / 'bin' / 'python'
    subprocess.run([python, '-B', 'manage.py'], cwd=folder, check=True, capture_output=True)
    with open(tmp_path / 'log', 'w') as log:
        process = subprocess.Popen([python, '-B', 'server.py'], cwd=folder, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: listens(port), 20), (tmp_path / 'log').read_text()
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def errors(environment, no_download):
    """A function that returns what Nova's schemas find wrong with each response."""
    with no_download(['34.0.0']):
        wheel = follow.wheel_of('nova', '34.0.0')
    install(environment, *NEEDED)

    def errors(responses):
        done = subprocess.run([environment / 'bin' / 'python', SCRIPT, wheel], text=True,
                              input=json.dumps(responses), capture_output=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return errors


def send(port, line, body, version, wanted):
    """Send a request; return the microversion of the response and its content."""
    method, path = line.split()
    headers = {**TOKEN, **(JSON if body else {}),
               **({'OpenStack-API-Version': f'compute {version}'} if version else {})}
    answer = call(port, method, path, json.dumps(body) if body else None, headers)
    assert answer.status in wanted, (line, body, answer)
    used = answer.headers.get('OpenStack-API-Version', 'compute 2.1').split()[1]
    return used, answer.content


def wait_for(port, server_id):
    """Wait until a server is built, and no task is under way."""
    for _ in range(200):
        server = send(port, f'GET /v2.1/servers/{server_id}', None, None, [200])[1]['server']
        if server['status'] != 'BUILD' and not server['OS-EXT-STS:task_state']:
            return
        time.sleep(0.05)
    pytest.fail(f'the server is not ready: {server}')


@pytest.mark.parametrize('version', [None, 'latest'])
def test_the_schemas_hold(toy, errors, version):
    server_id, responses = '', []
    for line, body, wanted, file, method in CALLS:
        line = line.replace('ID', server_id)
        used, content = send(toy, line, body, version, wanted)
        responses.append([file, method, used, content])
        if method == 'ServersController.create':
            server_id = content['server']['id']
        if server_id and method != 'ServersController.delete':
            wait_for(toy, server_id)
    wrong = [(line, found) for (line, *_), found in zip(CALLS, errors(responses)) if found]
    assert not wrong


def test_a_missing_field_is_found(toy, errors):
    used, content = send(toy, 'GET /v2.1/servers/detail', None, None, [200])
    right = ['servers.py', 'ServersController.detail', used, content]
    wrong = json.loads(json.dumps(right))
    del wrong[3]['servers'][0]['created']
    none, some = errors([right, wrong])
    assert none == [] and "'created' is a required property" in some[0]
