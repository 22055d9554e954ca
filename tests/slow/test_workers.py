"""Four workers serve the grown toy, and one is killed: no answered write is lost, nothing is 5xx.

With SQLite and, if the machine has PostgreSQL, with that. A client whose worker has been killed
gets no response; what became of such a write is open. Builds may be lost: with fake://, their
messages are in the memory of the worker.
"""
import collections
import contextlib
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import grown
import states
from documents import listens
from support import JSON, TOKEN, call, free_port, run_or_skip, wait_until

CLIENTS, CREATES, SECONDS = 6, 240, 30      # it ends after so many creates, or so many seconds
ACTIONS = [{'pause': None}, {'os-stop': None}, {'unpause': None}, {'os-start': None},
           {'reboot': {'type': 'HARD'}}]


def postgresql_programs():
    """Return the folder of PostgreSQL's programs, or ''. Debian keeps them off the PATH."""
    found = shutil.which('pg_ctl') or max(glob.glob('/usr/lib/postgresql/*/bin/pg_ctl'), default='')
    return os.path.dirname(found)


@contextlib.contextmanager
def postgresql():
    """Run a PostgreSQL on a socket of its own; yield its URL. It refuses to be root."""
    user = 'postgres' if os.getuid() == 0 else None
    folder = tempfile.mkdtemp()     # short: a socket's path has 107 bytes at most
    if user:
        shutil.chown(folder, user)

    def run(program, *options):
        subprocess.run([f'{postgresql_programs()}/{program}', '-D', f'{folder}/data', *options],
                       user=user, cwd=folder, check=True, timeout=60, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run('initdb', '--auth=trust', '--username=nova', '--encoding=UTF8', '--no-sync')
        run('pg_ctl', '-w', '-l', f'{folder}/log', '-o', f"-k {folder} -c listen_addresses=''",
            'start')
        try:
            yield f'postgresql+psycopg2://nova@/postgres?host={folder}'
        finally:
            run('pg_ctl', '-m', 'immediate', 'stop')
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=['SQLite', 'PostgreSQL'])
def connection(request, tmp_path):
    """The URL of an empty database, and the folder of a driver that the toy does not have."""
    if request.param == 'SQLite':
        yield f'sqlite:///{tmp_path}/nova.sqlite?timeout=30', None
    elif not postgresql_programs():
        pytest.skip('PostgreSQL is not installed')
    else:
        driver = tmp_path / 'driver'
        run_or_skip(sys.executable, '-m', 'pip', 'install', '-q', '--target', str(driver),
                    'psycopg2-binary')
        with postgresql() as url:
            yield url, driver


@pytest.fixture
def gunicorn(tmp_path, connection, venv):
    """gunicorn's process, the port, and the file of the log."""
    url, driver = connection
    port, folder, log = free_port(), tmp_path / 'toy', tmp_path / 'log'
    grown.make(folder)
    ini = folder / 'configure.ini'
    text = states.with_port(ini.read_text(), port)
    for key, value in {'connection': url, 'work_seconds': '0.2'}.items():
        text, found = re.subn(rf'^{key} = .*$', f'{key} = {value}', text, flags=re.M)
        assert found == 1, f'{key} is not in configure.ini'
    ini.write_text(text)
    python = pathlib.Path(venv) / 'bin' / 'python'
    environ = {**os.environ, **({'PYTHONPATH': str(driver)} if driver else {})}
    subprocess.run([python, '-B', 'manage.py'], cwd=folder, env=environ, check=True,
                   capture_output=True)
    with open(log, 'w') as output:
        process = subprocess.Popen(
            [python, '-B', '-m', 'gunicorn', '--paste', 'configure.ini', '--workers', '4',
             '--bind', f'localhost:{port}'],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        assert wait_until(lambda: listens(port) and len(workers(process)) == 4, 30), (
            log.read_text())
        yield process, port, log
    finally:
        process.terminate()
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            for pid in [*workers(process), process.pid]:
                os.kill(pid, signal.SIGKILL)
            process.wait()


def workers(process):
    """Return the ids of gunicorn's workers."""
    done = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in done.stdout.split()]


class Clients:
    """What several clients ask for, what they get, and what must be there afterwards."""

    def __init__(self, port):
        self.port = port
        self.end = time.monotonic() + SECONDS
        self.lock = threading.Lock()
        self.creates = 0
        self.statuses = collections.Counter()
        self.names = {}         # id -> the names that a server may have; none: it is deleted
        self.unexpected = []

    def ask(self, what, method, path='', body=None):
        """Send a request; return its status, or None for no response, and its content."""
        text, headers = (json.dumps(body), {**TOKEN, **JSON}) if body else (None, TOKEN)
        try:
            answer = call(self.port, method, f'/v2.1/servers{path}', text, headers)
        except (OSError, IndexError, ValueError):   # nothing has come, or not all
            answer = None
        status = answer and answer.status
        with self.lock:
            self.statuses[what, status] += 1
            if status and status >= 500:
                self.unexpected.append((what, answer))
        return status, answer and answer.content

    def one_more(self):
        """Return the number of the next server, or None for no more."""
        with self.lock:
            self.creates += 1
            more = self.creates <= CREATES and time.monotonic() < self.end
            return self.creates if more else None

    def work(self, seed):
        """Create servers, rename them, send them actions, and delete some."""
        dice = random.Random(seed)
        while number := self.one_more():
            name = f'web-{number}'
            status, content = self.ask('create', 'POST', body={'server': {
                'name': name, 'flavorRef': '1'}})
            if status != 202:
                continue
            server_id = content['server']['id']
            self.names[server_id] = {name}
            status, _ = self.ask('rename', 'PUT', f'/{server_id}', {'server': {'name': f'{name}-b'}})
            if status != 200:
                self.names[server_id].add(f'{name}-b')
            else:
                self.names[server_id] = {f'{name}-b'}
            for action in dice.sample(ACTIONS, 2):
                self.ask('action', 'POST', f'/{server_id}/action', action)
            if dice.random() < 0.25:
                status, _ = self.ask('delete', 'DELETE', f'/{server_id}')
                if status == 204:
                    self.names[server_id] = set()
                else:
                    self.names[server_id].add(None)

    def lost(self):
        """Return what is not as it was answered."""
        found = []
        for server_id, names in self.names.items():
            status, content = self.ask('show', 'GET', f'/{server_id}')
            name = content['server']['name'] if status == 200 else None
            right = status == 404 and (not names or None in names) or status == 200 and name in names
            if not right:
                found.append((server_id, names, status, content))
        return found


def test_no_answered_write_is_lost(gunicorn):
    process, port, log = gunicorn
    clients = Clients(port)
    threads = [threading.Thread(target=clients.work, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    wait_until(lambda: clients.creates > CREATES / 4, SECONDS / 2)
    before = workers(process)
    os.kill(before[0], signal.SIGKILL)
    assert clients.creates < CREATES, 'it was killed too late'
    for thread in threads:
        thread.join()
    assert wait_until(lambda: len(set(workers(process)) - {before[0]}) == 4, 20)
    assert not clients.unexpected, (clients.unexpected[:3], log.read_text()[-4000:])
    assert not clients.lost(), clients.statuses
    assert clients.statuses['create', 202] > 20, clients.statuses
    none = sum(count for (_, status), count in clients.statuses.items() if status is None)
    assert none <= CLIENTS, clients.statuses    # at most what the killed worker had in hand
