"""The grown toy and the real Nova 34 in one process, which answer the same requests.

    python toy_and_nova.py FOLDER-OF-THE-TOY

A line of the input is a request, as JSON; a line of the output is a pair of answers: the toy's and
Nova's. Both have the same servers, flavors and tokens, and the same filter authtoken: the toy's.
None of the services that do work are there, neither the toy's nor Nova's, and one function stands
in for Neutron, Glance and Placement. Each request finds both databases in the state that it names.
"""
import contextlib
import io
import json
import os
import pathlib
import re
import sqlite3
import sys
import threading
import traceback
import urllib.parse
import uuid
import warnings
from wsgiref import simple_server

from generator import IMAGE

FOLDER = pathlib.Path(sys.argv[1]).resolve()
NETWORK = str(uuid.UUID(int=2))
TOKEN = 'open-sesame'
GLANCE_IMAGE = {
    'id': IMAGE, 'name': 'cirros', 'status': 'active', 'container_format': 'bare',
    'disk_format': 'qcow2', 'size': 1000, 'min_ram': 0, 'min_disk': 0, 'visibility': 'public',
    'protected': False, 'owner': 'cafe', 'tags': [], 'created_at': '2026-01-01T00:00:00Z',
    'updated_at': '2026-01-01T00:00:00Z', 'checksum': 'd41d8cd98f00b204e9800998ecf8427e',
    'file': f'/v2/images/{IMAGE}', 'schema': '/v2/schemas/image'}

# What a server is in: a status or a task, as the columns have it. The other columns of the two
# databases are Nova's: power_state and locked.
STATES = {
    'ACTIVE': {'vm_state': 'active', 'power_state': 1},
    'BUILD': {'vm_state': 'building', 'task_state': 'scheduling', 'launched_at': None},
    'SPAWNING': {'vm_state': 'building', 'task_state': 'spawning', 'launched_at': None},
    'PAUSED': {'vm_state': 'paused', 'power_state': 3},
    'SHUTOFF': {'vm_state': 'stopped', 'power_state': 4},
    'ERROR': {'vm_state': 'error'},
    'REBOOT': {'vm_state': 'active', 'task_state': 'rebooting', 'power_state': 1},
    'HARD_REBOOT': {'vm_state': 'active', 'task_state': 'rebooting_hard', 'power_state': 1},
    'PAUSING': {'vm_state': 'active', 'task_state': 'pausing', 'power_state': 1},
    'LOCKED': {'vm_state': 'active', 'power_state': 1, 'locked': 1, 'locked_by': 'owner'},
    'DELETED': None,
}
DELETE = ('UPDATE instances SET deleted = id, deleted_at = updated_at, vm_state = "deleted"'
          ' WHERE uuid = ?')
NOVA_CONF = '''
[DEFAULT]
transport_url = fake://
concurrency_backend = threading
log_file = {folder}/nova.log
service_down_time = 1000000
state_path = {folder}

[api_database]
connection = sqlite:///{folder}/nova_api.sqlite

[database]
connection = sqlite:///{folder}/nova_cell0.sqlite

[neutron]
auth_type = none
endpoint_override = http://localhost:{port}

[placement]
auth_type = none
endpoint_override = http://localhost:{port}

[glance]
endpoint_override = http://localhost:{port}
'''
AUTHTOKEN = '''[filter:authtoken]
paste.filter_factory = api.auth_token:AuthProtocol.factory
tokens =
    open-sesame:alice:cafe:member,reader
    open-barley:bob:beef:member,reader
    open-window:carol:cafe:reader
    open-gate:dave:beef:admin,member,reader
'''


# What stands in for the neighbours

