"""server.py: the HTTP it speaks, its half of WSGI, and the process from its start to its end."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from wsgiref.validate import validator

import pytest

import server as module
from support import (KEYS, ROOT, TOKEN, Answer, ask, call, connect, copy_program, encode, is_uuid4,
                     load, parse, read_all, running, send, serving, wait_until)

FORM = {**TOKEN, 'Content-Type': 'application/x-www-form-urlencoded'}
JSON = {**TOKEN, 'Content-Type': 'application/json'}
ACCESS = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] '


# HTTP

def test_the_five_calls_over_a_socket(server):
    head, _, body = send(server.port, encode('GET /instances', 'X-Auth-Token: open-sesame')
                         ).decode().partition('\r\n\r\n')
    assert re.fullmatch(
        r'HTTP/1\.0 200 OK\r\nServer: BaseHTTP/0\.6 Python/3\.\S+\r\nDate: \w{3}, .* GMT\r\n'
        fr'Content-Type: application/json\r\nContent-Length: {len(body)}', head)
    before = call(server.port, 'GET', '/instances')
    status, content, headers = call(server.port, 'POST', '/instances', 'name=demo_one', FORM)
    assert (status, content['instance']['name']) == (201, 'demo_one')
    path = '/instances/' + content['instance']['id']
    assert is_uuid4(path[11:])
    assert headers['Location'] == f'http://localhost:{server.port}{path}'
    assert call(server.port, 'GET', path)[:2] == (200, content)
    renamed = {'instance': {**content['instance'], 'name': 'café'}}
    assert call(server.port, 'PUT', path, '{"name": "café"}', JSON)[:2] == (200, renamed)
    head = call(server.port, 'HEAD', path)
    get = call(server.port, 'GET', path)
    assert head[:2] == (200, None)
    assert head.headers['Content-Length'] == get.headers['Content-Length']
    status, content, headers = call(server.port, 'DELETE', path)
    assert (status, content, sorted(headers)) == (204, None, ['Date', 'Server'])
    assert call(server.port, 'GET', '/instances')[:2] == before[:2]


@pytest.mark.parametrize('line, headers, body, status, says', [
    # The rules of the other modules, once each, and those of HTTP.
    ('GET /instances/42', TOKEN, None, 404, 'Instance 42'),
    ('GET /instances/caf%C3%A9', TOKEN, None, 404, 'café'),
    ('GET /instances%0A', TOKEN, None, 404, 'no such URL'),
    ('GET http://localhost/instances', TOKEN, None, 404, 'no such URL'),
    ('BREW /instances', TOKEN, None, 405, 'GET, HEAD, POST'),
    ('POST /instances?name=%FF', TOKEN, None, 400, 'cannot be read'),
    ('POST /instances', {**TOKEN, 'Content-Type': 'text/plain'}, 'name=demo', 400, 'a form'),
    ('POST /instances', JSON, '[1,2]', 400, 'JSON'),
    ('POST /instances', FORM, 'x' * 65537, 413, '65536'),
    ('POST /instances', {**FORM, 'Transfer-Encoding': 'chunked'}, None, 411, 'not in chunks'),
    ('GET /instances', {'Content-Type': 'x\r\nX-Auth-Token:\topen-sesame \t'}, None, 200, None),
    ('GET /instances', {}, None, 403, 'X-Auth-Token'),
    ('GET /instances', {'X_Auth_Token': 'open-sesame'}, None, 403, 'X-Auth-Token'),
    ('GET /instances', {**TOKEN, 'x-auth-token': 'open-sesame'}, None, 403, 'X-Auth-Token'),
    ('POST /instances', {**FORM, 'Content-length': '8'}, 'name=demo', 400, 'Content-Length'),
])
def test_one_of_each_over_a_socket(server, line, headers, body, status, says):
    answer = call(server.port, *line.split(), body, headers)
    assert (answer.status, answer.headers['Content-Type']) == (status, 'application/json')
    if status in KEYS:
        [(key, value)] = answer.content.items()
        assert (key, value['code']) == (KEYS[status], status)
        assert says in value['message']


def test_a_length_may_have_spaces_around_it(server):
    data = encode('POST /instances', 'X-Auth-Token: open-sesame', 'Content-Length: \t9 ',
                  'Content-Type:application/x-www-form-urlencoded ', body=b'name=demo')
    assert parse(send(server.port, data)).content['instance']['name'] == 'demo'


def test_an_empty_host_does_not_leave_the_location_without_one(server):
    headers = call(server.port, 'POST', '/instances?name=x', headers={**TOKEN, 'Host': ''}).headers
    assert re.match(rf'http://[^/:]+:{server.port}/instances/', headers['Location'])


def test_an_answer_comes_in_one_piece(server):
    for _ in range(50):
        with connect(server.port) as connection:
            connection.sendall(encode('GET /instances', 'X-Auth-Token: open-sesame'))
            assert connection.recv(65536).endswith(b']}')
            assert read_all(connection) == b''


# The server's half of WSGI, with apps made for it

def get(app):
    """Have an app served, and return the answer to one request."""
    with running(app) as port:
        return parse(send(port, encode('GET /')))


def test_the_environ_is_that_of_the_request_alone():
    def app(environ, start_response):
        found.update(environ)
        start_response('204 No Content', [])
        return []
    found = {}
    with running(app) as port:
        data = send(port, encode('GET /caf%C3%A9?a=%20', 'X-A: 1', 'x-a: 2', 'X_A: 3', 'X-B:',
                                 'Content-Type: text/plain'))
    assert data.startswith(b'HTTP/1.0 204 No Content\r\n') and data.endswith(b'\r\n\r\n')
    assert found.pop('wsgi.input').read
    assert found.pop('wsgi.errors').write
    assert isinstance(found.pop('SERVER_NAME'), str)
    assert found == {
        'REQUEST_METHOD': 'GET', 'SCRIPT_NAME': '', 'PATH_INFO': '/caf\xc3\xa9',
        'QUERY_STRING': 'a=%20', 'CONTENT_TYPE': 'text/plain', 'CONTENT_LENGTH': '',
        'HTTP_X_A': '1,2', 'SERVER_PORT': str(port), 'SERVER_PROTOCOL': 'HTTP/1.1',
        'REMOTE_ADDR': '127.0.0.1', 'wsgi.version': (1, 0), 'wsgi.url_scheme': 'http',
        'wsgi.multithread': True, 'wsgi.multiprocess': False, 'wsgi.run_once': False}


class Body:
    """A body that raises those of its blocks that are exceptions, and counts its ends."""

    def __init__(self, *blocks):
        self.blocks, self.closed = iter(blocks), 0

    def __iter__(self):
        for block in self.blocks:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self):
        self.closed += 1

    def __call__(self, environ, start_response):
        start_response('200 OK', [('X-A', 'b')])
        return self


FAILED = Answer(500, "The app failed. The server's log says why.\n", ...)


@pytest.mark.parametrize('error', [ValueError('oh'), TimeoutError('oh'), ConnectionResetError('oh')])
@pytest.mark.parametrize('blocks, expected', [
    (None, FAILED), ([], FAILED), ([b''], FAILED), ([b'half'], Answer(200, 'half', ...))])
def test_an_app_that_fails_is_a_500_and_a_traceback(caplog, blocks, expected, error):
    def app(environ, start_response):
        if blocks is None:
            raise error
        return body(environ, start_response)
    body = Body(*(blocks or []), error, b'never')
    answer = get(app)
    assert answer[:2] == expected[:2]
    assert ('X-A' in answer.headers) == (answer.status == 200)
    [record] = [record for record in caplog.records if record.message == 'the app failed']
    assert record.exc_info[1] is error
    assert body.closed == (blocks is not None)


@pytest.mark.parametrize('blocks, content', [
    ([], None), ([b''], None), ([b'', b'a', b'', b'b'], 'ab')])
def test_a_body_is_sent_and_closed(blocks, content):
    body = Body(*blocks)
    assert get(body)[:2] == (200, content)
    assert body.closed == 1


def test_exc_info_replaces_an_answer_that_is_not_sent():
    def app(environ, start_response):
        start_response('200 OK', [('X-A', 'b')])
        try:
            raise ValueError
        except ValueError:
            start_response('503 Service Unavailable', [('X-B', 'c')], sys.exc_info())
        return [b'later']
    status, content, headers = get(app)
    assert (status, content, 'X-A' in headers, headers['X-B']) == (503, 'later', False, 'c')


def test_exc_info_comes_back_once_the_headers_are_sent():
    def app(environ, start_response):
        start_response('200 OK', [])
        yield b'begun'
        try:
            raise KeyError('mine')
        except KeyError as error:
            with pytest.raises(KeyError) as again:
                start_response('500 Too Late', [], sys.exc_info())
            raised.append(again.value is error)
    raised = []
    assert get(app)[:2] == (200, 'begun')
    assert raised == [True]


def test_the_write_callable_and_a_body():
    def app(environ, start_response):
        write = start_response('200 OK', [])
        write(b'one ')
        write(b'two ')
        return [b'three']
    assert get(app)[:2] == (200, 'one two three')


def test_a_block_is_sent_before_the_next_one_is_made():
    def app(environ, start_response):
        start_response('200 OK', [])
        yield b'first'
        yield b'second' if seen.wait(5) else b'it was held back'
    seen = threading.Event()
    with running(app) as port, connect(port) as connection:
        connection.sendall(encode('GET /'))
        data = b''
        while not data.endswith(b'first') and (piece := connection.recv(65536)):
            data += piece
        seen.set()
        assert read_all(connection) == b'second'


CALLS = [('GET', '/instances', 200), ('HEAD', '/instances', 200), ('POST', '/instances', 201),
         ('POST', '/instances', 400), ('GET', '{path}', 200), ('HEAD', '{path}', 200),
         ('PUT', '{path}', 200), ('POST', '{path}', 405), ('HEAD', '/', 404), ('GET', '/', 404),
         ('DELETE', '{path}', 204), ('DELETE', '{path}', 404)]


def test_the_validator_finds_nothing_in_app_and_server(capsys, caplog):
    """The standard library's checker stands between the two, and raises AssertionError."""
    app = load()
    path = '/instances/' + ask(app, 'GET', '/instances').json['instances'][0]['id']
    checked = validator(app)
    with running(checked) as port:
        for method, url, status in CALLS:
            url = url.format(path=path)
            body = {201: 'name=demo', 200: 'name=demo'}.get(status) if method[0] == 'P' else None
            assert call(port, method, url, body, FORM).status == status
            response = ask(checked, method, url, headers={})
            assert (response.status_int, len(response.body) > 0) == (403, method != 'HEAD')
    assert [record for record in caplog.records if record.exc_info] == []
    assert 'AssertionError' not in capsys.readouterr().err     # it writes there what is not closed


