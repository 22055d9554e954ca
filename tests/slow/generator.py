"""Requests for the grown toy and for the real Nova: ordinary ones, and ones with a twist or two.

requests(seed) yields each twist on the first calls that it fits, each action in each state of the
server, and calls with twists that are drawn. The same seed yields the same requests.

The words {ID}, {OLD}, {OTHER} and {GONE} stand for the ids of servers: the newest, an older one,
another project's, and a deleted one.
"""
import dataclasses
import json
import random

STATES = ['BUILD', 'SPAWNING', 'ACTIVE', 'PAUSED', 'SHUTOFF', 'ERROR', 'REBOOT', 'HARD_REBOOT',
          'PAUSING', 'LOCKED', 'DELETED']
IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b'
NEW = {'name': 'new', 'flavorRef': '1', 'imageRef': IMAGE}
JSON_TYPE = 'application/json'


@dataclasses.dataclass(frozen=True)
class Request:
    """A request. body is text in which each letter is a byte, and None for none."""

    method: str
    path: str
    query: tuple = ()
    headers: tuple = (('X-Auth-Token', 'open-sesame'),)
    body: str = None
    state: str = 'ACTIVE'
    base: str = '/v2.1'

    @property
    def url(self):
        query = '&'.join('='.join(pair) for pair in self.query)
        return self.base + self.path + (f'?{query}' if self.query else '')

    def wire(self):
        """Return what toy_and_nova.py reads."""
        return {'method': self.method, 'url': self.url, 'headers': self.headers,
                'body': self.body, 'state': self.state}

    def header(self, name):
        return dict((key.lower(), value) for key, value in self.headers).get(name.lower())

    def with_header(self, name, value):
        """Return the request with another value of a header, or without it."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return dataclasses.replace(
            self, headers=kept if value is None else (*kept, (name, value)))

    def but(self, **values):
        return dataclasses.replace(self, **values)

    def __str__(self):
        is_whole = not self.base or self.path in ('/', '//')
        parts = [f'{self.method} {self.url if is_whole else self.url[5:]}']
        parts += [f'{name}: {value}' for name, value in self.headers
                  if value not in ('open-sesame', JSON_TYPE)]
        if self.body is not None:
            parts.append(self.body if len(self.body) < 200 else f'{len(self.body)} bytes: '
                         + self.body[:60])
        if self.state != 'ACTIVE':
            parts.append(f'while {self.state}')
        return '  '.join(parts)


def call(method, path, content=None, version=None, **values):
    """Return an ordinary request."""
    request = Request(method, path, **values)
    if content is not None:
        request = with_json(request, content)
    return request.with_header('OpenStack-API-Version', version and f'compute {version}')


def with_json(request, content):
    return request.with_header('Content-Type', JSON_TYPE).but(body=json.dumps(content))


ACTIONS = [call('POST', '/servers/{ID}/action', content) for content in (
    {'reboot': {'type': 'SOFT'}}, {'reboot': {'type': 'HARD'}}, {'os-start': None},
    {'os-stop': None}, {'pause': None}, {'unpause': None})]
ACTIONS.append(call('POST', '/servers/{ID}/action', {'trigger_crash_dump': None}, '2.17'))
CREATE = call('POST', '/servers', {'server': NEW})
UPDATE = call('PUT', '/servers/{ID}', {'server': {'name': 'two'}})
LISTS = [call('GET', '/servers'), call('GET', '/servers/detail')]
FLAVORS = [call('GET', '/flavors'), call('GET', '/flavors/detail')]
SHOW = call('GET', '/servers/{ID}')
OF_A_SERVER = [SHOW, UPDATE, ACTIONS[0], ACTIONS[4], call('GET', '/servers/{ID}/ips'),
               call('GET', '/servers/{ID}/ips/private'), call('DELETE', '/servers/{ID}')]
OF_A_FLAVOR = [call('GET', '/flavors/1'), call('GET', '/flavors/1/os-extra_specs')]
BODIES = [CREATE, UPDATE, ACTIONS[0]]
VERSIONS = [Request('GET', path, base='', headers=()) for path in ('/', '/v2.1', '/v2.1/', '/v3')]
CALLS = [*LISTS, SHOW, CREATE, UPDATE, *ACTIONS, *OF_A_SERVER[4:], *FLAVORS, *OF_A_FLAVOR]
READS = [one for one in CALLS if one.method == 'GET']

TWISTS = []     # (what requests it fits, which of them is the ordinary one, the function)


def twists(calls, values):
    """Return a decorator that makes a twist of a function for each value."""
    def decorator(function):
        for value in values:
            TWISTS.append((calls, function, value))
        return function
    return decorator


# Methods and URLs

@twists([*CALLS, *VERSIONS[1:3]], ['HEAD', 'PATCH', 'OPTIONS', 'TRACE', 'get', 'FOO'])
def another_method(request, method):
    return request.but(method=method)


@twists([*LISTS, *OF_A_SERVER[4:], *FLAVORS, *OF_A_FLAVOR], ['DELETE', 'POST', 'PUT'])
def another_method_with_a_body(request, method):
    return with_json(request.but(method=method), {}) if method != 'DELETE' else request.but(
        method=method, body=None)


@twists(CALLS, ['/', '//', '.json', '.xml', '%20', '/x', '%0a', '%00', '%FF', ';x', '%2F'])
def end(request, end):
    return request.but(path=request.path + end)


@twists(OF_A_SERVER, ['{OTHER}', '{GONE}', '{OLD}', '42', '%20', 'new', 'detail', '{ID}%0a',
                      '{ID}%00', '%FF', '{ID}.json', 'x' * 300, '%2A', '%C3%A9', '%25', '{ID}%20'])
def another_server(request, identifier):
    return request.but(path=request.path.replace('{ID}', identifier))


@twists(OF_A_FLAVOR, ['9', 'm1.tiny', '01', '%FF', 'x' * 300, '1%0a', '%00', '{ID}'])
def another_flavor(request, identifier):
    return request.but(path=request.path.replace('/1', f'/{identifier}'))


@twists([OF_A_SERVER[5]], ['public', '%FF', '%0a'])
def another_network(request, name):
    return request.but(path=request.path.replace('private', name))


@twists([*LISTS, SHOW, UPDATE, CREATE, *FLAVORS], ['cafe', 'beef', 'c', '-', 'CAFE', 'demo'])
def project(request, name):
    return request.but(path=f'/{name}{request.path}')


@twists([SHOW], ['/nowhere', '/', '/servers/{ID}/nowhere', '/servers/{ID}/edit', '/servers/new',
                 '//servers', '/Servers', '/servers/../servers', '/./servers', '/servers/{ID}/action',
                 '/%73ervers', '/servers;x', '/servers%0a', '/cafe', '/cafe/'])
def another_url(request, path):
    return request.but(path=path)


@twists([SHOW], ['/limits', '/os-keypairs', '/extensions', '/images', '/servers/{ID}/metadata',
                 '/os-aggregates', '/os-hypervisors', '/os-services', '/os-availability-zone',
                 '/os-server-groups', '/os-simple-tenant-usage', '/os-quota-sets/cafe',
                 '/servers/{ID}/os-instance-actions', '/servers/{ID}/os-volume_attachments',
                 '/servers/{ID}/os-interface', '/servers/{ID}/diagnostics', '/os-migrations',
                 '/servers/{ID}/tags', '/os-networks', '/flavors/1/os-flavor-access',
                 '/servers/{ID}/os-security-groups', '/os-floating-ips', '/os-cells', '/versions'])
def another_resource(request, path):
    return request.but(path=path)


@twists([SHOW], ['/v2', '/v2/', '/v2/servers', '/v2.1//', '/v2.10', '/v2.1x', '/v2.1/?x=1',
                 '//', '/v3/servers', '/v2.1/%20'])
def another_version_of_the_api(request, path):
    return request.but(base='', path=path)


@twists([*VERSIONS], ['DELETE', 'POST', 'PUT'])
def method_of_a_document(request, method):
    return request.but(method=method)


# Queries

def query(request, pairs):
    return request.but(query=(*request.query, *pairs))


@twists(LISTS, ['0', '1', '2', '', 'x', '-1', '+1', '1.5', '1001', '0x1', '9' * 9, '9' * 10, '9' * 19,
                '9' * 30, '9' * 300, '%31', '%20' + '1', '1%0a', '%D9%A1', '\xd9\xa1', '01'])
def limit(request, value):
    return query(request, [('limit', value)])


@twists(LISTS, ['{ID}', '{OLD}', '{OTHER}', '{GONE}', '42', '', '%FF', '%00', 'x' * 300, '{OLD}%0a'])
def marker(request, value):
    return query(request, [('marker', value)])


@twists(LISTS, [[('limit', '1'), ('limit', '2')], [('limit', '1'), ('limit', 'x')],
                [('limit', 'x'), ('limit', '1')], [('marker', '{ID}'), ('marker', '42')],
                [('marker', '42'), ('marker', '{ID}')],
                [('name', 'web'), ('name', 'old')], [('name', 'old'), ('name', '(')],
                [('status', 'ACTIVE'), ('status', 'ERROR')],
                [('status', 'ERROR'), ('status', 'ACTIVE')],
                [('all_tenants', '1'), ('all_tenants', '0')]])
def twice(request, pairs):
    return query(request, pairs)


@twists(LISTS, ['web', 'we', 'WEB', '^w', 'b$', '(', '(web)', 'w.b', '.', '%2A', '', '%FF', '%00',
                'x' * 300, '%20', '%5Bw', '%25', '_', '%5C', 'nothing', 'a%7Cw', 'web%0a', '%C3%A9'])
def name(request, value):
    return query(request, [('name', value)])


@twists(LISTS, ['ACTIVE', 'active', 'BUILD', 'ERROR', 'SHUTOFF', 'PAUSED', 'REBOOT', 'HARD_REBOOT',
                'DELETED', 'deleted', 'SUSPENDED', 'VERIFY_RESIZE', 'UNKNOWN', 'nonsense', '', '%FF',
                '%00', 'ACTIVE%20'])
def status(request, value):
    return query(request, [('status', value)])


TRUE_AND_FALSE = ['1', '0', 'true', 'True', 'TRUE', 'false', 'False', 't', 'f', 'yes', 'no', 'on', 'off',
                  'y', 'n', '', 'maybe', '2', '%20' + '1', 'T', 'YES']


@twists(LISTS, TRUE_AND_FALSE)
def all_tenants(request, value):
    return query(request, [('all_tenants', value)])


@twists(LISTS, TRUE_AND_FALSE)
def all_tenants_for_an_admin(request, value):
    return query(request.with_header('X-Auth-Token', 'open-gate'), [('all_tenants', value)])


@twists(LISTS, [('sort_key', 'created_at'), ('sort_key', 'display_name'), ('sort_key', 'nonsense'),
                ('sort_key', ''), ('sort_key', 'host'), ('sort_dir', 'asc'), ('sort_dir', 'up'),
                ('sort_key', 'uuid'),
                ('changes-since', 'yesterday'), ('changes-since', '2020-01-01T00:00:00Z'),
                ('changes-since', '2099-01-01T00:00:00Z'), ('changes-since', ''),
                ('changes-before', '2020-01-01T00:00:00Z'),
                ('ip', '['), ('ip', '10'), ('ip6', '['), ('flavor', '1'), ('flavor', '9'),
                ('image', 'x'), ('image', IMAGE), ('deleted', '1'), ('deleted', 'x'), ('host', 'x'),
                ('tenant_id', 'beef'), ('project_id', 'beef'), ('user_id', 'bob'), ('uuid', '42'),
                ('reservation_id', 'x'), ('locked', 'true'), ('vm_state', 'error'), ('metadata', '%7B%7D'),
                ('task_state', 'x'), ('power_state', '4'), ('id', '42'), ('tags', 'x'),
                ('created_at', 'x'), ('key_name', 'x'), ('description', 'x'), ('progress', '1'),
                ('launch_index', '5'), ('access_ip_v4', '['), ('config_drive', 'x'),
                ('not-tags', 'x'), ('instance_type_id', '9'), ('display_name', 'old'),
                ('nonsense', '1'), ('nonsense', ''), ('%FF', '1'), ('_method', 'GET'), ('', ''),
                ('x' * 300, 'x'), ('soft_deleted', '1'), ('auto_disk_config', 'x'), ('node', 'x')])
def filter_of_servers(request, pair):
    return query(request, [pair])


@twists(LISTS, [('host', 'x'), ('tenant_id', 'beef'), ('project_id', 'cafe'), ('deleted', '1'),
                ('vm_state', 'error'), ('user_id', 'alice'), ('uuid', '42'), ('nonsense', '1'),
                ('status', 'DELETED'), ('changes-since', '2020-01-01T00:00:00Z'),
                ('marker', '{OTHER}'), ('marker', '{ID}'), ('task_state', 'x'), ('locked', 'true')])
def filter_for_an_admin(request, pair):
    return query(request.with_header('X-Auth-Token', 'open-gate'), [pair])


@twists(LISTS, [('tenant_id', 'beef'), ('project_id', 'cafe'), ('marker', '{OTHER}'), ('limit', '1')])
def filter_of_all_tenants(request, pair):
    return query(request.with_header('X-Auth-Token', 'open-gate'), [('all_tenants', '1'), pair])


@twists(FLAVORS, [('limit', '1'), ('limit', 'x'), ('limit', ''), ('limit', '-1'), ('limit', '0'),
                  ('limit', '9' * 30), ('limit', '1001'), ('marker', '2'), ('marker', '9'), ('marker', ''),
                  ('minRam', '1024'), ('minRam', 'x'), ('minRam', '-1'), ('minRam', ''),
                  ('minRam', '9' * 30), ('minDisk', '20'), ('minDisk', 'x'), ('minDisk', '9' * 12),
                  ('is_public', 'None'), ('is_public', 'x'), ('is_public', 'false'),
                  ('is_public', 'true'), ('minRam', '1.5'), ('minRam', '%201024'), ('minDisk', '1_0'), ('minDisk', '%2B20'),
                  ('minDisk', '-1'), ('minRam', '1%0a'), ('limit', '1%0a'),
                  ('sort_key', 'name'), ('sort_key', 'nonsense'), ('sort_key', 'memory_mb'),
                  ('sort_dir', 'desc'), ('sort_dir', 'up'), ('sort_key', ''),
                  ('nonsense', '1'), ('%FF', '1'), ('name', 'm1.tiny'), ('marker', '%FF')])
def filter_of_flavors(request, pair):
    return query(request, [pair])


@twists(FLAVORS, [('is_public', 'None'), ('is_public', 'x'), ('is_public', 'false'), ('is_public', '0')])
def filter_of_flavors_for_an_admin(request, pair):
    return query(request.with_header('X-Auth-Token', 'open-gate'), [pair])


@twists([*OF_A_SERVER, CREATE, *OF_A_FLAVOR, *VERSIONS], [('x', '1'), ('%FF', '%FF'), ('limit', 'x'), ('', '')])
def query_where_none_is_read(request, pair):
    return query(request, [pair])


@twists([SHOW, UPDATE, *LISTS, CREATE, *OF_A_FLAVOR[:1], ACTIONS[4], VERSIONS[1], OF_A_SERVER[6]],
        ['DELETE', 'PUT', 'POST', 'GET', 'HEAD', 'delete', 'x', ''])
def method_in_the_query(request, method):
    return query(request, [('_method', method)])


# Headers

@twists([SHOW, *ACTIONS[-1:], CREATE, *FLAVORS[1:], UPDATE, *LISTS[1:]],
        ['2.1', '2.2', '2.3', '2.4', '2.8', '2.9', '2.16', '2.17', '2.18', '2.19', '2.20', '2.37',
         '2.104', '2.105', '2.999', '2.0', '3.1', '1.1', 'latest', 'LATEST', 'x', '', '2', '2.01',
         '2.1.1', '2.-1', ' 2.19', '2.19 x', '2.1x', '2.' + '9' * 20])
def version(request, value):
    return request.with_header('OpenStack-API-Version', f'compute {value}')


@twists([SHOW, VERSIONS[0], VERSIONS[1], VERSIONS[2], VERSIONS[3], LISTS[0]],
        ['compute', '2.19', 'volume 3.1', 'COMPUTE 2.19', 'nova 2.19', 'compute 2.1, compute 2.19',
         'volume 3.1, compute 2.19', 'compute 2.19, volume 3.1', 'compute  2.19', 'compute\t2.19', ',',
         '', 'compute 9.9', 'compute 2.19,', 'compute 2.1,compute x', 'computex 2.19', 'compute=2.19'])
def version_header(request, value):
    return request.with_header('OpenStack-API-Version', value)


@twists([SHOW, VERSIONS[1]], ['2.19', '2.1', '9.9', 'x', 'latest', ''])
def older_version_header(request, value):
    return request.with_header('X-OpenStack-Nova-API-Version', value)


@twists([SHOW], ['2.1', '2.9'])
def both_version_headers(request, value):
    return request.with_header('OpenStack-API-Version', 'compute 2.19').with_header(
        'X-OpenStack-Nova-API-Version', value)


@twists([SHOW, VERSIONS[0], VERSIONS[3], Request('GET', '/nowhere'), UPDATE],
        ['application/xml', 'text/html', '*/*', 'application/json', 'nonsense', '', 'image/*',
         'application/json;version=2.1', 'application/vnd.openstack.compute+json;version=2',
         'application/vnd.openstack.compute+json', 'application/json;q=0', 'text/plain'])
def accept(request, value):
    return request.with_header('Accept', value)


TYPES = ['application/xml', 'application/x-www-form-urlencoded', 'text/plain', 'text/html',
         'APPLICATION/JSON', 'application/json; charset=utf-8', 'application/json; charset=latin-1',
         'application/json;version=2', 'application/vnd.openstack.compute+json', '', 'json', '/',
         'multipart/form-data', 'multipart/form-data; boundary=x', 'application/json,text/html',
         'application/json; charset=nonsense', 'application/vnd.openstack.compute+xml', ';', ' ',
         'application/merge-patch+json', 'text/plain; charset=utf-8', '\xe9']


@twists([*BODIES, SHOW, LISTS[0], OF_A_SERVER[6], VERSIONS[0], VERSIONS[1]], TYPES)
def content_type(request, value):
    return request.with_header('Content-Type', value)


@twists([SHOW, *LISTS, CREATE, VERSIONS[0], VERSIONS[1], OF_A_SERVER[6], UPDATE, ACTIONS[4]],
        [None, 'wrong', '', 'open-barley', 'open-window', 'open-gate', '\xff', 'open-sesame ', 'OPEN-SESAME'])
def token(request, value):
    return request.with_header('X-Auth-Token', value)


@twists([SHOW, *LISTS, CREATE, *FLAVORS],
        [('OpenStack-System-Scope', 'all'), ('X-Domain-Id', 'default'), ('X-Roles', 'admin'),
         ('X-User-Id', 'bob'), ('X-Project-Id', 'beef'), ('X-Service-Token', 'open-gate'),
         ('X-Service-Roles', 'service'), ('X-Service-Catalog', '[]'), ('X-Service-Catalog', 'x'),
         ('X-Tenant-Id', 'beef'), ('X-User', 'bob'), ('X-Role', 'admin'), ('X-Auth-Project-Id', 'beef'),
         ('X-HTTP-Method-Override', 'DELETE'), ('X-Openstack-Request-Id', 'x'),
         ('X-Openstack-Request-Id', 'req-70a599e0-31e7-49b7-b260-868f441e862b'),
         ('Origin', 'http://evil.example'), ('If-None-Match', '*'), ('If-Match', 'x'),
         ('If-Modified-Since', 'Sat, 01 Jan 2022 00:00:00 GMT'), ('Range', 'bytes=0-1'),
         ('Expect', '100-continue'), ('X-Forwarded-Proto', 'https'), ('X-Forwarded-For', '9.9.9.9'),
         ('X-Forwarded-Host', 'evil'), ('X-Forwarded-Prefix', '/x'), ('Forwarded', 'proto=https'),
         ('Host', 'evil:99'), ('Accept-Language', 'de'), ('Accept-Encoding', 'gzip'),
         ('Authorization', 'Basic eDp4'), ('X-Auth-Key', 'x'), ('X-Storage-Token', 'open-sesame'),
         ('X-Identity-Status', 'Invalid'), ('X-Is-Admin-Project', 'True'), ('Upgrade', 'websocket'),
         ('X-Trace-Info', 'x'), ('Cache-Control', 'no-cache'), ('Transfer-Encoding', 'identity')])
def another_header(request, pair):
    return request.with_header(*pair)


@twists([CREATE, UPDATE, ACTIONS[4]], ['chunked', 'gzip, chunked', 'identity'])
def chunks(request, value):
    return request.but(body=f'{len(request.body or ""):x}\r\n{request.body}\r\n0\r\n\r\n').with_header(
        'Transfer-Encoding', value)


@twists([CREATE, UPDATE, SHOW], ['x', '-1', '', '0'])
def content_length(request, value):
    return request.with_header('Content-Length', value)


# Bodies

@twists(BODIES, ['{', '', '{}', 'null', '5', '""', '[]', '[1]', 'true', 'NaN', "{'a': 1}", '{"a": 1,}',
                 '{"server": null}', '{"server": 5}', '{"server": []}', '{"server": {}}', '{"server": "x"}',
                 '{"a": 1, "b": 2}', '{"a": {}}', '{"a": NaN}', ' ', 'x', '\x00', '{"": 1}',
                 '{"\\ud800": 1}', '[' * 30_000, '{"a":' * 12_000, '[' * 100_000, '{"a":' * 100_000, '0', 'false', '"p"',
                 '["pause"]', '{"a": 1' + '0' * 5000 + '}',
                 '\xff', '{"a": "\xff"}', '{"\xc3\xa9": 1}', '{"a": Infinity}', '//', '{"a": 1} x'])
def another_body(request, body):
    return request.but(body=body)


@twists(BODIES, [None])
def no_body(request, body):
    return request.but(body=None)


@twists(BODIES, ['\xef\xbb\xbf', ' ', '\n', '\xff\xfe', '\x00', '\xc2\xa0'])
def before_the_body(request, text):
    return request.but(body=text + (request.body or ''))


@twists(BODIES, [' ', ' x', '\x00', '}', '\n', ',', ' {}'])
def after_the_body(request, text):
    return request.but(body=(request.body or '') + text)


@twists(BODIES, [5_000, 65_536, 66_000, 114_688, 114_689, 200_000])
def padded(request, length):
    return request.but(body=(request.body or '').ljust(length))


@twists([SHOW, LISTS[0], OF_A_SERVER[6], *OF_A_FLAVOR, OF_A_SERVER[4]],
        ['{', '{"server": {}}', 'x' * 120_000, 'x' * 70_000, '\xff', 'null', '[' * 60_000])
def body_where_none_is_read(request, body):
    return request.but(body=body).with_header('Content-Type', JSON_TYPE)


@twists(BODIES, ['utf-16', 'utf-8-sig', 'utf-32', 'latin-1'])
def encoding(request, name):
    text = (request.body or '').replace('e', '\xe9')
    return request.but(body=text.encode(name).decode('latin-1'))


@twists(BODIES, [('extra', {}), ('os:scheduler_hints', {}), ('OS-SCH-HNT:scheduler_hints', {})])
def another_key_in_the_body(request, pair):
    return changed(request, lambda content: content.update([pair]))


def changed(request, change):
    """Return the request with its JSON changed; as it is, if its body is none."""
    try:
        content = json.loads(request.body)
        change(content)
    except (AttributeError, TypeError, ValueError, KeyError, RecursionError):
        return request
    return request.but(body=json.dumps(content))


NAMES = ['', ' ', ' a', 'a ', 'a' * 255, 'a' * 256, 'a\tb', 'a\nb', 'a\0b', '\u00e9', '\u00a0', 'a\u00a0b',
         '\U0001f642', '\u200b', 'a\u200bb', '\ud800', 5, None, [], {}, True, 'a\u2028b', '\u0301', '\ufeffa',
         'a\u3000b', '\u00ad', '\ue000', '\u0378', 'a\x7fb', '\u4e2d', 'x' * 5000, 'x\n', '\U0001d54f', '...', '-', '_-_']


@twists([CREATE, UPDATE], NAMES)
def server_name(request, value):
    return changed(request, lambda content: content['server'].update(name=value))


@twists([CREATE, UPDATE], [*NAMES[:14], None, 5, [], 'a\r\nb', 'x' * 300])
def description(request, value):
    return changed(request.with_header('OpenStack-API-Version', 'compute 2.19'),
                   lambda content: content['server'].update(description=value))


@twists([CREATE, UPDATE], ['2.1', '2.18'])
def description_too_early(request, value):
    return changed(request.with_header('OpenStack-API-Version', f'compute {value}'),
                   lambda content: content['server'].update(description='x'))


@twists([CREATE], [('flavorRef', value) for value in (
            1, '9', '', 'm1.tiny', 'http://localhost/flavors/1', '1/', '/1', 'x' * 300, None, [], 1.0,
            True, '\u00e9', '1 ', ' 2', '2#x', '/2?x', 0, -1, '4')]
        + [('imageRef', value) for value in ('', 'x', IMAGE.upper(), f'http://localhost/images/{IMAGE}',
                                             f'urn:uuid:{IMAGE}', f'{{{IMAGE}}}',
                                             '70a599e0-31e7-49b7-b260-868f441e8620', None, 5,
                                             IMAGE + '\n', IMAGE.replace('-', ''), [])]
        + [('metadata', value) for value in ({'a': 'b'}, {'a': 5}, {'': 'b'}, {'a': 'b' * 256}, {'a' * 256: 'b'},
                                             5, None, [], {'a b': 'c'}, {'\u00e9': 'c'}, {'a': None},
                                             {str(number): 'x' for number in range(129)}, {'a\n': 'b'},
                                             {'a': 'b' * 255}, {'a': '\u00e9' * 255})]
        + [(name, value) for name in ('min_count', 'max_count')
           for value in (1, '1', 0, 2, '2', -1, 'x', None, True, 1.0, '', '01')]
        + [('networks', value) for value in ([], 'none', 'auto', 5, [{'uuid': IMAGE}], None, [{}])]
        + [('security_groups', value) for value in ([], [{'name': 'default'}], [{'name': 'x'}], 5, [{}])]
        + [('key_name', value) for value in ('x', None, 5, '')]
        + [('availability_zone', value) for value in ('nova', 'x', '', None, 5, 'nova:x')]
        + [('user_data', value) for value in ('eA==', 'x', None, 5, '', 'A' * 65536)]
        + [('config_drive', value) for value in (True, 'true', 'x', None, '', 5)]
        + [('OS-DCF:diskConfig', value) for value in ('AUTO', 'MANUAL', 'x', None)]
        + [('accessIPv4', value) for value in ('10.0.0.1', 'x', '', None, '::1')]
        + [('accessIPv6', value) for value in ('::1', 'x', '', '10.0.0.1')]
        + [('adminPass', value) for value in ('secret', '', 5, None)]
        + [('personality', value) for value in ([], [{'path': '/x', 'contents': 'eA=='}], 5, [{}])]
        + [('block_device_mapping', value) for value in ([], [{}], 5)]
        + [('block_device_mapping_v2', value) for value in ([], [{'source_type': 'blank', 'boot_index': 0}], 5,
                                                            [{}])]
        + [('return_reservation_id', value) for value in (True, False, 'x')]
        + [('hostname', 'x'), ('tags', []), ('host', 'x'), ('trusted_image_certificates', []),
           ('nonsense', 1), ('id', IMAGE), ('status', 'ACTIVE'), ('description', 'x'),
           ('hypervisor_hostname', 'x'), ('scheduler_hints', {}), ('os:scheduler_hints', {}),
           ('fixed_ip', '1'), ('progress', 1), ('locked', True)])
def field_of_a_new_server(request, pair):
    return changed(request, lambda content: content['server'].update([pair]))


@twists([CREATE], ['name', 'flavorRef', 'imageRef'])
def missing_field(request, name):
    return changed(request, lambda content: content['server'].pop(name))


@twists([CREATE], [('2', '1'), (2, 1), (1, 2), ('x', 1)])
def counts(request, pair):
    return changed(request, lambda content: content['server'].update(
        min_count=pair[0], max_count=pair[1]))


@twists([CREATE], [{'flavorRef': '2', 'imageRef': '', 'block_device_mapping_v2': [
    {'source_type': 'blank', 'boot_index': 0}]}, {'imageRef': '', 'block_device_mapping_v2': []},
    {'min_count': 2, 'max_count': 2, 'return_reservation_id': True},
    {'min_count': 20, 'max_count': 20}])
def fields_of_a_new_server(request, fields):
    return changed(request, lambda content: content['server'].update(fields))


@twists([UPDATE], [('accessIPv4', '10.0.0.1'), ('accessIPv4', 'x'), ('accessIPv6', '::1'),
                   ('OS-DCF:diskConfig', 'AUTO'), ('OS-DCF:diskConfig', 'x'), ('hostname', 'x'),
                   ('nonsense', 1), ('id', IMAGE), ('metadata', {}), ('status', 'ERROR'),
                   ('flavorRef', '2'), ('adminPass', 'x'), ('locked', True), ('accessIPv4', None),
                   ('accessIPv4', ''), ('personality', [])])
def field_of_a_server(request, pair):
    return changed(request, lambda content: content['server'].update([pair]))


# Actions

OTHER_ACTIONS = ['suspend', 'resume', 'lock', 'unlock', 'rebuild', 'resize', 'createImage', 'shelve',
                 'unshelve', 'rescue', 'unrescue', 'migrate', 'os-migrateLive', 'os-resetState',
                 'evacuate', 'changePassword', 'os-getConsoleOutput', 'os-getVNCConsole', 'restore',
                 'forceDelete', 'createBackup', 'addSecurityGroup', 'addFixedIp', 'addFloatingIp',
                 'resetNetwork', 'injectNetworkInfo', 'confirmResize', 'revertResize', 'shelveOffload',
                 'soft_reboot', 'os-getSPICEConsole', 'os-getRDPConsole', 'removeFixedIp']


@twists([ACTIONS[4]], [*OTHER_ACTIONS, 'explode', '', 'PAUSE', 'Pause', ' pause', 'index', 'delete', 'create',
                       '_pause', '\u00e9', '\u0000', 'x' * 5000, 'trigger_crash_dump'])
def another_action(request, name):
    return request.but(body=json.dumps({name: None}))


@twists([ACTIONS[4]], ['suspend', 'lock', 'os-resetState', 'migrate', 'confirmResize', 'rebuild'])
def another_action_by_an_admin(request, name):
    return request.but(body=json.dumps({name: None})).with_header('X-Auth-Token', 'open-gate')


@twists(ACTIONS[-1:], [{}, 5])
@twists(ACTIONS[2:], [{}, 5, 'x', [], True, {'a': 1}, None])
def argument_of_an_action(request, value):
    return changed(request, lambda content: content.update({list(content)[0]: value}))


@twists([ACTIONS[0]], [{}, 5, None, {'type': 'x'}, {'type': 'SOFT', 'x': 1}, {'type': 'soft'},
                       {'type': 'Hard'}, {'type': 'hArd'}, {'type': None}, {'type': ''}, {'type': ['SOFT']},
                       [], 'SOFT', {'type': 'SOFT '}, {'Type': 'SOFT'}])
def argument_of_a_reboot(request, value):
    return request.but(body=json.dumps({'reboot': value}))


@twists(ACTIONS, [('unpause', None), ('os-stop', None), ('nonsense', 1), ('suspend', None)])
def second_action(request, pair):
    return changed(request, lambda content: content.update([pair]))


# Differences that only a second twist shows

PAIRS = [
    call('DELETE', '/flavors/1'), call('POST', '/flavors', {}),
    SHOW.but(path='/servers/{ID}/tags'), SHOW.but(path='/flavors/1/os-extra_specs/x'),
    call('HEAD', '/servers/{ID}/ips'), call('HEAD', '/servers/42/ips'), call('HEAD', '/servers/{ID}/action'),
    accept(VERSIONS[3], 'application/json;version=2.1'),
    content_type(VERSIONS[0], 'application/json;version=2'), content_type(VERSIONS[0], ';'),
    call('POST', '/servers/{ID}/metadata', {}), call('POST', '/os-keypairs', {}),
    call('PUT', '/os-services/enable', {}), call('POST', '/os-volumes_boot', {'server': NEW}),
    token(call('DELETE', '/flavors/1'), 'open-gate'),
    content_type(ACTIONS[4].but(body='_method=DELETE'), 'application/x-www-form-urlencoded'),
    another_header(SHOW, ('Host', '')), SHOW.but(base='', path='//v2.1/servers'),
    version(SHOW.but(state='LOCKED'), '2.19'), token(version(SHOW, '2.16'), 'open-gate'),
    filter_for_an_admin(LISTS[1], ('project_id', 'beef')),
    version(VERSIONS[1], '9.9'), version(VERSIONS[2], '1.1'), version(UPDATE, ''),
    no_body(version(UPDATE, ''), None),
    marker(LISTS[0], '{ID}').but(state='DELETED'),
    limit(all_tenants(LISTS[1], '1'), 'x'), version(FLAVORS[1], 'latest'),
    filter_of_servers(limit(LISTS[0], '1'), ('all_tenants', '0')),
    all_tenants(limit(LISTS[0], '1'), '0'), project(LISTS[1], 'cafe'),
    filter_for_an_admin(project(LISTS[1], 'beef'), ('tenant_id', 'beef')),
    twice(limit(LISTS[0], '1'), [('status', 'ERROR'), ('status', 'ACTIVE')]),
    token(field_of_a_new_server(CREATE, ('networks', 5)), 'open-window'),
    another_action(another_server(ACTIONS[4], '42'), 'suspend'),
    method_in_the_query(LISTS[0], 'DELETE'), status(all_tenants(LISTS[0], '1'), 'nonsense'),
    older_version_header(token(SHOW, 'open-gate'), '2.19'),
]


# All

def requests(seed, drawn=120):
    """Yield requests, those with one state of the server next to one another."""
    draw = random.Random(seed)
    found = [*CALLS, *VERSIONS, *PAIRS]
    for calls, function, value in TWISTS:
        first, *others = calls
        found.append(function(first, value))
        if others and draw.random() < 0.1:
            found.append(function(draw.choice(others), value))
    for state in STATES:
        for one in [*LISTS[1:], *OF_A_SERVER, *ACTIONS[1:4], *ACTIONS[5:]]:
            found.append(one.but(state=state))
        for value in ('BUILD', 'ACTIVE', 'REBOOT', 'ERROR', 'DELETED', 'HARD_REBOOT'):
            found.append(status(LISTS[0], value).but(state=state))
        for one, value in ((UPDATE, 'open-window'), (SHOW, 'open-barley'), (SHOW, 'open-gate'),
                           (ACTIONS[4], 'open-barley'), (OF_A_SERVER[6], 'open-gate')):
            found.append(one.but(state=state).with_header('X-Auth-Token', value))
    for _ in range(drawn):
        found.append(drawn_request(draw))
    unique = dict.fromkeys(found)
    return sorted(unique, key=lambda request: STATES.index(request.state))


def drawn_request(draw):
    """Return an ordinary call with two twists, or three, in some state of the server."""
    calls, function, value = draw.choice(TWISTS)
    one = draw.choice(calls)
    request = function(one, value)
    for _ in range(draw.choice([1, 1, 2])):
        calls, function, value = draw.choice([twist for twist in TWISTS if one in twist[0]])
        request = function(request, value)
    if draw.random() < 0.3:
        request = request.but(state=draw.choice(STATES))
    return request