def neighbours(environ, start_response):
    """Answer for Glance, which has one image, Neutron, and Placement, which knows nothing."""
    path, status = environ['PATH_INFO'], '200 OK'
    answer = {'allocations': {}, 'networks': [], 'floatingips': [], 'subnets': [],
              'extensions': [], 'quota': {'port': -1},
              'security_groups': [{'id': str(uuid.UUID(int=1)), 'name': 'default'}],
              'versions': [{'id': 'v1.0', 'status': 'CURRENT', 'min_version': '1.0',
                            'max_version': '1.99', 'links': [{'rel': 'self', 'href': ''}]}]}
    servers = urllib.parse.parse_qs(environ['QUERY_STRING']).get('device_id', [])
    answer['ports'] = [{'id': server, 'device_id': server, 'security_groups': [str(uuid.UUID(int=1))],
                        'network_id': NETWORK, 'mac_address': 'fa:16:3e:00:00:01', 'fixed_ips': [],
                        'status': 'ACTIVE', 'tenant_id': 'cafe'} for server in servers]
    if '/schemas' in path:
        answer = {'name': 'image', 'properties': {name: {} for name in GLANCE_IMAGE}}
    elif '/images' in path:
        answer = GLANCE_IMAGE
        if not path.endswith(IMAGE):
            answer, status = {}, '404 Not Found'
    start_response(status, [('Content-Type', 'application/json')])
    return [json.dumps(answer).encode()]


