"""server.py: what only a real process and a real socket show."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
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
    ('BREW /instances', '', b'', '405 Method Not Allowed', 'badMethod', 'GET, HEAD, POST'),
    ('POST /instances', '', b'', '400 Bad Request', 'badRequest', 'name'),
    # Without a Content-Type, wsgiref says text/plain.
    ('POST /instances', 'Content-Length: 13\r\n', b'name=demo_one',
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


def test_the_environ_is_that_of_the_request_alone():
    environ = {}

    def app(env, start_response):
        environ.update(env)
        start_response('204 No Content', [])
        return []
    with server_module.Server(('localhost', 0), server_module.RequestHandler) as own:
        own.set_app(app)
        with connect(own.server_port) as connection:
            connection.sendall(b'GET /instances HTTP/1.1\r\n\r\n')
            own.handle_request()
            read_all(connection)
    assert environ['wsgi.multithread'] is True
    assert environ['wsgi.multiprocess'] is False
    assert 'PATH' not in environ


# The process

def test_the_banner_says_where_and_how(server):
    assert server.banner == (
        f'Listening on http://localhost:{server.port}/instances, until Ctrl-C.'
        ' Try, with the token in configure.ini:\n'
        f"curl -H 'X-Auth-Token: TOKEN' http://localhost:{server.port}/instances\n")


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
    assert re.fullmatch(ACCESS + r'"GET /instances HTTP/1\.1" 200 201', lines[0])
    assert re.fullmatch(ACCESS + r'"GET /instances/\\x1b\[31m\?name=%FF HTTP/1\.1" 404 \d+',
                        lines[1])
    assert re.fullmatch(ACCESS + r'"GET /nowhere HTTP/1\.1" 404 79', lines[2])
    assert re.fullmatch(ACCESS + r'"BREW /instances HTTP/1\.1" 405 75', lines[3])
    assert re.fullmatch(ACCESS + r'"HEAD /instances HTTP/1\.0" 403 0', lines[4])


AUTH_OK = 'auth: the token is right, pass the request on'
CONTROLLER = r"'controller': <controllers\.Controller object at 0x[0-9a-f]+>"

DEBUG = [
    # request line, whether with the token, what each layer says
    ('GET /instances/42', True, [
        AUTH_OK,
        r"routers: matched {'action': 'show', %s, 'instance_id': '42'}" % CONTROLLER,
        'controllers: show returns <HTTPNotFound at 0x[0-9a-f]+ 404 Not Found>',
        ACCESS + r'"GET /instances/42 HTTP/1\.1" 404 73']),
    ('GET /instances', True, [
        AUTH_OK,
        r"routers: matched {'action': 'index', %s}" % CONTROLLER,
        r"controllers: index returns \{'instances': \[\{'id': '.*', 'name': 'inst-2'\}\]\}",
        ACCESS + r'"GET /instances HTTP/1\.1" 200 201']),
    ('BREW /instances', True, [
        AUTH_OK,
        'routers: matched the URL only, stop the request with 405',
        ACCESS + r'"BREW /instances HTTP/1\.1" 405 75']),
    ('GET /nowhere', True, [
        AUTH_OK,
        'routers: matched no route, stop the request with 404',
        ACCESS + r'"GET /nowhere HTTP/1\.1" 404 79']),
    ('GET /instances', False, [
        'auth: no token or a wrong one, stop the request with 403',
        ACCESS + r'"GET /instances HTTP/1\.1" 403 100']),
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


@pytest.fixture
def own():
    with server_module.Server(('localhost', 0), server_module.RequestHandler) as own:
        yield own


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


def test_no_thread_to_be_had_is_one_line(own, caplog, capsys):
    caplog.set_level('INFO')
    try:
        raise RuntimeError("can't start new thread")
    except RuntimeError:
        own.handle_error(None, ('127.0.0.1', 4711))
    assert caplog.messages == ["hung up on 127.0.0.1: can't start new thread"]
    assert capsys.readouterr().err == ''


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
    ('token = open-sesame', 'token =', 'the token in [filter:auth] is empty'),
    ('token = open-sesame', 'tokn = open-sesame', "'tokn'"),
    ('token = open-sesame', 'token = 100%', 'InterpolationSyntaxError'),
    ('token = open-sesame', 'token = open-sesame\ntoken = b', "'token'"),
    ('paste.app_factory', 'app_factory', 'app:instance'),
    ('[server:main]', '[server:other]', "No section 'main' (prefixed by 'server')"),
    ('host = ', 'hots = ', "'hots'"),
    ('port = 0', '', "argument: 'port'"),
]


@pytest.mark.parametrize('old, new, names', BROKEN)
def test_a_broken_ini_is_one_line(tmp_path, old, new, names):
    copy_program(tmp_path, (old, new))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert err.count('\n') == 1
    assert err.startswith(f'Cannot load {tmp_path}/configure.ini: ')
    assert names in err
    assert 'open-sesame' not in err


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
    assert re.match(r'Listening on http://localhost:\d+/instances, until Ctrl-C\.', line)


def test_the_documented_port_is_8000():
    assert '\nhost = localhost\nport = 8000\n' in (ROOT / 'configure.ini').read_text()


def test_the_files_that_tools_insist_on_are_plain():
    (ROOT / 'configure.ini').read_text().encode('ascii')
    for name in 'server', 'auth', 'routers', 'controllers':
        lines = (ROOT / f'{name}.py').read_text().splitlines()
        assert max(map(len, lines)) <= 99
