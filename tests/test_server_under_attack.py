"""server.py among hostile clients, and many at once: over real sockets, each bounded in time."""
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import re
import signal
import socket
import threading
import time

import pytest

from server import RequestHandler
from support import (KEYS, TOKEN, ask, call, connect, copy_program, encode, is_uuid4, load, parse,
                     read_all, running, send, serving, wait_until)

TOKEN_LINE = 'X-Auth-Token: open-sesame'
FORM_LINE = 'Content-Type: application/x-www-form-urlencoded'


def served_in(port):
    """Return the seconds that a well-behaved client waits for its answer."""
    start = time.monotonic()
    assert call(port, 'GET', '/instances/none').status == 404
    return time.monotonic() - start


def post(*lines, body=b'name=demo'):
    return encode('POST /instances', *lines, body=body)


# Slow clients. The server's patience is ten seconds; here it is one.

def test_slow_clients_are_hung_up_on_and_hold_up_nobody(caplog):
    """200 that say nothing, 20 that stop within a body, and one that reads nothing."""
    assert RequestHandler.timeout == 10
    caplog.set_level('INFO')
    app = load()
    for _ in range(1500):       # more than what the system buffers for a client
        ask(app, 'POST', '/instances', POST={'name': '\N{SLEEPING FACE}' * 255})
    with running(app, timeout=1) as port, contextlib.ExitStack() as stack:
        start = time.monotonic()
        deaf = stack.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(('localhost', port))
        deaf.sendall(encode('GET /instances', TOKEN_LINE))
        slow = [stack.enter_context(connect(port)) for _ in range(220)]
        for connection in slow[200:]:
            connection.sendall(post(TOKEN_LINE, FORM_LINE, 'Content-Length: 10', body=b'name='))
        assert served_in(port) < 0.5
        assert {read_all(connection) for connection in slow[:200]} == {b''}
        for connection in slow[200:]:
            status, content, _ = parse(read_all(connection))
            assert (status, list(content)) == (400, ['badRequest'])
        assert 1 < time.monotonic() - start < 5
        line = 'hung up on 127.0.0.1: timed out'
        assert wait_until(lambda: caplog.messages.count(line) == 201, 8)
        deaf.settimeout(5)
        head, _, body = read_all(deaf).partition(b'\r\n\r\n')
        assert len(body) < int(re.search(rb'Content-Length: (\d+)', head)[1])
        assert not any(record.exc_info for record in caplog.records)


# Many clients at once

def test_a_burst_of_connections_waits_for_nobody(server):
    server.process.send_signal(signal.SIGSTOP)      # so that all of them have to queue
    try:
        start = time.monotonic()
        burst = [connect(server.port) for _ in range(64)]
    finally:
        server.process.send_signal(signal.SIGCONT)
    for connection in burst:
        connection.sendall(encode('GET /instances/none', TOKEN_LINE))
    assert {parse(read_all(connection)).status for connection in burst} == {404}
    assert time.monotonic() - start < 1
    for connection in burst:
        connection.close()


def test_sixteen_clients_each_get_the_right_answers(server):
    def work(number):
        """Create, rename, show and delete an instance."""
        barrier.wait(20)
        for turn in range(6):
            name = f'{number}-{turn}'
            created = call(server.port, 'POST', f'/instances?name={name}').content['instance']
            assert created['name'] == name
            path = '/instances/' + created['id']
            renamed = {'instance': {'id': path[11:], 'name': name * 2}}
            assert call(server.port, 'PUT', f'{path}?name={name * 2}')[:2] == (200, renamed)
            assert call(server.port, 'GET', path)[:2] == (200, renamed)
            assert call(server.port, 'DELETE', path)[:2] == (204, None)
    before = call(server.port, 'GET', '/instances').content
    barrier = threading.Barrier(16)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert call(server.port, 'GET', '/instances').content == before


# Large and malformed requests

@pytest.mark.parametrize('token, status', [('X: y', 403), (TOKEN_LINE, 413)])
def test_the_answer_to_a_body_of_5_mb_can_be_read(server, token, status):
    start = time.monotonic()
    answer = parse(send(server.port, post(token, FORM_LINE, 'Content-Length: 5000000',
                                          body=b'x' * 5_000_000)))
    assert (answer.status, list(answer.content)) == (status, [KEYS[status]])
    assert time.monotonic() - start < 5