def serve_neighbours():
    """Serve them from a thread, and return the port."""
    class Handler(simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass
    server = simple_server.make_server('localhost', 0, neighbours, handler_class=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


# The two

def load_toy():
    """Make the toy's tables, and return its app. Messages to its services stay where they are."""
    from paste.deploy import loadapp
    import manage
    import service
    service.start_conductor = service.start_compute = lambda *args: None
    manage.main()
    return loadapp('config:configure.ini', relative_to=str(FOLDER))


def load_nova(own):
    """Make Nova's files and tables in a folder, and return its app, as uWSGI would load it."""
    own.mkdir()
    ini = pathlib.Path(sys.prefix, 'etc', 'nova', 'api-paste.ini').read_text()
    ini, times = re.subn(r'^\[filter:authtoken\]\n.*\n', AUTHTOKEN, ini, flags=re.M)
    assert times == 1
    (own / 'api-paste.ini').write_text(ini)
    (own / 'nova.conf').write_text(NOVA_CONF.format(folder=own, port=serve_neighbours()))
    os.environ.update(OS_NOVA_CONFIG_DIR=str(own), OS_NOVA_DISABLE_EVENTLET_PATCHING='1')
    sys.argv[1:] = []
    from nova import monkey_patch
    monkey_patch.patch(backend='threading')
    from nova.api.openstack import wsgi_app
    wsgi_app.init_global_data(wsgi_app._get_config_files(), 'osapi_compute', 'nova-api')
    make_tables(own)
    from nova.wsgi.osapi_compute import application
    return application


def make_tables(own):
    """Do what four calls of nova-manage do, in one process, and note a host that is up."""
    from nova import context, objects
    from nova.db import migration
    from nova.objects import service
    admin = context.get_admin_context()
    migration.db_sync(database='api', context=admin)
    for name, cell_uuid in ('cell0', objects.CellMapping.CELL0_UUID), ('cell1', str(uuid.UUID(int=7))):
        cell = objects.CellMapping(
            admin, uuid=cell_uuid, name=name, transport_url='fake://',
            database_connection=f'sqlite:///{own}/nova_{name}.sqlite', disabled=False)
        cell.create()
        with context.target_cell(admin, cell) as in_cell:
            migration.db_sync(database='main', context=in_cell)
            if name == 'cell1':
                objects.HostMapping(admin, host='laptop', cell_mapping=cell).create()
                fields = {'host': 'laptop', 'topic': 'compute', 'binary': 'nova-compute'}
                compute = service.Service(in_cell, report_count=1, **fields)
                compute.create()


def network_info(instance_uuid):
    """Return what Nova notes of the networks of a server: one, as the toy makes it up."""
    from nova.network import model
    numbers = tuple(uuid.UUID(instance_uuid).bytes[-3:])
    address = {'address': '10.%d.%d.%d' % numbers, 'type': 'fixed', 'version': 4, 'meta': {},
               'floating_ips': []}
    subnet = {'cidr': '10.0.0.0/8', 'version': 4, 'ips': [address], 'dns': [], 'routes': [],
              'gateway': None, 'meta': {}}
    network = {'id': NETWORK, 'label': 'private', 'bridge': None, 'subnets': [subnet], 'meta': {}}
    return model.NetworkInfo.hydrate([{'id': str(uuid.UUID(int=3)), 'type': 'ovs',
                                       'address': 'fa:16:3e:%02x:%02x:%02x' % numbers,
                                       'network': network}])


def be_conductor():
    """Put what has been asked for into cell1, active."""
    from nova import context, objects
    from oslo_utils import timeutils
    admin = context.get_admin_context()
    cell1 = next(cell for cell in objects.CellMappingList.get_all(admin) if cell.name == 'cell1')
    for asked in objects.BuildRequestList.get_all(admin):
        with context.target_cell(admin, cell1) as in_cell:
            instance = asked.get_new_instance(in_cell)
            instance.host = instance.node = 'laptop'
            instance.launched_at = timeutils.utcnow()
            instance.vm_state, instance.task_state, instance.power_state = 'active', None, 1
            instance.availability_zone = 'nova'
            instance.create()
            instance.info_cache.network_info = network_info(instance.uuid)
            instance.info_cache.save()
        mapping = objects.InstanceMapping.get_by_instance_uuid(admin, instance.uuid)
        mapping.cell_mapping = cell1
        mapping.save()
        asked.destroy()


# Requests

def ask(app, method, url, headers=(), body=None):
    """Call an app as wsgiref would, and return the status, the headers and the body."""
    path, _, query = url.partition('?')
    environ = {
        'REQUEST_METHOD': method, 'SCRIPT_NAME': '', 'QUERY_STRING': query,
        'PATH_INFO': urllib.parse.unquote(path, 'latin-1'), 'CONTENT_TYPE': 'text/plain',
        'SERVER_NAME': 'localhost', 'SERVER_PORT': '8000', 'SERVER_PROTOCOL': 'HTTP/1.1',
        'HTTP_HOST': 'localhost:8000', 'REMOTE_ADDR': '127.0.0.1', 'wsgi.version': (1, 0),
        'wsgi.url_scheme': 'http', 'wsgi.errors': sys.stderr, 'wsgi.multithread': True,
        'wsgi.multiprocess': False, 'wsgi.run_once': False, 'wsgi.input': io.BytesIO(body or b''),
    }
    if body is not None:
        environ['CONTENT_LENGTH'] = str(len(body))
    for name, value in headers:
        key = name.upper().replace('-', '_')
        if key == 'TRANSFER_ENCODING':
            environ.pop('CONTENT_LENGTH', None)
        environ[key if key in ('CONTENT_TYPE', 'CONTENT_LENGTH') else f'HTTP_{key}'] = value
    found = []

    def start_response(status, headers, exc_info=None):
        found[:] = [int(status.split()[0]), headers]
    blocks = app(environ, start_response)
    try:
        data = b''.join(blocks)
    finally:
        if hasattr(blocks, 'close'):
            blocks.close()
    return [*found, data.decode('latin-1')]


class Databases:
    """The files of both, which are put back into a state before a request changes them."""

    def __init__(self, *paths):
        self.paths = paths
        self.kept = {}

    def keep(self, name):
        self.kept[name] = []
        for path in self.paths:
            copy = sqlite3.connect(':memory:')
            with contextlib.closing(sqlite3.connect(path)) as file:
                file.backup(copy)
            self.kept[name].append(copy)

    def restore(self, name):
        for path, copy in zip(self.paths, self.kept[name]):
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as file:
                copy.backup(file)

    def update(self, number, line, *values):
        with contextlib.closing(sqlite3.connect(self.paths[number], timeout=30)) as file:
            file.execute(line, values)
            file.commit()


def new(app, name, token=TOKEN):
    """Create a server in Nova, and return its id."""
    body = {'server': {'name': name, 'flavorRef': '1', 'imageRef': IMAGE, 'networks': 'none'}}
    status, _, text = ask(app, 'POST', '/v2.1/servers', [
        ('X-Auth-Token', token), ('Content-Type', 'application/json'),
        ('OpenStack-API-Version', 'compute 2.37')], json.dumps(body).encode())
    assert status == 202, text
    return json.loads(text)['server']['id']


class Both:
    """The toy and Nova with the same servers: ID, OLD, GONE, and OTHER of another project."""

    def __init__(self):
        own = FOLDER / 'real'
        nova = load_nova(own)      # first, because it looks at who has imported eventlet
        self.apps = [load_toy(), nova]
        self.databases = Databases(FOLDER / 'nova.sqlite', own / 'nova_cell1.sqlite',
                                   own / 'nova_api.sqlite')
        self.state = None
        self.make_flavors()
        self.ids = {}
        for word, name, token in (('GONE', 'gone', TOKEN), ('OTHER', 'other', 'open-barley'),
                                  ('OLD', 'old', TOKEN)):
            self.ids[word] = new(self.apps[1], name, token)
            be_conductor()
        self.databases.update(1, 'UPDATE instances SET updated_at = created_at')
        self.databases.update(1, DELETE, self.ids['GONE'])
        self.ids['ID'] = new(self.apps[1], 'web')
        self.databases.keep('asked for')
        be_conductor()
        self.databases.update(1, 'UPDATE instances SET updated_at = created_at')
        self.fill_toy()
        self.databases.keep('ACTIVE')

    def make_flavors(self):
        from compute.flavors import FLAVORS
        for flavor in FLAVORS.values():
            status, _, text = ask(self.apps[1], 'POST', '/v2.1/flavors', [
                ('X-Auth-Token', 'open-gate'), ('Content-Type', 'application/json')],
                json.dumps({'flavor': flavor}).encode())
            assert status == 200, text

    def fill_toy(self):
        """Put the servers that Nova has into the toy's table, at the same times."""
        self.databases.update(0, 'DELETE FROM instances')
        for word, owner in (('OTHER', 'bob:beef'), ('OLD', 'alice:cafe'), ('ID', 'alice:cafe')):
            name, created, launched = self.look(self.ids[word])
            self.databases.update(
                0, 'INSERT INTO instances (uuid, display_name, vm_state, user_id, project_id,'
                   ' flavor_id, image_ref, instance_metadata, launched_at, created_at, updated_at)'
                   ' VALUES (?, ?, "active", ?, ?, "1", ?, "{}", ?, ?, ?)', self.ids[word], name,
                *owner.split(':'), IMAGE, launched, created, created)

    def look(self, instance_uuid):
        with contextlib.closing(sqlite3.connect(self.databases.paths[1])) as file:
            return file.execute('SELECT display_name, created_at, launched_at FROM instances'
                                ' WHERE uuid = ?', [instance_uuid]).fetchone()

    def put_into(self, state):
        """Put both databases into a state."""
        self.databases.restore('ACTIVE')
        values = STATES[state]
        if values is None:
            self.databases.update(0, 'DELETE FROM instances WHERE uuid = ?', self.ids['ID'])
            self.databases.update(1, DELETE, self.ids['ID'])
            return
        for number in (0, 1):
            for name, value in {'power_state': 0, **values}.items():
                if number or name not in ('power_state', 'locked', 'locked_by'):
                    self.databases.update(
                        number, f'UPDATE instances SET {name} = ? WHERE uuid = ?', value,
                        self.ids['ID'])
        if state == 'BUILD':    # Nova has the request only, in no cell
            for number in (1, 2):
                with contextlib.closing(sqlite3.connect(self.databases.paths[number])) as file:
                    self.databases.kept['asked for'][number].backup(file)

    def answer(self, request):
        """Send a request to both, and return both answers."""
        if self.state != request['state']:
            self.put_into(request['state'])
        self.state = request['state']
        url, body = (self.with_ids(request[key]) for key in ('url', 'body'))
        headers = [(name, self.with_ids(value)) for name, value in request['headers']]
        answers = []
        for app in self.apps:
            try:
                answer = ask(app, request['method'], url, headers,
                             None if body is None else body.encode('latin-1'))
            except Exception as error:
                traceback.print_exc()
                answer = [500, [], repr(error)]     # as an HTTP server would say
            answers.append(answer)
        if request['method'] not in ('GET', 'HEAD', 'OPTIONS') or '_method' in url:
            self.state = None
        return answers

    def with_ids(self, text):
        """Return a text with ids in the place of the words in braces: {ID}."""
        return text and re.sub(r'\{(ID|OLD|GONE|OTHER)\}', lambda found: self.ids[found[1]], text)


def main():
    warnings.simplefilter('ignore')
    out, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, str(FOLDER))
    try:
        both = Both()
        print(json.dumps(both.ids), file=out, flush=True)
    except BaseException:       # Nova lets sys.excepthook write into its log alone
        traceback.print_exc()
        os._exit(1)
    for line in sys.stdin:
        print(json.dumps(both.answer(json.loads(line))), file=out, flush=True)
    out.flush()
    os._exit(0)


if __name__ == '__main__':
    main()
