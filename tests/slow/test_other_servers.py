"""Other servers run the same configure.ini: gunicorn, pserve, uWSGI and waitress.

They are no dependency of the toy. The tests install them from PyPI into an environment of their
own, which takes a minute or two, most of it for pip to compile uWSGI; pip keeps the result for the
next time. If they cannot be installed, the tests are skipped, except under CI.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from support import FORM, JSON, ROOT, TOKEN, call, copy_program, free_port, install, parse, send

pytestmark = pytest.mark.slow

SERVERS = [
    # server     package     the answer to a body in chunks, which is each server's own affair
    ('gunicorn', 'gunicorn', 201),
    ('pserve', 'pyramid', 411),
    ('uWSGI', 'uWSGI', 411),
    ('waitress', 'waitress', 201),
]
WAITRESS = ('paste.server_factory = server:server_factory', 'use = egg:waitress#main')


def command(server, port):
    """Return the command in the row of README.md's table that begins with the server's name."""
    readme = (ROOT / 'README.md').read_text()
    row = re.search(rf'^\| {server} \|.*\| `([^`|]+)`[^|]*\|$', readme, re.M)
    assert row, f'README.md has no row "| {server} | ... | `its command` |"'
    return row[1].replace('8000', str(port))


@contextlib.contextmanager
def running(server, environment, folder):
    """Run the program in folder on another server; yield the port, and the file of the log."""
    port, log = free_port(), folder / 'log'
    copy_program(folder, ('port = 0', f'port = {port}'), *[WAITRESS] * (server == 'waitress'))
    (folder / 'venv').symlink_to(environment)
    with open(log, 'w') as output:
        process = subprocess.Popen(
            ['bash', '-c', command(server, port)], cwd=folder,
            env={**os.environ, 'HOME': str(folder), 'PYTHONDONTWRITEBYTECODE': '1'},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until_it_listens(process, port, log)
        yield port, log
    finally:
        os.killpg(process.pid, signal.SIGKILL)      # gunicorn has two processes
        process.wait()


def wait_until_it_listens(process, port, log):
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(('localhost', port), 1):
            return
        time.sleep(0.1)
    pytest.fail(f'nothing listens on port {port}: {log.read_text()}')


# In one piece: a server that refuses it may hang up before it has all.
CHUNKED = (b'POST /instances HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
           b'X-Auth-Token: open-sesame\r\nContent-Type: application/x-www-form-urlencoded\r\n'
           b'Transfer-Encoding: chunked\r\n\r\n9\r\nname=demo\r\n0\r\n\r\n')


def check_the_five_calls_and_a_refusal(port):
    status, content, _ = call(port, 'GET', '/instances')
    names = [instance['name'] for instance in content['instances']]
    assert (status, names) == (200, ['inst-0', 'inst-1', 'inst-2'])

    status, content, headers = call(port, 'POST', '/instances', 'name=demo_one', {**TOKEN, **FORM})
    created = content['instance']
    path = '/instances/' + created['id']
    assert (status, created['name']) == (201, 'demo_one')
    assert headers['Location'] == f'http://localhost:{port}{path}'
    assert headers['Content-Type'] == 'application/json'

    assert call(port, 'GET', path)[:2] == (200, {'instance': created})
    renamed = {'instance': {'id': created['id'], 'name': 'demo_two'}}
    assert call(port, 'PUT', path, '{"name": "demo_two"}', {**TOKEN, **JSON})[:2] == (200, renamed)
    assert call(port, 'DELETE', path)[:2] == (204, None)

    status, content, headers = call(port, 'GET', '/instances', headers={})
    assert (status, content['forbidden']['code']) == (403, 403)
    assert headers['Content-Type'] == 'application/json'


@pytest.mark.parametrize('server, package, chunked', SERVERS, ids=[row[0] for row in SERVERS])
def test_another_server_runs_the_same_ini(environment, tmp_path, server, package, chunked):
    install(environment, package)
    with running(server, environment, tmp_path) as (port, log):
        check_the_five_calls_and_a_refusal(port)
        status, content, _ = parse(send(port, CHUNKED))
        assert status == chunked
        if chunked == 201:      # else nobody could have read the name
            assert content['instance']['name'] == 'demo'
        else:
            assert content['badRequest']['code'] == chunked
        assert 'Traceback' not in log.read_text()
