"""server.py over real sockets: the HTTP it speaks, and clients that are many, large, slow or gone.

How the process starts and ends is in test_process.py, what is hardly HTTP in test_hostile.py.
"""
import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from server import RequestHandler
from support import (FORM, JSON, KEYS, TOKEN, ask, call, connect, encode, is_uuid4, load, parse,
                     read_all, running, send, serving, wait_until)

TOKEN_LINE = 'X-Auth-Token: open-sesame'
FORM_LINE = 'Content-Type: application/x-www-form-urlencoded'
ACCESS = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] '


# HTTP

def test_the_five_calls_over_a_socket(server):
    form, json = {**TOKEN, **FORM}, {**TOKEN, **JSON}
    before = call(server.port, 'GET', '/instances')
    assert (before.status, before.headers['Content-Type']) == (200, 'application/json')
    status, content, headers = call(server.port, 'POST', '/instances', 'name=demo_one', form)
    assert (status, content['instance']['name']) == (201, 'demo_one')
    path = '/instances/' + content['instance']['id']
    assert is_uuid4(content['instance']['id'])
    assert headers['Location'] == f'http://localhost:{server.port}{path}'
    assert call(server.port, 'GET', path)[:2] == (200, content)
    renamed = {'instance': {**content['instance'], 'name': 'café'}}
    assert call(server.port, 'PUT', path, '{"name": "café"}', json)[:2] == (200, renamed)
    get, head = call(server.port, 'GET', path), call(server.port, 'HEAD', path)
    assert head[:2] == (200, None)
    assert head.headers['Content-Length'] == get.headers['Content-Length']
    status, content, headers = call(server.port, 'DELETE', path)
    assert (status, content, 'Content-Type' in headers) == (204, None, False)
    assert call(server.port, 'GET', '/instances')[:2] == before[:2]


@pytest.mark.parametrize('line, headers, body, status, says', [
    # The table in test_refusals.py is checked in process. Here is one of each over a socket.
    ('GET /instances', {'X-Auth-Token': ''}, None, 403, 'X-Auth-Token'),
    ('GET /instances/caf%C3%A9', {}, None, 404, 'café'),
    ('GET /nowhere', {}, None, 404, 'no such URL'),
    ('BREW /instances', {}, None, 405, 'GET, HEAD, POST'),
    ('POST /instances', {}, 'name=demo', 400, 'a form'),    # wsgiref says text/plain
    ('POST /instances?name=%FF', {}, None, 400, 'cannot be read'),
    ('POST /instances', JSON, '[1,2]', 400, 'JSON'),
    ('POST /instances', {**FORM, 'Content-Length': '-1'}, 'name=demo', 400, 'not a number'),
    ('POST /instances', {**FORM, 'Content-Length': 'nine'}, 'name=demo', 400, 'not a number'),
    ('POST /instances', {**FORM, 'Transfer-Encoding': 'chunked'}, None, 411, 'not in chunks'),
    ('POST /instances', FORM, 'x' * 65537, 413, '65536'),
])
def test_one_of_each_refusal_over_a_socket(server, line, headers, body, status, says):
    answer = call(server.port, *line.split(), body, {**TOKEN, **headers})
    assert (answer.status, answer.headers['Content-Type']) == (status, 'application/json')
    [(key, value)] = answer.content.items()
    assert (key, value['code']) == (KEYS[status], status)
    assert says in value['message']


def test_a_body_cut_short_is_400(server):
    with connect(server.port) as connection:
        connection.sendall(encode('POST /instances', TOKEN_LINE, FORM_LINE, 'Content-Length: 99',
                                  body=b'name=demo'))
        connection.shutdown(socket.SHUT_WR)
        status, content, _ = parse(read_all(connection))
    assert (status, list(content)) == (400, ['badRequest'])


def test_a_request_line_of_70_000_characters_is_414(server):
    answer = parse(send(server.port, encode('GET /' + 'x' * 70_000, TOKEN_LINE)))
    assert answer.status == 414


def test_headers_and_body_arrive_together(server):
    for _ in range(50):
        with connect(server.port) as connection:
            connection.sendall(encode('GET /instances', TOKEN_LINE))
            assert connection.recv(65536).endswith(b']}')
            assert read_all(connection) == b''


# What the app is called with, and what becomes of its mistakes

def test_the_environ_is_of_the_request_alone():
    """wsgiref would put the variables of the shell into it."""
    def app(environ, start_response):
        found.update(environ)
        start_response('204 No Content', [])
        return []
    found = {}
    with running(app) as port:
        send(port, encode('GET /caf%C3%A9?a=%20', 'X-A: 1'))
    assert found['PATH_INFO'] == '/caf\xc3\xa9'
    assert (found['QUERY_STRING'], found['HTTP_X_A']) == ('a=%20', '1')
    assert found['wsgi.multithread']
    assert not set(found) & set(os.environ)


