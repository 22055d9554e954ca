"""What the tests share: a request in process, one over a socket, and servers on free ports."""
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest
from paste.deploy import loadapp
from webob import Request

import server

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = {'X-Auth-Token': 'open-sesame'}
FORM = {'Content-Type': 'application/x-www-form-urlencoded'}
JSON = {'Content-Type': 'application/json'}
MODULES = ['server.py', 'auth.py', 'routers.py', 'controllers.py']
KEYS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound',
        405: 'badMethod', 411: 'badRequest', 413: 'overLimit'}

Answer = collections.namedtuple('Answer', 'status content headers')


def load():
    """Return a new app, with instances of its own, as server.py makes it."""
    return loadapp('config:configure.ini', relative_to=str(ROOT))


def ask(app, line, headers={}, body=''):
    """Send a request with the token, 'GET /instances' say, to an app in process.

    Return WebOb's response.
    """
    method, url = line.split()
    body = body.encode() if isinstance(body, str) else body
    request = Request.blank(url, method=method, headers=TOKEN, body=body)
    request.headers.update(headers)
    request.is_body_seekable = False    # as with a server, where a body can be read once
    return request.get_response(app)


def names(app):
    return [instance['name'] for instance in ask(app, 'GET /instances').json['instances']]


def ids(app):
    return [instance['id'] for instance in ask(app, 'GET /instances').json['instances']]


def fault(status, message):
    """Return the JSON of a refusal."""
    return {KEYS[status]: {'code': status, 'message': message}}


def is_uuid4(text):
    return str(uuid.UUID(text, version=4)) == text


def wait_until(condition, seconds=5):
    """Wait until a condition holds, or the time is over; return whether it holds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


# Over a socket

def connect(port):
    return socket.create_connection(('localhost', port), timeout=20)


def read_all(connection):
    """Return what comes until the other side closes."""
    return b''.join(iter(lambda: connection.recv(65536), b''))


def send(port, data):
    """Send bytes over a connection of their own, and return all that comes back."""
    with connect(port) as connection:
        connection.sendall(data)
        return read_all(connection)


def encode(line, *headers, body=b''):
    """Return a request as bytes: the method and the URL, lines of headers, and the body."""
    return '\r\n'.join([f'{line} HTTP/1.1', *headers, '', '']).encode('latin-1') + body


def parse(data):
    """Return the answer that stands in bytes: its JSON, or the text where it is none, or None."""
    head, _, body = data.partition(b'\r\n\r\n')
    first, *lines = head.decode('latin-1').split('\r\n')
    headers = dict(line.split(': ', 1) for line in lines)
    is_json = headers.get('Content-Type') == 'application/json'
    content = (json.loads(body) if is_json else body.decode('latin-1')) if body else None
    return Answer(int(first.split()[1]), content, headers)


def call(port, method, path, body=None, headers=TOKEN):
    """Send one request as an ordinary client does, and return the answer."""
    body = body.encode() if isinstance(body, str) else body
    headers = {'Host': f'localhost:{port}', 'Connection': 'close', **headers}
    if body is not None:
        headers.setdefault('Content-Length', len(body))
    lines = [f'{name}: {value}' for name, value in headers.items()]
    return parse(send(port, encode(f'{method} {path}', *lines, body=body or b'')))


# Servers

def free_port():
    with socket.create_server(('localhost', 0)) as listener:
        return listener.getsockname()[1]


def copy_program(folder, *replacements):
    """Copy the program to folder, on any free port, with text of the ini replaced."""
    for name in ['configure.ini', *MODULES]:
        shutil.copy(ROOT / name, folder)
    ini = folder / 'configure.ini'
    text = re.sub(r'^port = \d+$', 'port = 0', ini.read_text(), flags=re.M)
    for old, new in replacements:
        assert old in text, f'{old!r} is not in configure.ini'
        text = text.replace(old, new)
    ini.write_text(text)


class Server:
    """A server.py that runs as a process; log() is what it has written so far."""

    def __init__(self, folder, *options, env={}):
        self.stderr = open(folder / 'stderr', 'w+')
        self.process = subprocess.Popen(
            [sys.executable, '-B', folder / 'server.py', *options],
            env={**os.environ, 'PYTHONUNBUFFERED': '', **env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr)
        patience = threading.Timer(20, self.process.kill)
        patience.start()
        self.banner = self.process.stdout.readline()
        patience.cancel()
        found = re.search(r'http://localhost:(\d+)', self.banner)
        assert found, f'no URL in {self.banner!r}, but {self.log()}'
        self.port = int(found[1])

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def lines(self, number):
        """Return the lines of the log once there are so many; one may follow its answer."""
        wait_until(lambda: self.log().count('\n') >= number)
        return self.log().splitlines()

    def stop(self, number=signal.SIGTERM):
        """Send a signal, and return the exit status and the rest of stdout."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=10)
        return self.process.returncode, rest


@contextlib.contextmanager
def serving(folder, *options, env={}):
    """Run the program that is in folder, and end it at the end."""
    process = Server(folder, *options, env=env)
    try:
        yield process
    finally:
        process.process.kill()
        process.process.communicate()
        process.stderr.close()


@contextlib.contextmanager
def running(app, **settings):
    """Serve any app from this process, with settings of the RequestHandler; yield the port."""
    handler = type('Handler', (server.RequestHandler,), settings)
    with server.Server(('localhost', 0), handler) as own:
        own.set_app(app)
        thread = threading.Thread(target=own.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield own.server_port
        finally:
            own.shutdown()
            thread.join()


# Environments, for the slow tests

def install(environment, *what):
    """Install packages from PyPI in a virtual environment."""
    retries = [] if 'CI' in os.environ else ['--retries', '0']
    run_or_skip(sys.executable, '-m', 'pip', '--python', str(environment / 'bin' / 'python'),
                'install', '-q', *retries, *what)


def run_or_skip(*command):
    """Run a command. If it fails, skip the test, or have it fail under CI."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [f'"{" ".join(command)}" failed', *done.stderr.strip().splitlines()[-1:]]
        (pytest.fail if 'CI' in os.environ else pytest.skip)(': '.join(lines))