# The process

def test_the_banner_says_where(server):
    assert server.banner == f'Listening on http://localhost:{server.port}, until Ctrl-C.\n'


def test_it_listens_on_the_local_machine_only(server):
    with socket.socket() as other:
        assert other.connect_ex(('127.0.0.2', server.port)) != 0


def test_one_line_a_request(program):
    requests = ['GET /instances', 'GET /instances/\x1b[31m?name=%FF', 'BREW /instances']
    with serving(program) as server:
        for line in requests:
            call(server.port, *line.split())
        call(server.port, 'HEAD', '/instances', headers={})
        lines = server.lines(4)
    for line, expected in zip(lines, [
            r'"GET /instances HTTP/1\.1" 200 -',
            r'"GET /instances/\\x1b\[31m\?name=%FF HTTP/1\.1" 404 -',
            r'"BREW /instances HTTP/1\.1" 405 -',
            r'"HEAD /instances HTTP/1\.1" 403 -'], strict=True):
        assert re.fullmatch(ACCESS + expected, line)


RIGHT = 'auth: the token is right, passing the request on'


def test_debug_shows_a_request_on_its_way(program):
    done = 0
    with serving(program, '--debug') as server:
        for line, headers, status, steps in [
            ('GET /instances/42', TOKEN, 404, [
                RIGHT, 'routers: matched the action show',
                'controllers: show returns HTTPNotFound']),
            ('GET /instances', TOKEN, 200, [
                RIGHT, 'routers: matched the action index', 'controllers: index returns dict']),
            ('BREW /instances', TOKEN, 405, [
                RIGHT, 'routers: no route matches, stopping the request with 405']),
            ('GET /nowhere', TOKEN, 404, [
                RIGHT, 'routers: no route matches, stopping the request with 404']),
            ('GET /instances', {}, 403, [
                'auth: no token or a wrong one, stopping the request with 403']),
        ]:
            assert call(server.port, *line.split(), headers=headers).status == status
            *found, access = server.lines(done + len(steps) + 1)[done:]
            assert found == steps
            assert re.fullmatch(ACCESS + rf'"{line} HTTP/1\.1" {status} -', access)
            done += len(steps) + 1


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(program, number):
    with serving(program) as server, connect(server.port) as idle:
        call(server.port, 'GET', '/instances')
        idle.sendall(b'GET /inst')
        log = server.lines(1)
        assert server.stop(number) == (0, '')
        assert server.log().splitlines() == log


