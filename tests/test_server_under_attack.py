"""Clients that misbehave, and many at once: over real sockets, each bounded in time."""
import collections
import concurrent.futures
import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import threading
import time
import uuid
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from webob import Request

import support
from controllers import Controller
from routers import Router
from support import TOKEN, ask, connect, copy_program, load, read_all, send, serving

KEYS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound',
        405: 'badMethod', 411: 'badRequest', 413: 'overLimit'}
HEADER = b'X-Auth-Token: open-sesame\r\n'
FORM = b'Content-Type: application/x-www-form-urlencoded\r\n'

Answer = collections.namedtuple('Answer', 'status headers body')


def parse(data):
    """Return the answer that stands in the bytes which a server sent."""
    head, _, body = data.partition(b'\r\n\r\n')
    first, *lines = head.decode('latin-1').split('\r\n')
    return Answer(int(first.split(' ')[1]), dict(line.split(': ', 1) for line in lines), body)


def call(port, method, path, name=None):
    """Make one well-behaved request, and return the status and the JSON."""
    body = None if name is None else json.dumps({'name': name})
    return support.call(port, method, path, body, {**TOKEN, 'Content-Type': 'application/json'})[:2]


def create(port, name):
    """Create an instance, and return its path."""
    status, content = call(port, 'POST', '/instances', name)
    assert status == 201
    return '/instances/' + content['instance']['id']


def served_in(port):
    """Return the seconds that a well-behaved client waits for its answer."""
    start = time.monotonic()
    assert call(port, 'GET', '/instances/none')[0] == 404
    return time.monotonic() - start


def at_once(*calls):
    """Call all of them in threads that start together, and return the results."""
    barrier = threading.Barrier(len(calls))

    def run(work):
        barrier.wait(20)
        return work()
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# The slow clients share a server, and one wait, which begins with the first
# test of this file and ends with its last ones.

class SlowClients:
    """200 that say nothing, 20 that stop within a body, one that reads nothing."""

    def __init__(self, server):
        self.server = server
        # The list must be larger than what the system buffers for a client: 4.6 MB.
        face = json.dumps({'name': '\N{SLEEPING FACE}' * 255}).encode()
        data = (b'POST /instances HTTP/1.1\r\n' + HEADER + b'Content-Type: application/json\r\n'
                + b'Content-Length: %d\r\n\r\n' % len(face) + face)
        for _ in range(1500):
            assert parse(send(server.port, data)).status == 201
        self.deaf = socket.socket()
        self.deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.deaf.settimeout(20)
        self.deaf.connect(('localhost', server.port))
        self.deaf.sendall(b'GET /instances HTTP/1.1\r\n' + HEADER + b'\r\n')
        self.start = time.monotonic()
        self.silent = [self.connect() for _ in range(200)]
        self.stopped = [self.connect() for _ in range(20)]
        for connection in self.stopped:
            connection.sendall(b'POST /instances HTTP/1.1\r\n' + HEADER + FORM
                               + b'Content-Length: 10\r\n\r\nname=')

    def connect(self):
        assert time.monotonic() - self.start < 5, 'one slow client holds up the next'
        return connect(self.server.port)

    def wait(self):
        """Sleep until 6 seconds after the start: three of silence, two of farewell, one spare."""
        time.sleep(max(0, self.start + 6 - time.monotonic()))

    def close(self):
        for connection in [self.deaf, *self.silent, *self.stopped]:
            connection.close()


@pytest.fixture(scope='module')
def slow(tmp_path_factory):
    folder = tmp_path_factory.mktemp('slow')
    copy_program(folder)
    (folder / 'impatient.py').write_text(       # the real one waits for ten seconds
        'import server\n'
        'server.RequestHandler.timeout = 3\n'
        'server.main()\n')
    with (serving(folder, script='impatient.py') as server,
          contextlib.closing(SlowClients(server)) as clients):
        yield clients


def received(connection):
    """Return what a connection that has been closed by the server holds, without a wait."""
    connection.settimeout(0)
    return read_all(connection)


def test_others_are_served_beside_slow_clients(slow):
    assert max(served_in(slow.server.port) for _ in range(5)) < 1
    for connection in slow.silent + slow.stopped:
        with pytest.raises(BlockingIOError):    # nothing came, and it is still open
            received(connection)


