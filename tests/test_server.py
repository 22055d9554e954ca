"""server.py: what only a real process and a real socket show."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import server as server_module
from support import ROOT, connect, copy_program, is_uuid4, read_all, send, serving

REQUEST = '{} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: open-sesame\r\n{}\r\n'
ACCESS = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] '


def ask(port, line, headers='', body=b''):
    """Send a request, and return the status line, the headers and the body."""
    head, _, body = send(port, REQUEST.format(line, headers).encode() + body).partition(b'\r\n\r\n')
    status, *lines = head.decode('latin-1').split('\r\n')
    return status, dict(line.split(': ', 1) for line in lines), body


def test_the_five_calls_over_a_socket(server):
    status, headers, body = ask(server.port, 'GET /instances')
    assert status == 'HTTP/1.0 200 OK'
    assert headers['Content-Type'] == 'application/json'
    assert headers['Content-Length'] == str(len(body))
    before = json.loads(body)['instances']
    status, headers, body = ask(server.port, 'POST /instances', 'Content-Length: 13\r\n'
                                'Content-Type: application/x-www-form-urlencoded\r\n',
                                b'name=demo_one')
    instance = json.loads(body)['instance']
    assert status == 'HTTP/1.0 201 Created'
    assert headers['Location'] == f'http://localhost/instances/{instance["id"]}'
    assert is_uuid4(instance['id']) and instance['name'] == 'demo_one'
    url = f'/instances/{instance["id"]}'
    status, headers, body = ask(server.port, f'GET {url}')
    assert (status, json.loads(body)) == ('HTTP/1.0 200 OK', {'instance': instance})
    status, headers, body = ask(server.port, f'PUT {url}?name=renamed')
    assert (status, json.loads(body)) == (
        'HTTP/1.0 200 OK', {'instance': {'id': instance['id'], 'name': 'renamed'}})
    status, headers, body = ask(server.port, f'DELETE {url}')
    assert (status, body) == ('HTTP/1.0 204 No Content', b'')
    assert sorted(headers) == ['Date', 'Server']
    status, headers, body = ask(server.port, 'GET /instances')
    assert json.loads(body)['instances'] == before


def test_head_over_a_socket(server):
    _, get_headers, _ = ask(server.port, 'GET /instances')
    status, headers, body = ask(server.port, 'HEAD /instances')
    assert (status, body) == ('HTTP/1.0 200 OK', b'')
    assert headers['Content-Length'] == get_headers['Content-Length']
    status, headers, body = ask(server.port, 'HEAD /nowhere')
    assert (status, body) == ('HTTP/1.0 404 Not Found', b'')


def test_an_answer_comes_in_one_piece(server):
    for _ in range(50):
        with connect(server.port) as connection:
            connection.sendall(REQUEST.format('GET /instances', '').encode())
            piece = connection.recv(65536)
            assert piece.endswith(b']}')
            assert read_all(connection) == b''


REFUSALS = [
    # request line, more headers, body, status, key, the message names
    ('GET /instances/42', '', b'', '404 Not Found', 'itemNotFound', 'Instance 42'),
    ('GET /%FF?%FF', '', b'', '404 Not Found', 'itemNotFound', '/instances'),
    ('GET http://localhost/instances', '', b'', '404 Not Found', 'itemNotFound', 'URL'),
    ('GET /instances%0A', '', b'', '404 Not Found', 'itemNotFound', 'URL'),
    ('DELETE /instances/42%0A', '', b'', '404 Not Found', 'itemNotFound', 'URL'),
    ('GET /instances/caf%C3%A9', '', b'', '404 Not Found', 'itemNotFound', 'café'),
    ('POST /instances', 'Content-Length: 9\r\nContent-Length: 10\r\n', b'name=demo_',
     '400 Bad Request', 'badRequest', 'Content-Length'),
    ('BREW /instances', '', b'', '405 Method Not Allowed', 'badMethod', 'GET, HEAD, POST'),
    ('POST /instances', '', b'', '400 Bad Request', 'badRequest', 'name'),
    ('POST /instances', 'Content-Type: text/plain\r\nContent-Length: 13\r\n', b'name=demo_one',
     '400 Bad Request', 'badRequest', 'name'),
    ('POST /instances?name=%FF', '', b'', '400 Bad Request', 'badRequest', 'cannot be read'),
    ('POST /instances', 'Content-Length: 5\r\nContent-Type: application/json\r\n', b'[1,2]',
     '400 Bad Request', 'badRequest', 'name'),
    ('POST /instances?name=x', 'Content-Length: -5\r\n', b'',
     '400 Bad Request', 'badRequest', 'Content-Length'),
    ('POST /instances?name=x', 'Content-Length: five\r\n', b'',
     '400 Bad Request', 'badRequest', 'Content-Length'),
    ('POST /instances', 'Content-Length: 5\r\nContent-Type: multipart/form-data\r\n', b'name=',
     '400 Bad Request', 'badRequest', 'boundary'),
    ('POST /instances', 'Transfer-Encoding: chunked\r\n', b'6\r\nname=x\r\n0\r\n\r\n',
     '411 Length Required', 'badRequest', 'Content-Length'),
    ('POST /instances', 'Content-Length: 65537\r\n', b'x' * 65537,
     '413 Request Entity Too Large', 'overLimit', '65536'),
    ('PUT /instances/42', 'Content-Length: 65537\r\n', b'x' * 65537,
     '413 Request Entity Too Large', 'overLimit', '65536'),
    ('GET /instances', 'X-Auth-Token: open-sesame\r\n', b'',
     '403 Forbidden', 'forbidden', 'X-Auth-Token'),
]


@pytest.mark.parametrize('line, headers, body, status, key, names', REFUSALS)
def test_refusals_over_a_socket(server, line, headers, body, status, key, names):
    found, answer_headers, answer = ask(server.port, line, headers, body)
    assert found == f'HTTP/1.0 {status}'
    assert answer_headers['Content-Type'] == 'application/json'
    assert list(json.loads(answer)) == [key]
    fault = json.loads(answer)[key]
    assert fault['code'] == int(status[:3])
    assert names in fault['message']


def test_a_body_that_ends_early(server):
    with connect(server.port) as connection:
        connection.sendall(REQUEST.format('POST /instances', 'Content-Length: 99\r\n').encode()
                           + b'name=demo')
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer.startswith(b'HTTP/1.0 400 Bad Request\r\n')
    assert b'{"badRequest":{"code":400,"message":"The request cannot be read: ' in answer


def test_an_empty_host_does_not_leave_the_location_without_one(server):
    sent = send(server.port, b'POST /instances?name=x HTTP/1.1\r\nHost:\r\n'
                             b'X-Auth-Token: open-sesame\r\n\r\n').decode()
    assert re.search(rf'\r\nLocation: http://[^/\s]+:{server.port}/instances/', sent)


def test_white_space_around_a_header_does_not_count(server):
    status, _, body = ask(server.port, 'POST /instances', 'Content-Length: \t13 \r\nContent-Type:'
                          'application/x-www-form-urlencoded \r\n', b'name=demo_one')
    assert (status, json.loads(body)['instance']['name']) == ('HTTP/1.0 201 Created', 'demo_one')


# The server's half of WSGI, with apps made for it.

@pytest.fixture
def own():
    with server_module.Server(('localhost', 0), server_module.RequestHandler) as own:
        yield own


def answer(own, app, request=b'GET /instances?a=b HTTP/1.1\r\n\r\n'):
    """Have the server answer one request with an app, and return all that it sends."""
    own.app = app
    with connect(own.server_port) as connection:
        connection.sendall(request)
        own.handle_request()
        return read_all(connection)


def test_the_environ_is_that_of_the_request_alone(own):
    environ = {}

    def app(env, start_response):
        environ.update(env)
        start_response('204 No Content', [])
        return []
    sent = answer(own, app, b'GET /caf%C3%A9?a=b HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nX_A: 3\r\nX-B:\r\n'
                            b'Content-Type: text/plain\r\n\r\n')
    assert sent.startswith(b'HTTP/1.0 204 No Content\r\n') and sent.endswith(b'\r\n\r\n')
    assert environ.pop('wsgi.input').read
    assert environ.pop('wsgi.errors') is sys.stderr
    assert environ == {
        'REQUEST_METHOD': 'GET', 'SCRIPT_NAME': '', 'PATH_INFO': '/caf\xc3\xa9', 'QUERY_STRING': 'a=b',
        'CONTENT_TYPE': 'text/plain', 'CONTENT_LENGTH': '', 'HTTP_X_A': '1,2',
        'SERVER_NAME': own.server_name, 'SERVER_PORT': str(own.server_port),
        'SERVER_PROTOCOL': 'HTTP/1.1', 'REMOTE_ADDR': '127.0.0.1', 'wsgi.version': (1, 0),
        'wsgi.url_scheme': 'http', 'wsgi.multithread': True, 'wsgi.multiprocess': False,
        'wsgi.run_once': False}


class Body:
    """A body that notes whether it is closed, and may fail."""

    def __init__(self, *blocks):
        self.blocks, self.closed = iter(blocks), False

    def __iter__(self):
        for block in self.blocks:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self):
        self.closed = True


ERRORS = [ValueError('oh'), TimeoutError('oh'), ConnectionResetError('oh')]


@pytest.mark.parametrize('error', ERRORS)
def test_an_app_that_fails_is_a_500_with_a_traceback(own, caplog, error):
    def app(environ, start_response):
        raise error
    sent = answer(own, app)
    assert sent.startswith(b'HTTP/1.0 500 Internal')
    assert sent.endswith(b"\r\n\r\nThe app failed. The server's log says why.\n")
    time.sleep(0.05)
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info[1] is error


@pytest.mark.parametrize('error', ERRORS)
def test_a_body_that_fails_half_way_is_cut_off_and_closed(own, caplog, error):
    body = Body(b'half', error, b'whole')

    def app(environ, start_response):
        start_response('200 OK', [('X-A', 'b')])
        return body
    sent = answer(own, app)
    assert b'\r\nX-A: b\r\n' in sent and sent.endswith(b'\r\n\r\nhalf')
    assert body.closed
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)


def test_a_body_that_fails_at_once_is_a_500_in_place_of_the_answer(own):
    body = Body(b'', ValueError('oh'))

    def app(environ, start_response):
        start_response('200 OK', [('X-A', 'b')])
        return body
    sent = answer(own, app)
    assert sent.startswith(b'HTTP/1.0 500 ') and b'X-A' not in sent
    assert body.closed


def test_exc_info_replaces_an_answer_that_is_not_sent(own):
    def app(environ, start_response):
        start_response('200 OK', [('X-A', 'b')])
        try:
            raise ValueError
        except ValueError:
            start_response('503 Service Unavailable', [], sys.exc_info())
        return [b'later']
    sent = answer(own, app)
    assert sent.startswith(b'HTTP/1.0 503 ') and sent.endswith(b'later') and b'X-A' not in sent


def test_the_write_callable_and_a_body(own):
    def app(environ, start_response):
        write = start_response('200 OK', [])
        write(b'one ')
        write(b'two ')
        return Body(b'three')
    assert answer(own, app).endswith(b'\r\n\r\none two three')


def test_a_block_is_sent_before_the_next_one_is_made(own):
    def app(environ, start_response):
        start_response('200 OK', [])
        yield b''
        yield b'first'
        assert seen.wait(10)
        yield b'second'
    own.app, seen = app, threading.Event()
    with connect(own.server_port) as connection:
        connection.sendall(b'GET / HTTP/1.1\r\n\r\n')
        own.handle_request()
        head = b''
        while not head.endswith(b'first'):
            head += connection.recv(65536)
        seen.set()
        assert read_all(connection) == b'second'


def test_no_thread_to_be_had_does_not_hold_up_the_next_client(caplog):
    class Full(server_module.Server):
        def process_request(self, request, client_address):
            raise RuntimeError("can't start new thread")
    caplog.set_level('INFO')
    with Full(('localhost', 0), server_module.RequestHandler) as full:
        start = time.monotonic()
        with connect(full.server_port):
            full.handle_request()
    assert time.monotonic() - start < 1
    assert caplog.messages == ["hung up on 127.0.0.1: can't start new thread"]


# The process

def test_the_banner_says_where(server):
    assert server.banner == f'Listening on http://localhost:{server.port}, until Ctrl-C.\n'


def test_it_listens_on_the_local_machine_only(server):
    with socket.socket() as other:
        assert other.connect_ex(('127.0.0.2', server.port)) != 0


@pytest.fixture
def program(tmp_path):
    copy_program(tmp_path)
    return tmp_path


def wait_for_lines(server, number):
    """Return the log once it has that many lines; a line may follow its answer."""
    for _ in range(100):
        if server.log().count('\n') >= number:
            break
        time.sleep(0.02)
    return server.log().splitlines()


def test_one_line_a_request(program):
    with serving(program) as server:
        ask(server.port, 'GET /instances')
        ask(server.port, 'GET /instances/\x1b[31m?name=%FF')
        ask(server.port, 'GET /nowhere')
        ask(server.port, 'BREW /instances')
        send(server.port, b'HEAD /instances HTTP/1.0\r\n\r\n')
        lines = wait_for_lines(server, 5)
    assert len(lines) == 5
    assert re.fullmatch(ACCESS + r'"GET /instances HTTP/1\.1" 200 -', lines[0])
    assert re.fullmatch(ACCESS + r'"GET /instances/\\x1b\[31m\?name=%FF HTTP/1\.1" 404 -',
                        lines[1])
    assert re.fullmatch(ACCESS + r'"GET /nowhere HTTP/1\.1" 404 -', lines[2])
    assert re.fullmatch(ACCESS + r'"BREW /instances HTTP/1\.1" 405 -', lines[3])
    assert re.fullmatch(ACCESS + r'"HEAD /instances HTTP/1\.0" 403 -', lines[4])


AUTH_OK = 'auth: the token is right, passing the request on'

DEBUG = [
    # request line, whether with the token, what each layer says
    ('GET /instances/42', True, [
        AUTH_OK,
        'routers: matched the action show',
        'controllers: show returns HTTPNotFound',
        ACCESS + r'"GET /instances/42 HTTP/1\.1" 404 -']),
    ('GET /instances', True, [
        AUTH_OK,
        'routers: matched the action index',
        'controllers: index returns dict',
        ACCESS + r'"GET /instances HTTP/1\.1" 200 -']),
    ('BREW /instances', True, [
        AUTH_OK,
        'routers: no route matches, stopping the request with 405',
        ACCESS + r'"BREW /instances HTTP/1\.1" 405 -']),
    ('GET /nowhere', True, [
        AUTH_OK,
        'routers: no route matches, stopping the request with 404',
        ACCESS + r'"GET /nowhere HTTP/1\.1" 404 -']),
    ('GET /instances', False, [
        'auth: no token or a wrong one, stopping the request with 403',
        ACCESS + r'"GET /instances HTTP/1\.1" 403 -']),
]


def test_debug_shows_a_request_on_its_way(program):
    with serving(program, '--debug') as server:
        done = 0
        for line, with_token, expected in DEBUG:
            request = REQUEST.format(line, '').encode()
            send(server.port, request if with_token else request.replace(b'X-Auth', b'X'))
            found = wait_for_lines(server, done + len(expected))[done:]
            assert len(found) == len(expected)
            for pattern, text in zip(expected, found):
                assert re.fullmatch(pattern, text)
            done += len(found)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(program, number):
    with serving(program) as server, connect(server.port) as idle:
        ask(server.port, 'GET /instances')
        idle.sendall(b'GET /inst')
        log = wait_for_lines(server, 1)
        assert server.stop(number) == (0, '')
        assert server.log().splitlines() == log


def test_a_ctrl_c_while_a_thread_starts_is_not_lost(own):
    """It comes out of threading as a RuntimeError, and socketserver would go on."""
    try:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError('release unlocked lock')
    except RuntimeError:
        with pytest.raises(KeyboardInterrupt):
            own.handle_error(None, ('127.0.0.1', 4711))


def run(program, *options, **kwargs):
    """Run a server.py that cannot serve, and return its exit status and its output."""
    done = subprocess.run([sys.executable, program / 'server.py', *options], text=True,
                          capture_output=True, timeout=20, **kwargs)
    return done.returncode, done.stdout, done.stderr


def test_a_port_in_use_is_one_line(program):
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        ini = program / 'configure.ini'
        ini.write_text(ini.read_text().replace('port = 0', f'port = {port}'))
        status, out, err = run(program)
    assert (status, out) == (1, '')
    assert re.fullmatch(fr'Cannot listen on localhost:{port}: .*Address already in use\n', err)


def test_help_helps(program):
    status, out, err = run(program, '--help')
    assert (status, err) == (0, '')
    assert out.startswith('usage: server.py [-h] [--debug]\n')
    assert 'configure.ini' in out


def test_an_unknown_option_is_refused(program):
    status, out, err = run(program, '--port=80')
    assert (status, out) == (2, '')
    assert 'unrecognized arguments: --port=80' in err


BROKEN = [
    # what a learner changes in configure.ini, from and to, and what the line must name
    ('auth instance', 'auth nosuch', "LookupError: No section 'nosuch'"),
    ('auth instance', 'instance auth', "LookupError: No section 'auth'"),
    ('auth instance', '', 'IndexError'),
    ('[pipeline:main]', '', 'MissingSectionHeaderError'),
    ('[pipeline:main]', '[pipeline:main', 'MissingSectionHeaderError'),
    ('pipeline = ', 'pipline = ', "missing a 'pipeline' setting"),
    ('auth:filter_factory', 'auth:nosuch', "has no attribute 'nosuch'"),
    ('auth:filter_factory', 'nosuch:filter_factory', "No module named 'nosuch'"),
    ('token = open-sesame', '', "argument: 'token'"),
    ('token = open-sesame', 'token =', 'the token must be non-empty ASCII'),
    ('token = open-sesame', "token = 'open-barley'", 'without quotes'),
    ('token = open-sesame', 'token = open-barley ; for now', 'without quotes, spaces'),
    ('token = open-sesame', 'tokn = open-sesame', "'tokn'"),
    ('token = open-sesame', 'token = 100%', 'InterpolationSyntaxError'),
    ('token = open-sesame', 'token = open-sesame\ntoken = b', "'token'"),
    ('paste.app_factory', 'app_factory', 'app:instance'),
    ('[server:main]', '[server:other]', "No section 'main' (prefixed by 'server')"),
    ('host = ', 'hots = ', "'hots'"),
    ('port = 0', '', "argument: 'port'"),
]
HINT = (' (Is this venv/bin/python? Is each section a [kind:name]? Is the app last in its'
        ' pipeline?)\n')


@pytest.mark.parametrize('old, new, names', BROKEN)
def test_a_broken_ini_is_one_line(tmp_path, old, new, names):
    copy_program(tmp_path, (old, new))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert err.count('\n') == 1
    assert err.startswith(f'Cannot load {tmp_path}/configure.ini: ')
    assert names in err
    assert err.endswith(HINT)
    assert 'open-sesame' not in err


def test_without_the_venv_it_says_so(program):
    done = subprocess.run([sys.executable, '-S', program / 'server.py'], text=True,
                          capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == (f"Cannot load {program}/configure.ini: ModuleNotFoundError: No module"
                           f" named 'paste'{HINT}")


def test_a_missing_ini_is_one_line(program):
    (program / 'configure.ini').unlink()
    status, out, err = run(program)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot load {program}/configure.ini: .*No such file.*\n', err)


@pytest.mark.parametrize('old, new, names', [
    ('port = 0', 'port = eighty', 'localhost:eighty: '),
    ('port = 0', 'port = 99999', 'localhost:99999: '),
    ('host = localhost', 'host = 192.0.2.1', '192.0.2.1:0: '),
])
def test_an_address_that_cannot_be_is_one_line(tmp_path, old, new, names):
    copy_program(tmp_path, (old, new))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert err.count('\n') == 1
    assert err.startswith(f'Cannot listen on {names}')


def test_debug_shows_where_the_ini_breaks(tmp_path):
    copy_program(tmp_path, ('auth:filter_factory', 'auth:nosuch'))
    status, out, err = run(tmp_path, '--debug')
    assert (status, out) == (1, '')
    assert err.startswith('Traceback (most recent call last):\n')


def test_it_starts_from_any_directory_and_through_a_link(program, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    os.symlink(program / 'server.py', elsewhere / 'link.py')
    process = subprocess.Popen([sys.executable, 'link.py'], cwd=elsewhere, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process:
        line = process.stdout.readline()
        process.terminate()
    assert re.match(r'Listening on http://localhost:\d+, until Ctrl-C\.', line)


def test_the_documented_port_is_8000():
    assert '\nhost = localhost\nport = 8000\n' in (ROOT / 'configure.ini').read_text()


def test_the_files_that_tools_insist_on_are_plain():
    (ROOT / 'configure.ini').read_text().encode('ascii')
    for name in 'server', 'auth', 'routers', 'controllers':
        lines = (ROOT / f'{name}.py').read_text().splitlines()
        assert max(map(len, lines)) <= 100
