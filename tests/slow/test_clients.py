"""The clients that Python people use get the answer to a body that is refused unread."""
import subprocess

import pytest

from support import install

pytestmark = pytest.mark.slow

SCRIPT = '''
import CLIENT, sys
for headers in {}, {'X-Auth-Token': 'open-sesame'}:
    response = CLIENT.post(sys.argv[1], data={'name': 'x' * 2_000_000}, headers=headers)
    print(response.status_code, *response.json())
'''


@pytest.mark.parametrize('client', ['requests', 'httpx'])
def test_2_mb_get_their_answer(environment, server, client):
    install(environment, client)
    done = subprocess.run([environment / 'bin' / 'python', '-c', SCRIPT.replace('CLIENT', client),
                           f'http://localhost:{server.port}/instances'],
                          capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ('403 forbidden\n413 overLimit\n', '')