# Many clients at once.

def test_a_burst_of_connections_waits_for_nobody(server):
    server.process.send_signal(signal.SIGSTOP)      # so that all of them have to queue
    try:
        start = time.monotonic()
        burst = [connect(server.port) for _ in range(64)]
    finally:
        server.process.send_signal(signal.SIGCONT)
    for connection in burst:
        connection.sendall(b'GET /instances/none HTTP/1.1\r\n' + HEADER + b'\r\n')
    assert {parse(read_all(connection)).status for connection in burst} == {404}
    assert time.monotonic() - start < 1
    for connection in burst:
        connection.close()


def test_sixteen_threads_each_get_the_right_answers(server):
    before = call(server.port, 'GET', '/instances')[1]['instances']

    def work(name):
        """Create, rename and show six; delete five; return the one that stays."""
        paths = [create(server.port, f'{name}-{number}') for number in range(6)]
        for path in paths:
            renamed = {'instance': {'id': path[11:], 'name': f'{name} of {path}'}}
            assert call(server.port, 'PUT', path, f'{name} of {path}') == (200, renamed)
            assert call(server.port, 'GET', path) == (200, renamed)
        for path in paths[1:]:
            assert call(server.port, 'DELETE', path) == (204, None)
            assert call(server.port, 'GET', path)[0] == 404
        return {'id': paths[0][11:], 'name': f'{name} of {paths[0]}'}

    kept = at_once(*[lambda number=number: work(f'thread {number}') for number in range(16)])
    after = call(server.port, 'GET', '/instances')[1]['instances']
    assert sorted(after, key=str) == sorted(before + kept, key=str)


class Store(dict):
    """A store that takes its time, as one outside of the process would."""

    def get(self, *args):
        found = super().get(*args)
        time.sleep(0.002)
        return found


def test_the_same_races_with_a_slow_store():
    controller = Controller()
    controller.instances = Store(controller.instances)
    app = Router(controller)
    for _ in range(10):
        created = ask(app, 'POST', '/instances', POST={'name': 'once'})
        path = '/instances/' + created.json['instance']['id']
        answers = at_once(*[lambda: ask(app, 'DELETE', path).status_int] * 2)
        assert sorted(answers) == [204, 404]
        created = ask(app, 'POST', '/instances', POST={'name': 'once'})
        path = '/instances/' + created.json['instance']['id']
        put, delete = at_once(
            lambda: ask(app, 'PUT', path + '?name=twice').status_int,
            lambda: ask(app, 'DELETE', path).status_int)
        assert put in (200, 404) and delete == 204
        assert ask(app, 'GET', path).status_int == 404


# Large and malformed requests.

@pytest.mark.parametrize('headers, status', [(b'', 403), (HEADER, 413)])
def test_the_answer_to_a_body_of_5_mb_can_be_read(server, headers, status):
    data = (b'POST /instances HTTP/1.1\r\n' + headers + FORM
            + b'Content-Length: 5000005\r\n\r\nname=' + b'x' * 5_000_000)
    start = time.monotonic()
    answer = parse(send(server.port, data))
    assert time.monotonic() - start < 5
    assert answer.status == status
    assert list(json.loads(answer.body)) == [KEYS[status]]


def test_a_body_that_never_ends_is_cut_off(server):
    start = time.monotonic()
    with connect(server.port) as connection:
        connection.sendall(b'POST /instances HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n')
        with pytest.raises(ConnectionError):
            while time.monotonic() - start < 10:
                connection.sendall(b'x' * 1000)
                time.sleep(0.05)
    assert time.monotonic() - start < 5


@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='this system hides its threads')
def test_a_client_that_keeps_its_connection_does_not_keep_a_thread(tmp_path):
    copy_program(tmp_path)
    with serving(tmp_path) as server, contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(server.port))
            connection.sendall(b'GET / HTTP/1.1\r\n\r\n')
            assert parse(read_all(connection)).status == 403
        end = time.monotonic() + 5      # the two seconds of farewell, and some to spare
        threads = f'/proc/{server.process.pid}/task'
        while len(os.listdir(threads)) > 1 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(os.listdir(threads)) == 1


