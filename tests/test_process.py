"""server.py as a process: how it starts, what it says where it cannot, and how it ends."""
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from support import ROOT, call, connect, copy_program, serving


def run(program, *options, python=()):
    """Run a server.py that is not to serve, and return its exit status and its output."""
    done = subprocess.run([sys.executable, '-B', *python, program / 'server.py', *options],
                          text=True, capture_output=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


# The start

def test_the_banner_says_where(server):
    assert server.banner == f'Listening on http://localhost:{server.port}, until Ctrl-C.\n'


def test_configure_ini_is_ascii():
    """PasteDeploy reads it in whatever encoding the machine is set to."""
    assert (ROOT / 'configure.ini').read_bytes().isascii()


def test_it_listens_on_the_local_machine_only(server):
    with socket.socket() as other:
        assert other.connect_ex(('127.0.0.2', server.port)) != 0


def test_it_starts_from_any_directory_and_through_a_link(program, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    os.symlink(program / 'server.py', elsewhere / 'link.py')
    with subprocess.Popen([sys.executable, '-B', 'link.py'], cwd=elsewhere, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()
        process.terminate()
    assert re.match(r'Listening on http://localhost:\d+, until Ctrl-C\.', line)


def test_help_helps_and_an_unknown_option_is_refused(program):
    status, out, err = run(program, '--help')
    assert (status, err) == (0, '')
    assert out.startswith('usage: server.py [-h] [--debug]\n') and 'configure.ini' in out
    status, out, err = run(program, '--port=80')
    assert (status, out) == (2, '') and 'unrecognized arguments: --port=80' in err


# What a learner may get wrong is one line, and status 1

@pytest.mark.parametrize('old, new, names', [
    # a mistake in configure.ini: what is replaced by what; what the line must name
    ('auth instance', 'auth nosuch', "LookupError: No section 'nosuch'"),
    ('auth instance', 'instance auth', "LookupError: No section 'auth'"),
    ('auth instance', '', 'IndexError'),
    ('[pipeline:main]', '', 'MissingSectionHeaderError'),
    ('pipeline = ', 'pipline = ', "missing a 'pipeline' setting"),
    ('auth:filter_factory', 'auth:nosuch', "has no attribute 'nosuch'"),
    ('auth:filter_factory', 'nosuch:filter_factory', "No module named 'nosuch'"),
    ('token = open-sesame', '', "argument: 'token'"),
    ('token = open-sesame', "token = 'open-barley'", 'without quotes'),
    ('token = open-sesame', 'token = 100%', 'InterpolationSyntaxError'),
    ('paste.app_factory', 'app_factory', 'app:instance'),
    ('[server:main]', '[server:other]', "No section 'main' (prefixed by 'server')"),
    ('host = ', 'hots = ', "'hots'"),
])
def test_a_broken_ini_is_one_line(tmp_path, old, new, names):
    copy_program(tmp_path, (old, new))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot load {tmp_path}/configure.ini: .*{re.escape(names)}.*\n', err)
    assert 'open-sesame' not in err


def test_no_ini_is_one_line(program):
    (program / 'configure.ini').unlink()
    status, out, err = run(program)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot load {program}/configure.ini: .*No such file.*\n', err)


def test_debug_shows_where_the_ini_breaks(tmp_path):
    copy_program(tmp_path, ('auth:filter_factory', 'auth:nosuch'))
    status, out, err = run(tmp_path, '--debug')
    assert (status, out) == (1, '')
    assert err.startswith('Traceback (most recent call last):\n')


def test_without_the_packages_one_line_says_how_to_install_them(program):
    status, out, err = run(program, python=['-S', '-E'])    # as if without the venv
    assert (status, out) == (1, '')
    assert re.fullmatch("No module named 'paste'.* venv/bin/pip install .*requirements.*\n", err)


@pytest.mark.parametrize('old, new, names', [
    # what is replaced by what in configure.ini; the address and the reason in the line
    ('port = 0', 'port = {taken}', 'localhost:{taken}: .*Address already in use'),
    ('port = 0', 'port = eighty', 'localhost:eighty: .*invalid literal'),
    ('port = 0', 'port = 99999', 'localhost:99999: .*0-65535'),
    ('host = localhost', 'host = 192.0.2.1', r'192\.0\.2\.1:0: .*assign'),
])
def test_an_address_that_cannot_be_had_is_one_line(tmp_path, server, old, new, names):
    copy_program(tmp_path, (old, new.format(taken=server.port)))
    status, out, err = run(tmp_path)
    assert (status, out) == (1, '')
    assert re.fullmatch(f'Cannot listen on {names.format(taken=server.port)}.*\n', err)


# The end

@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(program, number):
    with serving(program) as server, connect(server.port) as idle:
        call(server.port, 'GET', '/instances')
        idle.sendall(b'GET /inst')
        log = server.lines(1)
        assert server.stop(number) == (0, '')
        assert server.log().splitlines() == log
