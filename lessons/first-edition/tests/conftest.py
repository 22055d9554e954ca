"""Fixtures: the app in process, and one server for the tests that need no own."""
import os
import shutil
import signal
import subprocess
import sys

import pytest

pytest.register_assert_rewrite('documents', 'support')

# Who runs the tests in the background has Ctrl-C ignored, and the servers would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

from support import ROOT, copy_program, load, serving  # noqa: E402


@pytest.fixture
def app():
    return load()


@pytest.fixture
def program(tmp_path):
    copy_program(tmp_path)
    return tmp_path


@pytest.fixture(scope='session')
def server(tmp_path_factory):
    """A server.py that the tests share. Whatever they send, it must log no traceback."""
    folder = tmp_path_factory.mktemp('program')
    copy_program(folder)
    with serving(folder) as server:
        yield server
        assert 'Traceback' not in server.log()


@pytest.fixture(scope='session')
def network(tmp_path_factory):
    """Whether packages can be had from PyPI. In CI they must be."""
    command = [sys.executable, '-m', 'pip', '--retries=1', '--timeout=10', 'download', '-q',
               '--no-deps', '-d', str(tmp_path_factory.mktemp('pip')), 'PasteDeploy']
    there = subprocess.run(command, capture_output=True).returncode == 0
    assert there or 'CI' not in os.environ
    return there


@pytest.fixture
def checkout(tmp_path_factory):
    """A copy of the repository, with a venv: that which runs the tests."""
    folder = tmp_path_factory.mktemp('copy') / 'checkout'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns('.git', 'venv', '__pycache__', 'hello*.py'))
    (folder / 'venv').symlink_to(sys.prefix)
    return folder


@pytest.fixture
def clone(checkout, network):
    """A copy of the repository as it is cloned: without a venv, if one can be made."""
    if network:
        (checkout / 'venv').unlink()
    return checkout
