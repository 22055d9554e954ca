"""Whatever is sent, there is no 5xx, no traceback in the log and no server that hangs.

The shared server checks for tracebacks where it ends.
"""
import contextlib
import socket
import time

import pytest

from hostile import HOSTILE, check, generate, status_of
from support import KEYS, call, connect, encode, parse, read_all


def deliver(port, data):
    """Send bytes, and say that they are all; return what comes back."""
    received = b''
    with connect(port) as connection, contextlib.suppress(OSError):
        # A server may hang up before it has read all, and what it has said may get lost.
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            received += piece
    return received


def check_hostile(port, name):
    data, statuses = HOSTILE[name]
    start = time.monotonic()
    assert status_of(deliver(port, data)) in statuses
    assert call(port, 'GET', '/instances').status == 200
    assert time.monotonic() - start < 2


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_requests(server, name):
    check_hostile(server.port, name)


def test_generated_requests(server):
    """Check the answers, and what the requests did to the list."""
    def instances():
        return call(server.port, 'GET', '/instances').content['instances']
    start, before, statuses = time.monotonic(), instances(), set()
    for method, url, headers, body in generate(400):
        answer, url = None, url.replace('{id}', before[0]['id'] if before else 'none')
        data = encode(f'{method} {url}', *map(': '.join, headers), body=body)
        try:
            answer = parse(deliver(server.port, data))
            check(method, headers, answer)
            after = instances()
            changed = answer.status in (200, 201, 204) and method in ('POST', 'PUT', 'DELETE')
            assert changed or after == before
            assert len(after) - len(before) == {201: 1, 204: -1}.get(answer.status, 0)
            assert time.monotonic() - start < 20, 'some of these are slow'
        except Exception as error:
            raise AssertionError(f'{answer} is not right, to repeat it send:\n{data}') from error
        before = after
        statuses.add(answer.status)
    assert statuses == {200, 201, 204, *KEYS} - {411}