def post(*lines, body=b'name=demo'):
    return b'\r\n'.join([b'POST /instances HTTP/1.1', *lines, b'', body])


@pytest.mark.parametrize('data', [
    b'\x00\xff\x00\xff\r\n\r\n',
    b'GET\r\n\r\n',
    b'GET /instances\r\n\r\n',
    b'GET /instances HTTP/one\r\n\r\n',
    b'GET /instances HTTP/9.9\r\n\r\n',
    b'GET /instances HTTP/1.1\n\n',
    b'GET  /instances HTTP/1.1\r\n\r\n',
    b'GET /inst\rances HTTP/1.1\r\n\r\n',
    b'GET /' + b'x' * 70_000 + b' HTTP/1.1\r\n\r\n',
    post(*[b'X-Header: x'] * 101),
    post(b'X-Header: ' + b'x' * 70_000),
    post(b'X-Header : x'), post(b'X Header: x'), post(b': x'), post(b'no colon'),
    post(b'X-Header: x', b' folded'), post(b'X-Header: \0'), post(b'X-\xe9: x'),
    # A lone CR would be taken by some for the end of a header, and hide the token in another.
    post(b'X-Header: 1\rX-Auth-Token: open-sesame', FORM[:-2], b'Content-Length: 9'),
    post(b'X-Header: 1\r\rX-Auth-Token: open-sesame', FORM[:-2], b'Content-Length: 9'),
])
def test_what_is_not_http_gets_an_error_from_the_server(server, data):
    answer = parse(send(server.port, data))
    assert (answer.status, answer.headers['Content-Type']) == (400, 'text/html;charset=utf-8')
    assert served_in(server.port) < 1


@pytest.mark.parametrize('head', [
    b'GET /instances HTTP/1.1\r\n' + b'a:\r' * 20_000 + b'\r\n\r\n',
    b'GET /instances HTTP/1.1\r\n' + (b'a:\r' * 21_000 + b'\r\n') * 98 + b'\r\n',
    b'a\n' * 33_000,
    b'GET /instances HTTP/1.1\r\n' + b'a:\r\n' * 10_000 + b'\r\n',
    b'GET /instances HTTP/1.1\r\na: ' + b' ' * 60_000 + b'b\r\n\r\n',
    b'GET ' + b' ' * 60_000 + b'HTTP/1.1\r\n\r\n',
    b'GET /' + b'%' * 60_000 + b' HTTP/1.1\r\n\r\n',
    b'GET /instances HTTP/1.1\r\n' + b'Content-Type: message/rfc822\r\n' * 100 + b'\r\n',
])
def test_no_head_of_a_request_takes_a_second(server, head):
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):      # it may hang up before it has all
        assert parse(send(server.port, head)).status in (400, 403)
    assert time.monotonic() - start < 1
    assert served_in(server.port) < 1


def test_a_hundred_headers_are_not_too_many(server):
    headers = [b'X-Header: x'] * 97
    answer = parse(send(server.port, post(HEADER[:-2], FORM[:-2], b'Content-Length: 9', *headers)))
    assert answer.status == 201


@pytest.mark.parametrize('data, status', [
    (post(HEADER[:-2], FORM[:-2], b'Content-Length: -9'), 400),
    (post(HEADER[:-2], FORM[:-2], b'Content-Length: nine'), 400),
    (b'POST /instances?name=demo HTTP/1.1\r\n' + HEADER + b'Content-Length: -9\r\n\r\n', 400),
    (post(HEADER[:-2], FORM[:-2], b'Content-Length: ' + b'9' * 5000), 400),
    (post(HEADER[:-2], FORM[:-2], b'Content-Length: 99999999'), 413),
    (post(HEADER[:-2], FORM[:-2], b'Transfer-Encoding: chunked',
          body=b'9\r\nname=demo\r\n0\r\n\r\n'), 411),
    (post(HEADER[:-2], HEADER[:-2], FORM[:-2], b'Content-Length: 9'), 403),
    (post(HEADER[:-2], b'X-Auth-Token: other', FORM[:-2], b'Content-Length: 9'), 403),
    (post(b'X-Auth-Token: \xff\x01', FORM[:-2], b'Content-Length: 9'), 403),
    (post(b'X_Auth_Token: open-sesame', FORM[:-2], b'Content-Length: 9'), 403),
    (post(HEADER[:-2], FORM[:-2], b'Content-Length: 9', b'Content-Length: 4'), 400),
])
def test_what_is_bad_http_gets_a_fault(server, data, status):
    answer = parse(send(server.port, data))
    message = json.loads(answer.body)[KEYS[status]]['message']
    assert answer.status == status
    assert answer.headers['Content-Type'] == 'application/json'
    assert json.loads(answer.body) == {KEYS[status]: {'code': status, 'message': message}}
    assert served_in(server.port) < 1


