"""What the tests share: a request in process, and a real server on a free port."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid

from paste.deploy import loadapp
from webob import Request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = {'X-Auth-Token': 'open-sesame'}
PROGRAM = ['configure.ini', 'server.py', 'auth.py', 'routers.py', 'controllers.py']
MODULES = PROGRAM[1:]


def load():
    """Return a new app, with instances of its own, as server.py makes it."""
    return loadapp('config:configure.ini', relative_to=str(ROOT))


def ask(app, method, url, headers=TOKEN, **kwargs):
    """Send one request to an app in process, and return the response."""
    return Request.blank(url, method=method, headers=headers, **kwargs).get_response(app)


def is_uuid4(text):
    return str(uuid.UUID(text, version=4)) == text


def copy_program(folder, *replacements):
    """Copy the program to folder, on any free port, with text of the ini replaced."""
    for name in PROGRAM:
        shutil.copy(ROOT / name, folder)
    ini = folder / 'configure.ini'
    text = ini.read_text()
    for old, new in [('port = 8000', 'port = 0'), *replacements]:
        assert old in text, f'{old!r} is not in configure.ini'
        text = text.replace(old, new)
    ini.write_text(text)


class Server:
    """A server.py that runs; log() is what it has written so far."""

    def __init__(self, folder, *options, env={}, script='server.py'):
        self.stderr = open(folder / 'stderr', 'w+')
        env = {**os.environ, 'PYTHONUNBUFFERED': '', **env}
        self.process = subprocess.Popen(
            [sys.executable, str(folder / script), *options], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        self.banner = self.process.stdout.readline()
        found = re.search(r'http://localhost:(\d+)', self.banner)
        assert found, f'no URL in {self.banner!r}, but {self.log()}'
        self.port = int(found[1])

    def log(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def stop(self, number=signal.SIGTERM):
        """Send a signal, and return the exit status and the rest of stdout."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=10)
        return self.process.returncode, rest


@contextlib.contextmanager
def serving(folder, *options, **kwargs):
    """Run the program that is in folder, and end it at the end."""
    server = Server(folder, *options, **kwargs)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()
        server.stderr.close()


def free_port():
    with socket.create_server(('localhost', 0)) as listener:
        return listener.getsockname()[1]


def call(port, method, path, body=None, headers=TOKEN):
    """Make one request, and return the status, the JSON and the headers."""
    with contextlib.closing(http.client.HTTPConnection('localhost', port, timeout=30)) as client:
        client.request(method, path, body, headers)
        answer = client.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers


def connect(port):
    return socket.create_connection(('localhost', port), timeout=20)


def read_all(connection):
    """Return what comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b''.join(parts)


def send(port, data):
    """Send bytes over a connection of their own, and return the whole answer."""
    with connect(port) as connection:
        connection.sendall(data)
        return read_all(connection)