def test_a_ctrl_c_while_a_thread_starts_is_not_lost():
    """It comes out of threading as a RuntimeError, and socketserver would go on."""
    with module.Server(('localhost', 0), module.RequestHandler) as own:
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise RuntimeError('release unlocked lock')
        except RuntimeError:
            with pytest.raises(KeyboardInterrupt):
                own.handle_error(None, ('127.0.0.1', 4711))


def run(program, *options, python=()):
    """Run a server.py that is not to serve, and return its exit status and its output."""
    done = subprocess.run([sys.executable, '-B', *python, program / 'server.py', *options],
                          text=True, capture_output=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def test_help_helps_and_an_unknown_option_is_refused(program):
    status, out, err = run(program, '--help')
    assert (status, err) == (0, '')
    assert out.startswith('usage: server.py [-h] [--debug]\n') and 'configure.ini' in out
    status, out, err = run(program, '--port=80')
    assert (status, out) == (2, '') and 'unrecognized arguments: --port=80' in err


HINT = r' \(Is this venv/bin/python\? .*\)\n'


@pytest.mark.parametrize('old, new, names', [
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
    ('token = open-sesame', "token = 'open-barley'", 'without quotes'),
    ('token = open-sesame', 'tokn = open-sesame', "'tokn'"),
    ('token = open-sesame', 'token = 100%', 'InterpolationSyntaxError'),
    ('token = open-sesame', 'token = open-sesame\ntoken = b', "'token'"),
    ('paste.app_factory', 'app_factory', 'app:instance'),
    ('[server:main]', '[server:other]', "No section 'main' (prefixed by 'server')"),
    ('host = ', 'hots = ', "'hots'"),
    ('port = 0', '', "argument: 'port'"),
])
def test_a_broken_ini_is_one_line(tmp_path, old, new, names):
    copy_program(tmp_path, (old, new))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot load {tmp_path}/configure.ini: .*{re.escape(names)}.*{HINT}', err)
    assert 'open-sesame' not in err


def test_what_else_can_be_missing_is_one_line(program):
    status, out, err = run(program, python=['-S', '-E'])    # as if without the venv
    assert (status, out) == (1, '')
    assert re.fullmatch(".*: ModuleNotFoundError: No module named 'paste'" + HINT, err)
    (program / 'configure.ini').unlink()
    status, out, err = run(program)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot load {program}/configure.ini: .*No such file.*{HINT}', err)


def test_debug_shows_where_the_ini_breaks(tmp_path):
    copy_program(tmp_path, ('auth:filter_factory', 'auth:nosuch'))
    status, out, err = run(tmp_path, '--debug')
    assert (status, out) == (1, '')
    assert err.startswith('Traceback (most recent call last):\n')


def test_an_address_that_cannot_be_had_is_one_line(tmp_path, server):
    for old, new, address, why in [
        ('port = 0', f'port = {server.port}', f'localhost:{server.port}', 'Address already in use'),
        ('port = 0', 'port = eighty', 'localhost:eighty', 'invalid literal'),
        ('port = 0', 'port = 99999', 'localhost:99999', '0-65535'),
        ('host = localhost', 'host = 192.0.2.1', '192.0.2.1:0', 'assign'),
    ]:
        copy_program(tmp_path, (old, new))
        status, out, err = run(tmp_path)
        assert (status, out) == (1, '')
        assert re.fullmatch(f'Cannot listen on {address}: .*{why}.*\n', err)


def test_it_starts_from_any_directory_and_through_a_link(program, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    os.symlink(program / 'server.py', elsewhere / 'link.py')
    with subprocess.Popen([sys.executable, '-B', 'link.py'], cwd=elsewhere, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()
        process.terminate()
    assert re.match(r'Listening on http://localhost:\d+, until Ctrl-C\.', line)


def test_configure_ini_is_plain_and_says_8000():
    text = (ROOT / 'configure.ini').read_bytes().decode('ascii')
    assert '\nhost = localhost\nport = 8000\n' in text


def test_no_thread_to_be_had_holds_up_nobody(caplog):
    class Full(module.Server):
        turned_away = 0

        def process_request(self, request, client_address):
            if self.turned_away < 3:
                self.turned_away += 1
                raise RuntimeError("can't start new thread")
            super().process_request(request, client_address)
    caplog.set_level('INFO')
    start = time.monotonic()
    with running(load(), Full) as port, connect(port), connect(port), connect(port):
        assert call(port, 'GET', '/instances').status == 200
    assert time.monotonic() - start < 1
    line = "hung up on 127.0.0.1: can't start new thread"
    assert wait_until(lambda: caplog.messages.count(line) == 3)
    assert not any(record.exc_info for record in caplog.records)