def test_a_body_that_never_ends_is_cut_off(server):
    start = time.monotonic()
    with connect(server.port) as connection:
        connection.sendall(post('Content-Length: 999999999', body=b''))
        with pytest.raises(ConnectionError):
            while time.monotonic() - start < 10:
                connection.sendall(b'x' * 1000)
                time.sleep(0.05)
    assert time.monotonic() - start < 5


@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='this system hides its threads')
def test_a_client_that_keeps_its_connection_does_not_keep_a_thread(program):
    with serving(program) as server, contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(server.port))
            connection.sendall(encode('GET /'))
            assert parse(read_all(connection)).status == 403
        assert wait_until(lambda: len(os.listdir(f'/proc/{server.process.pid}/task')) == 1)


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
    post(*['X-Header: x'] * 101),
    post('X-Header: ' + 'x' * 70_000),
    post('X-Header : x'), post('X Header: x'), post(': x'), post('no colon'),
    post('X-Header: x', ' folded'), post('X-Header: \0'), post('X-\xe9: x'),
    # A lone CR would be taken by some for the end of a header, and hide the token in another.
    post('X-Header: 1\r' + TOKEN_LINE, FORM_LINE, 'Content-Length: 9'),
    post('X-Header: 1\r\r' + TOKEN_LINE, FORM_LINE, 'Content-Length: 9'),
])
def test_what_is_not_http_gets_an_error_from_the_server(server, data):
    answer = parse(send(server.port, data))
    assert (answer.status, answer.headers['Content-Type']) == (400, 'text/html;charset=utf-8')


@pytest.mark.parametrize('head', [
    b'a:\r' * 20_000,
    b'\r\n'.join([b'a:\r' * 21_000] * 98),
    b'\r\n'.join([b'a:' + b'b' * 65_000] * 100),
    b'a\n' * 33_000,
    b'a:\r\n' * 10_000,
    b'a: ' + b' ' * 60_000 + b'b',
    b'Content-Type: message/rfc822\r\n' * 100,
])
def test_no_headers_take_a_second(server, head):
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):      # it may hang up before it has all
        data = b'GET /instances HTTP/1.1\r\n' + head.removesuffix(b'\r\n') + b'\r\n\r\n'
        assert parse(send(server.port, data)).status in (400, 403)
    assert served_in(server.port) < 1 and time.monotonic() - start < 1


def test_a_hundred_headers_are_not_too_many(server):
    headers = ['X-Header: x'] * 97
    answer = parse(send(server.port, post(TOKEN_LINE, FORM_LINE, 'Content-Length: 9', *headers)))
    assert answer.status == 201


@pytest.mark.parametrize('data', [
    b'', b'\r\n', b'GET', b'GET /instances HTTP/1.1\r\nHost',
    post(TOKEN_LINE, FORM_LINE, 'Content-Length: 99'),
])
def test_clients_that_go_away_do_no_harm(server, data):
    """That they leave no traceback either is checked where the shared server ends."""
    with connect(server.port) as connection:
        connection.sendall(data)
    with connect(server.port) as connection:
        # Lingering for no time makes close() reset the connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        connection.sendall(data)
    assert served_in(server.port) < 1


def test_a_client_that_goes_away_closes_the_body_and_is_one_line(caplog):
    class Endless:
        closed = threading.Event()

        def __iter__(self):
            while True:
                yield b'x' * 65536

        def close(self):
            self.closed.set()

    def app(environ, start_response):
        start_response('200 OK', [])
        return Endless()
    caplog.set_level('INFO')
    with running(app) as port:
        with connect(port) as connection:
            connection.sendall(encode('GET /'))
            assert connection.recv(10) == b'HTTP/1.0 2'
        assert Endless.closed.wait(5)
        assert wait_until(lambda: caplog.messages)
    [record] = caplog.records
    assert re.fullmatch(r'hung up on 127\.0\.0\.1: .*(reset|Broken pipe).*', record.message)
    assert record.exc_info in (None, False)


# The token