@pytest.mark.parametrize('data', [
    b'', b'\r\n', b'GET', b'GET /instances HTTP/1.1\r\nHost',
    post(HEADER[:-2], FORM[:-2], b'Content-Length: 99'),
])
def test_clients_that_go_away_do_no_harm(server, data):
    with connect(server.port) as connection:
        connection.sendall(data)
    with connect(server.port) as connection:
        # Lingering for no time makes close() reset the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        connection.sendall(data)
    assert served_in(server.port) < 1


# Generated requests. {id} stands for the id of the first instance in the list.

SEED = 2013
METHODS = [*['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] * 4, 'POST', 'POST',
           'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'get', 'G\xc9T', '$%&']
PATHS = [*['/instances', '/instances/{id}'] * 9, '/instances/', '/instances/none', '/', '*', '',
         '//instances', '/instances/%FF', '/instances/%C3%A9', '/instances/\xe9',
         '/instances/{id}/x', '/instances/{id}%0A', '/instances%0A', '/instances/%00',
         '/../instances', 'http://localhost/instances', '/instances/' + 'x' * 5000,
         '/INSTANCES', '/instances;x', '/instances/{instance_id}', '/instances.json',
         '/instances/%2F', '/instances/%', '/instances/%ED%A0%80', '/instances/[', '/%5B']
QUERIES = [*[''] * 9, 'name=query', 'name=%FF', 'name=\xff', '_method=DELETE',
           '_method=PUT&name=x', 'name=a&name=b', 'name', '&&==;', '%', 'name=%20',
           'name=' + 'n' * 300, 'name=%F0%9F%98%80', 'name=%ED%A0%80', 'name=%00',
           '_method=%FF', 'action=delete&controller=x&instance_id=x']
HEADERS = [('Host', '['), ('Host', ']:x'), ('Host', '\x01\x7f'), ('Host', 'h\xf6st'), ('Host', ''),
           ('Host', 'a:b:c'), ('Host', 'x/../y?z#'), ('Host', '%'), ('Host', 'h' * 9000),
           ('Accept', 'text/html'), ('Accept', ';;q=x,'), ('Accept-Charset', '\xff'),
           ('Accept-Encoding', 'gzip'), ('X-HTTP-Method-Override', 'DELETE'),
           ('X-HTTP-Method-Override', 'PUT'), ('X-Method-Override', '\xff'),
           ('Transfer-Encoding', 'chunked'), ('Transfer-Encoding', 'identity'),
           ('Range', 'bytes=0-1'), ('If-Match', 'x'), ('If-None-Match', '*'),
           ('If-Modified-Since', 'never'), ('Cookie', '=;\x7f\xff'), ('Authorization', 'Basic !'),
           ('Expect', '100-continue'), ('Connection', 'upgrade'), ('X-Forwarded-Host', '['),
           ('X-Forwarded-Proto', '\x01'), ('Script-Name', '/x'), ('X-Auth-Token-2', 'x')]
JSON, WWW, MULTI = 'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'
TYPES = [None, '', *[JSON] * 9, *[WWW] * 6, MULTI, *[MULTI + '; boundary=b'] * 4,
         MULTI + '; boundary=', MULTI + '; boundary="\xff"', MULTI + '; boundary=' + 'b' * 300,
         'multipart/mixed; boundary=b', 'text/plain', 'APPLICATION/JSON', JSON + ', text/html',
         ';;;', '\xe9/\xe9', '/', JSON + ';charset', JSON + ';charset=', JSON + ';charset="',
         *[f'{kind}; charset={charset}' for kind in (JSON, WWW, MULTI + '; boundary=b')
           for charset in ('utf-8', 'utf-16', 'utf-7', 'latin-1', 'nonsense', '\xff', 'base64',
                           'zip', 'idna', 'punycode', 'undefined', 'unicode_escape', 'rot13')]]
PART = b'--b\r\nContent-Disposition: form-data; name="name"%s\r\n\r\n%s\r\n--b--\r\n'
BODIES = [b'', b'name=demo', b'name=%FF', b'name=\xff', b'name=', b'name=%20', b'name=a&name=b',
          b'_method=DELETE&name=x', b'%', b'&' * 5000, b'name=' + b'x' * 255,
          b'name=' + b'x' * 256, b'name=' + b' ' * (64 * 1024 - 5),
          b'name=' + b' ' * (64 * 1024 - 4), b'x' * 200_000,
          b'{"name": "demo"}', b'{"instance": {"name": "demo"}}', b'{"instance": null}',
          b'{"instance": []}', b'{"instance": {"name": {}}}', b'{"instance": "name"}', b'[]',
          b'null', b'1', b'"name"', b'["name"]', b'{"name": 1}', b'{"name": null}',
          b'{"name": ["x"]}', b'{"name": ""}', b'{"name": "\\ud800"}',
          b'{"name": "\\udc00\\ud800"}', b'{"name": "\\u0000"}', b'{"name": "\xff"}',
          b'{"name": "\xed\xa0\x80"}',
          b'{"name": "x", "name": 2}', b'{"id": "mine", "name": "x"}', b'{"name": "x"} {}',
          b'[' * 30_000, b'{"name":' * 8000, b'{"instance":' * 5000 + b'1' + b'}' * 5000,
          b'9' * 5000, b'{"name": ' + b'9' * 60_000 + b'}', b'-1e999', b'NaN', b'Infinity',
          b'{"name": "' + b'x' * 300 + b'"}', b'{"name": "\\', b'"\\u12', b'tru',
          b'\xef\xbb\xbf{"name": "bom"}', '{"name": "wide"}'.encode('utf-16'), b'\xff\xfe\x00',
          b'\x00', b'\\d\\', b'+2AA-', PART % (b'', b'demo'), PART % (b'; filename="f"', b'demo'),
          PART % (b'', b'\xff'), PART % (b'; filename="\xff"', b''), PART[:40], b'--b--',
          b'--b\r\n', b'--b\r\n\r\n\r\n--b--\r\n', PART % (b'\r\nContent-Length: -1', b'demo'),
          PART % (b'\r\nContent-Transfer-Encoding: base64', b'!!'),
          PART % (b'\r\nContent-Type: multipart/mixed; boundary=c', b'--c\r\n\r\n--c--'),
          PART % (b'\r\nContent-Type: text/plain; charset=nonsense', b'demo')]
LENGTHS = ['-1', 'nine', '', '1e3', '+9', '9, 9', '9' * 5000, '\xb2', '99999999999',
           '0', '1', '100']

Sent = collections.namedtuple('Sent', 'method path query headers body')


def generate(number):
    """Return so many requests, always the same ones."""
    some = random.Random(SEED)
    for _ in range(number):
        kind, body = some.choice([
            (JSON, b'{"name": "demo"}'), (WWW, b'name=demo'), (JSON, some.choice(BODIES)),
            (some.choice(TYPES), some.choice(BODIES)), (some.choice(TYPES), some.randbytes(30))])
        length = some.choice([str(len(body))] * 60 + LENGTHS)
        headers = [('Content-Type', kind)] if kind is not None else []
        headers += [('Content-Length', length)] if body or length != '0' else []
        headers += some.sample(HEADERS, some.choice([0, 0, 0, 1, 2, 3]))
        if some.random() < 0.9:
            headers.insert(0, ('X-Auth-Token', 'open-sesame'))
        yield Sent(some.choice(METHODS), some.choice(PATHS), some.choice(QUERIES), headers, body)


def answer_in_process(app, sent):
    """Make the environ that a server would make of a request, and call the app with it."""
    environ = {'REQUEST_METHOD': sent.method, 'PATH_INFO': unquote(sent.path, 'latin-1'),
               'QUERY_STRING': sent.query, 'wsgi.input': io.BytesIO(sent.body)}
    for name, value in sent.headers:
        name = name.upper().replace('-', '_')
        environ[name if name.startswith('CONTENT_') else 'HTTP_' + name] = value
    setup_testing_defaults(environ)
    response = Request(environ).get_response(app)
    return Answer(response.status_int, response.headers, response.body)


def answer_over_socket(port, sent):
    """Send a request, end the sending side, and return the answer."""
    target = sent.path + '?' + sent.query if sent.query or not sent.path else sent.path
    lines = [f'{sent.method} {target} HTTP/1.1', *map(': '.join, sent.headers), '', '']
    with connect(port) as connection:
        connection.sendall('\r\n'.join(lines).encode('latin-1') + sent.body)
        connection.shutdown(socket.SHUT_WR)
        return parse(read_all(connection))


def is_instance(thing):
    return (sorted(thing) == ['id', 'name'] and isinstance(thing['name'], str)
            and str(uuid.UUID(thing['id'], version=4)) == thing['id'])


def check(sent, answer):
    """Assert that an answer is one of those that the documents know."""
    assert (answer.status == 403) == (('X-Auth-Token', 'open-sesame') not in sent.headers)
    assert answer.status in {200, 201, 204, *KEYS}
    assert ('Location' in answer.headers) == (answer.status == 201)
    assert ('Allow' in answer.headers) == (answer.status == 405)
    if sent.method == 'HEAD' or answer.status == 204:
        assert answer.body == b''
        return
    assert answer.headers['Content-Type'] == 'application/json'
    [(key, value)] = json.loads(answer.body).items()
    if answer.status in KEYS:
        assert key == KEYS[answer.status]
        assert value == {'code': answer.status, 'message': str(value['message'])}
    elif key == 'instances':
        assert answer.status == 200 and all(map(is_instance, value))
    else:
        assert key == 'instance' and is_instance(value)
    if answer.status == 201:    # whatever stands in Host, the Location is visible ASCII
        assert re.fullmatch('http://[!-~]*/instances/' + value['id'], answer.headers['Location'])


def check_generated(number, answer):
    """Check so many answers, and what they did to the list; return the statuses."""
    wanted = Sent('GET', '/instances', '', [('X-Auth-Token', 'open-sesame')], b'')
    before, statuses = json.loads(answer(wanted).body)['instances'], set()
    for sent in generate(number):
        real = sent._replace(path=sent.path.replace(
            '{id}', before[0]['id'] if before else 'none'))
        got = None
        try:
            got = answer(real)
            check(real, got)
            after = json.loads(answer(wanted).body)['instances']
            changed = got.status in (200, 201, 204) and sent.method in ('POST', 'PUT', 'DELETE')
            assert changed or after == before
            assert len(after) - len(before) == {201: 1, 204: -1}.get(got.status, 0)
        except Exception as error:
            raise AssertionError(f'{got} is not right, to repeat it send:\n{sent}') from error
        before = after
        statuses.add(got.status)
    return statuses


def test_generated_requests_in_process(app):
    statuses = check_generated(3000, lambda sent: answer_in_process(app, sent))
    assert statuses == {200, 201, 204, *KEYS}


def test_generated_requests_over_the_socket(server):
    statuses = check_generated(400, lambda sent: answer_over_socket(server.port, sent))
    assert statuses >= {200, 201, 204, 400, 403, 404, 405}


# The token.

def test_a_token_in_the_environment_lets_nobody_in(tmp_path):
    copy_program(tmp_path)
    with serving(tmp_path, env={'HTTP_X_AUTH_TOKEN': 'open-sesame'}) as server:
        answer = parse(send(server.port, b'GET /instances HTTP/1.1\r\n\r\n'))
        assert answer.status == 403
        assert call(server.port, 'GET', '/instances')[0] == 200


@pytest.mark.parametrize('options', [[], ['--debug']])
def test_the_token_is_in_no_log(tmp_path, options):
    copy_program(tmp_path)
    with serving(tmp_path, *options) as server:
        assert 'open-sesame' not in server.banner
        path = create(server.port, 'demo')
        asked = [('GET', '/instances'), ('HEAD', '/instances'), ('PUT', path), ('GET', path),
                 ('DELETE', path), ('DELETE', path), ('PATCH', path), ('GET', '/')]
        statuses = [call(server.port, *method_and_path)[0] for method_and_path in asked]
        assert statuses == [200, 200, 400, 200, 204, 404, 405, 404]
        for data in (post(HEADER[:-2], b'Content-Length: nine'),
                     post(HEADER[:-2], b'Content-Length: 99999999'),
                     post(HEADER[:-2], HEADER[:-2]), post(HEADER[:-2] + b'x'),
                     post(HEADER[:-2], *[b'X-Header: x'] * 200)):
            assert parse(send(server.port, data)).status in (400, 403, 413)
        assert server.log().count('HTTP/1.1"') == 14
        assert 'open-sesame' not in server.log()


# The standard library's checker of both sides of WSGI.

CALLS = [('GET', '/instances', 200), ('HEAD', '/instances', 200),
         ('POST', '/instances', 201), ('GET', '/instances/{id}', 200),
         ('HEAD', '/instances/{id}', 200), ('PUT', '/instances/{id}', 200),
         ('POST', '/instances/{id}', 405), ('HEAD', '/', 404), ('GET', '/', 404),
         ('DELETE', '/instances/{id}', 204), ('DELETE', '/instances/{id}', 404)]


def test_the_validator_finds_nothing_in_process(capsys):
    app = validator(load())
    path = '/instances/' + ask(app, 'GET', '/instances').json['instances'][0]['id']
    for method, url, status in CALLS:
        body = b'name=demo' if method in ('POST', 'PUT') else b''
        response = ask(app, method, url.replace('/instances/{id}', path), body=body,
                       content_type='application/x-www-form-urlencoded')
        assert (response.status_int, len(response.body) > 0) == (
            status, method != 'HEAD' and status != 204)
    for method in ('GET', 'HEAD', 'POST', 'PUT', 'DELETE'):
        response = ask(app, method, path, headers={})
        assert (response.status_int, len(response.body) > 0) == (403, method != 'HEAD')
    for body, status in [(b'', 400), (b'{"name": ', 400), (b'x' * 65_537, 413)]:
        response = ask(app, 'POST', '/instances', body=body, content_type='application/json')
        assert (response.status_int, list(response.json)) == (status, [KEYS[status]])
    assert capsys.readouterr().err == ''    # it complains there of what is not closed


def test_the_validator_finds_nothing_in_the_server(tmp_path):
    copy_program(tmp_path, ('pipeline = auth instance', 'pipeline = check auth instance\n'
                            '[filter:check]\npaste.filter_factory = check:filter_factory'))
    (tmp_path / 'check.py').write_text(
        'from wsgiref.validate import validator\n'
        'def filter_factory(global_conf):\n'
        '    return validator\n')
    with serving(tmp_path) as server:
        path = create(server.port, 'demo')
        for method, url, status in CALLS:
            name = 'demo' if method in ('POST', 'PUT') else None
            url = url.replace('/instances/{id}', path)
            assert call(server.port, method, url, name)[0] == status
        assert parse(send(server.port, b'GET / HTTP/1.1\r\n\r\n')).status == 403
        assert 'Error' not in server.log()


# The end of the wait that began with the first test.

def test_slow_clients_are_hung_up_on(slow):
    slow.wait()
    assert {received(connection) for connection in slow.silent} == {b''}
    for connection in slow.stopped:
        answer = parse(received(connection))
        assert answer.status == 400
        assert list(json.loads(answer.body)) == ['badRequest']


def test_a_client_that_reads_nothing_is_hung_up_on(slow):
    slow.wait()
    answer = parse(read_all(slow.deaf))     # what the system holds for it, and then the end
    assert answer.status == 200
    assert len(answer.body) < int(answer.headers['Content-Length'])


def test_slow_clients_leave_a_line_each_and_no_traceback(slow):
    slow.wait()
    end = time.monotonic() + 8
    while slow.server.log().count('\nserver: hung up on 127.0.0.1: timed out') < 201:
        assert time.monotonic() < end, 'not every slow client has got its line'
        time.sleep(0.1)
    assert 'Traceback' not in slow.server.log()
    assert served_in(slow.server.port) < 1


def test_the_shared_server_logged_no_traceback(server):
    assert 'Traceback' not in server.log()
    assert served_in(server.port) < 1