def a_str(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return ['a str, where WSGI wants bytes']


def no_start(environ, start_response):
    return [b'without a call of start_response']


def no_file(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    yield open('/no/such/file', 'rb').read()


@pytest.mark.parametrize('app, error', [
    (a_str, 'AssertionError: write() argument must be a bytes'),
    (no_start, 'AssertionError: write() before start_response()'),
    (no_file, 'FileNotFoundError: '),
])
def test_a_mistake_of_the_app_is_a_500_and_a_traceback(capsys, app, error):
    with running(app) as port:
        assert send(port, encode('GET /')).startswith(b'HTTP/1.0 500 ')
    log = capsys.readouterr().err
    assert 'Traceback' in log and error in log


# Large bodies, which are refused unread

@pytest.mark.parametrize('token, status', [('X: y', 403), (TOKEN_LINE, 413)])
def test_curl_gets_the_answer_to_2_mb(server, tmp_path, token, status):
    (tmp_path / 'body').write_bytes(b'name=' + b'x' * 2_000_000)
    curl = subprocess.run(['curl', '-sS', '--data-binary', f'@{tmp_path}/body', '-H', token,
                           '-w', '%{http_code}', f'http://localhost:{server.port}/instances'],
                          capture_output=True, text=True, timeout=20)
    assert (curl.returncode, curl.stderr) == (0, '')
    assert curl.stdout.startswith('{"%s": ' % KEYS[status])
    assert curl.stdout.endswith(f'}}{status}')


@pytest.mark.parametrize('token, status', [('X: y', 403), (TOKEN_LINE, 413)])
def test_a_client_that_reads_only_when_it_has_sent_all_gets_its_answer(server, token, status):
    start = time.monotonic()
    answer = parse(send(server.port, encode('POST /instances', token, 'Content-Length: 5000000',
                                            body=b'x' * 5_000_000)))
    assert (answer.status, list(answer.content)) == (status, [KEYS[status]])
    assert time.monotonic() - start < 5


# Slow clients, and those that are gone. The server's patience is ten seconds; here it is one.

def test_slow_clients_are_one_log_line_and_hold_up_nobody(caplog, capsys):
    """100 say nothing, ten stop within the headers, and ten within a body."""
    assert RequestHandler.timeout == 10
    caplog.set_level('INFO')
    with running(load(), timeout=1) as port, contextlib.ExitStack() as stack:
        start = time.monotonic()
        slow = [stack.enter_context(connect(port)) for _ in range(120)]
        for connection in slow[100:110]:
            connection.sendall(b'GET /instances HTTP/1.1\r\nX-Auth')
        for connection in slow[110:]:
            connection.sendall(encode('POST /instances', TOKEN_LINE, FORM_LINE,
                                      'Content-Length: 10', body=b'name='))
        served = time.monotonic()
        assert call(port, 'GET', '/instances/none').status == 404
        assert time.monotonic() - served < 0.5
        assert {read_all(connection) for connection in slow[:110]} == {b''}
        for connection in slow[110:]:
            status, content, _ = parse(read_all(connection))
            assert (status, list(content)) == (400, ['badRequest'])
        assert 1 < time.monotonic() - start < 3
        stack.close()       # else the server would wait for two seconds for what they still send
        assert wait_until(lambda: len(caplog.messages) >= 110)
    assert caplog.messages == ['hung up on 127.0.0.1: timed out'] * 110
    access = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[8] for line in access) == ['400'] * 10 + ['404']


@pytest.mark.parametrize('size, end', [
    (10, 'close'), (10, 'reset'),
    # more than what the system buffers for a client
    (10_000_000, 'close'), (10_000_000, 'reset'), (10_000_000, 'wait for a second, and close'),
])
def test_a_client_that_does_not_read_its_answer_is_one_log_line(caplog, capsys, size, end):
    gone = threading.Event()

    def app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        gone.wait(5)
        return [b'x' * size]
    caplog.set_level('INFO')
    threads = threading.active_count()
    with running(app, timeout=0.5) as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(('localhost', port))
        connection.sendall(encode('GET /'))
        if end == 'reset':
            # Lingering for no time makes close() reset the connection.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        assert wait_until(lambda: threading.active_count() == threads + 2)
        if end.startswith('wait'):
            gone.set()
            time.sleep(1)
        connection.close()
        gone.set()
        assert wait_until(lambda: threading.active_count() == threads + 1)
    assert len(capsys.readouterr().err.splitlines() + caplog.messages) == 1


@pytest.mark.parametrize('data', [
    b'', b'GET', b'GET /instances HTTP/1.1\r\nHost', encode('GET /instances', TOKEN_LINE),
    encode('POST /instances', TOKEN_LINE, FORM_LINE, 'Content-Length: 99', body=b'name=demo'),
])
def test_clients_that_go_away_do_no_harm(server, data):
    """That they leave no traceback either is checked where the shared server ends."""
    with connect(server.port) as connection:
        connection.sendall(data)
    with connect(server.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        connection.sendall(data)
    assert call(server.port, 'GET', '/instances').status == 200


@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='this system hides its threads')
def test_no_client_keeps_a_thread(program):
    """20 get their answer and stay connected. One sends a body without end."""
    with serving(program) as server, contextlib.ExitStack() as stack:
        start = time.monotonic()
        for _ in range(20):
            connection = stack.enter_context(connect(server.port))
            connection.sendall(encode('GET /'))
            assert parse(read_all(connection)).status == 403
        connection = stack.enter_context(connect(server.port))
        connection.sendall(encode('POST /instances', 'Content-Length: 999999999'))
        with pytest.raises(ConnectionError):
            while time.monotonic() - start < 10:
                connection.sendall(b'x' * 1000)
                time.sleep(0.05)
        assert wait_until(lambda: len(os.listdir(f'/proc/{server.process.pid}/task')) == 1)
        assert time.monotonic() - start < 5


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
            renamed = {'instance': {'id': created['id'], 'name': name * 2}}
            assert call(server.port, 'PUT', f'{path}?name={name * 2}')[:2] == (200, renamed)
            assert call(server.port, 'GET', path)[:2] == (200, renamed)
            assert call(server.port, 'DELETE', path)[:2] == (204, None)
    before = call(server.port, 'GET', '/instances').content
    barrier = threading.Barrier(16)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert call(server.port, 'GET', '/instances').content == before


# The log, and the token

def test_one_line_a_request(program):
    with serving(program) as server:
        for line, headers, expected in [
                ('GET /instances', TOKEN, r'"GET /instances HTTP/1\.1" 200 \d+'),
                ('HEAD /instances', {}, r'"HEAD /instances HTTP/1\.1" 403 0'),
                ('GET /instances/\x1b[31m?name=%FF', TOKEN,
                 r'"GET /instances/\\x1b\[31m\?name=%FF HTTP/1\.1" 404 \d+')]:
            done = len(server.log().splitlines())
            call(server.port, *line.split(), headers=headers)
            [logged] = server.lines(done + 1)[done:]
            assert re.fullmatch(ACCESS + expected, logged)
        assert 'open-sesame' not in server.banner + server.log()


RIGHT = 'auth: the token is right, passing the request on'


@pytest.mark.parametrize('line, headers, status, steps', [
    ('GET /instances', TOKEN, 200, [
        RIGHT, 'routers: matched the action index', 'controllers: index returns dict']),
    ('DELETE /instances/42', TOKEN, 404, [
        RIGHT, 'routers: matched the action delete', 'controllers: delete returns HTTPNotFound']),
    ('POST /instances?name=x', TOKEN, 201, [
        RIGHT, 'routers: matched the action create', 'controllers: create returns Response']),
    ('BREW /instances', TOKEN, 405, [
        RIGHT, 'routers: no route for this method, stopping the request with 405']),
    ('GET /nonsense', TOKEN, 404, [
        RIGHT, 'routers: no route for this URL, stopping the request with 404']),
    ('GET /instances', {}, 403, ['auth: no token or a wrong one, stopping the request with 403']),
])
def test_debug_shows_a_request_on_its_way(debug_server, line, headers, status, steps):
    done = len(debug_server.log().splitlines())
    assert call(debug_server.port, *line.split(), headers=headers).status == status
    *found, access = debug_server.lines(done + len(steps) + 1)[done:]
    assert found == steps
    assert re.match(ACCESS + re.escape(f'"{line} HTTP/1.1" {status} '), access)


def test_a_token_in_the_environment_lets_nobody_in(program):
    with serving(program, env={'HTTP_X_AUTH_TOKEN': 'open-sesame'}) as server:
        assert call(server.port, 'GET', '/instances', headers={}).status == 403
        assert call(server.port, 'GET', '/instances').status == 200


def test_the_token_is_in_no_log_even_with_debug(debug_server):
    requests = [
        *[encode(line, TOKEN_LINE) for line in (
            'GET /instances', 'POST /instances?name=x', 'DELETE /instances/42', 'PATCH /')],
        encode('POST /instances', TOKEN_LINE, 'Content-Length: nine'),
        encode('GET /instances', TOKEN_LINE, TOKEN_LINE),
        encode('GET /instances', TOKEN_LINE + 'x'),
        encode('GET /instances', TOKEN_LINE, *['X-Header: x'] * 200),
        encode('GET /instances', TOKEN_LINE, 'X-Header: ' + 'x' * 70_000),
        encode('GET /' + 'x' * 70_000, TOKEN_LINE),
    ]
    before = debug_server.log()
    for data in requests:
        send(debug_server.port, data)
    assert wait_until(lambda: len(re.findall('" [2-4][0-9]{2} ', debug_server.log()))
                      == len(re.findall('" [2-4][0-9]{2} ', before)) + len(requests))
    assert 'open-sesame' not in debug_server.log()
