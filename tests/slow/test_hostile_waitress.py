"""The requests of test_hostile.py, sent to waitress, which runs the same configure.ini."""
import pytest

from hostile import HOSTILE
from support import install
from test_hostile import check_hostile
from test_other_servers import running

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def port(environment, tmp_path_factory):
    """The port of a waitress. Whatever is sent to it, there must be no traceback in its log."""
    install(environment, 'waitress')
    with running('waitress', environment, tmp_path_factory.mktemp('waitress')) as (port, log):
        yield port
        assert 'Traceback' not in log.read_text()


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_requests_to_waitress(port, name):
    check_hostile(port, name)