def test_a_token_in_the_environment_lets_nobody_in(program):
    with serving(program, env={'HTTP_X_AUTH_TOKEN': 'open-sesame'}) as server:
        assert call(server.port, 'GET', '/instances', headers={}).status == 403
        assert call(server.port, 'GET', '/instances').status == 200


@pytest.mark.parametrize('options', [[], ['--debug']])
def test_the_token_is_in_no_log(program, options):
    with serving(program, *options) as server:
        assert 'open-sesame' not in server.banner
        path = call(server.port, 'POST', '/instances?name=x').headers['Location'][-47:]
        for line in f'HEAD {path}', f'PUT {path}', f'DELETE {path}', f'DELETE {path}', 'PATCH /':
            call(server.port, *line.split())
        for data in (post(TOKEN_LINE, 'Content-Length: nine'), post(TOKEN_LINE, TOKEN_LINE),
                     post(TOKEN_LINE + 'x'), post(TOKEN_LINE, *['X-Header: x'] * 200),
                     post(TOKEN_LINE).replace(b'\r', b''), b'GET / HTTP/1.1\n' + post(TOKEN_LINE)):
            assert parse(send(server.port, data)).status in (400, 403)
        assert wait_until(lambda: len(re.findall('" [2-4][0-9]{2} -', server.log())) == 12)
        assert 'open-sesame' not in server.log()


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


def generate(number):
    """Yield so many requests, always the same ones."""
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
        url = '?'.join(filter(None, [some.choice(PATHS), some.choice(QUERIES)])) or '?'
        yield some.choice(METHODS), url, headers, body


def is_instance(thing):
    return list(thing) == ['id', 'name'] and isinstance(thing['name'], str) and is_uuid4(thing['id'])


def check(method, headers, answer):
    """Assert that an answer is one of those that README.md knows."""
    assert (answer.status == 403) == (('X-Auth-Token', 'open-sesame') not in headers)
    assert answer.status in {200, 201, 204, *KEYS}
    assert ('Location' in answer.headers) == (answer.status == 201)
    assert ('Allow' in answer.headers) == (answer.status == 405)
    if method == 'HEAD' or answer.status == 204:
        assert answer.content is None
        return
    [(key, value)] = answer.content.items()
    if answer.status in KEYS:
        assert key == KEYS[answer.status]
        assert value == {'code': answer.status, 'message': str(value['message'])}
    elif key == 'instances':
        assert answer.status == 200 and all(map(is_instance, value))
    else:
        assert key == 'instance' and is_instance(value)
    if answer.status == 201:    # whatever stands in Host, the Location is visible ASCII
        assert re.fullmatch('http://[!-~]*/instances/' + value['id'], answer.headers['Location'])


def test_generated_requests(server):
    """Check many answers, and what they did to the list."""
    def instances():
        return call(server.port, 'GET', '/instances').content['instances']
    before, statuses = instances(), collections.Counter()
    for method, url, headers, body in generate(1000):
        answer, url = None, url.replace('{id}', before[0]['id'] if before else 'none')
        data = encode(f'{method} {url}', *map(': '.join, headers), body=body)
        try:
            with connect(server.port) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = parse(read_all(connection))
            check(method, headers, answer)
            after = instances()
            changed = answer.status in (200, 201, 204) and method in ('POST', 'PUT', 'DELETE')
            assert changed or after == before
            assert len(after) - len(before) == {201: 1, 204: -1}.get(answer.status, 0)
        except Exception as error:
            raise AssertionError(f'{answer} is not right, to repeat it send:\n{data}') from error
        before = after
        statuses[answer.status] += 1
    assert set(statuses) == {200, 201, 204, *KEYS}


@pytest.mark.parametrize('end', ['', ' \r\n', '\n'])
def test_a_head_that_is_cut_off_is_not_acted_upon(server, end):
    before = call(server.port, 'GET', '/instances')
    with connect(server.port) as connection:
        connection.sendall(b'POST /instances?name=cut HTTP/1.1\r\nX-Auth-Token: open-sesame\r\n'
                           + end.encode())
        connection.shutdown(socket.SHUT_WR)
        assert parse(read_all(connection)).status == 400
    assert call(server.port, 'GET', '/instances').content == before.content
