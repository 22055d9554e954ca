"""Figures about the toy, as ratios: "python tests/benchmark.py" takes under a minute.

The sides of a ratio take turns, and the best of several turns counts, because
machines are noisy. The README quotes the ratios. Nothing here is a test.
"""
import contextlib
import gc
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from wsgiref.util import setup_testing_defaults

from routes import Mapper
from routes.middleware import RoutesMiddleware
from webob import Request, Response
from webob.dec import wsgify

from support import ROOT, TOKEN, connect, copy_program, read_all, serving

sys.path.insert(0, str(ROOT))
from auth import Auth
from controllers import Controller
from routers import ROUTES, Router

SIZES = [3, 1_000, 100_000]
TURNS = 80
CALLS = 50          # of a turn in process
SECONDS = 1.5       # of a turn over the socket


class EmptyFilter:
    """A filter with nothing in it: what the stack costs without auth.py."""

    def __init__(self, app):
        self.app = app

    @wsgify
    def __call__(self, req):
        return self.app


class EmptyRouter:
    """The router with nothing but its routes in it."""

    def __init__(self, controller):
        mapper = Mapper(register=False)
        for path, methods, action in ROUTES:
            mapper.connect(path, controller=controller, action=action,
                           conditions={'method': methods})
        mapper.create_regs()
        self.router = RoutesMiddleware(self.dispatch, mapper,
                                       use_method_override=False, singleton=False)

    @wsgify
    def __call__(self, req):
        return self.router

    @wsgify
    def dispatch(self, req):
        return req.environ['wsgiorg.routing_args'][1]['controller']


class EmptyController:
    """A controller that gives the same answer to everything."""

    def __init__(self, status, content):
        self.status = status
        self.content = content

    @wsgify
    def __call__(self, req):
        if self.content is None:
            return Response(status=self.status)
        return Response(json=self.content, status=self.status)


# In process.

def make_environ(method, path, body=b''):
    """Return what a server would make of a request."""
    environ = {'REQUEST_METHOD': method, 'PATH_INFO': path, 'QUERY_STRING': '',
               'CONTENT_TYPE': 'application/x-www-form-urlencoded',
               'CONTENT_LENGTH': str(len(body)), 'wsgi.input': io.BytesIO(body),
               'HTTP_X_AUTH_TOKEN': TOKEN['X-Auth-Token']}
    setup_testing_defaults(environ)
    return environ


def filled(size):
    """Return a controller with so many instances."""
    controller = Controller()
    while len(controller.instances) < size:
        controller._add(f'inst-{len(controller.instances)}')
    return controller


def requests(controller, action, number):
    """Return so many environs that ask the controller for an action."""
    path = '/instances/' + next(iter(controller.instances))
    if action == 'index':
        return [make_environ('GET', '/instances') for _ in range(number)]
    if action == 'show':
        return [make_environ('GET', path) for _ in range(number)]
    if action == 'create':
        return [make_environ('POST', '/instances', b'name=demo') for _ in range(number)]
    if action == 'update':
        return [make_environ('PUT', path, b'name=demo') for _ in range(number)]
    added = [controller._add('demo')['id'] for _ in range(number)]
    return [make_environ('DELETE', '/instances/' + instance_id) for instance_id in added]


def microseconds(app, environs):
    """Return what a call takes on the average."""
    gc.disable()
    start = time.perf_counter()
    for environ in environs:
        b''.join(app(environ, lambda status, headers, exc_info=None: None))
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds / len(environs) * 1e6


def turn(controller, app, action, number=CALLS):
    """Time an action, and take back what it added."""
    before = list(controller.instances)[-1]
    taken = microseconds(app, requests(controller, action, number))
    while next(reversed(controller.instances)) != before:
        controller.instances.popitem()
    return taken


def compare_with_empty_layers():
    print('In process: microseconds a request, beside the same layers with nothing in them\n')
    print(f'{"":8}{"toy":>10}{"empty":>10}{"toy / empty":>16}')
    for action in ('index', 'show', 'create', 'update', 'delete'):
        controller = filled(3)
        toy = Auth(Router(controller), TOKEN['X-Auth-Token'])
        answer = Request(requests(controller, action, 1)[0]).get_response(toy)
        empty = EmptyFilter(EmptyRouter(EmptyController(
            answer.status_int, answer.json if answer.body else None)))
        turns = [(turn(controller, toy, action), turn(controller, empty, action))
                 for _ in range(TURNS)]
        ours, theirs = map(min, zip(*turns))
        print(f'{action:8}{ours:10.0f}{theirs:10.0f}{ours / theirs:16.2f}')


def compare_sizes():
    print('\nIn process: microseconds a request, with more and more instances\n')
    print(f'{"":8}' + ''.join(f'{size:>10,}' for size in SIZES)
          + f'{f"{SIZES[-1]:,} / {SIZES[0]}":>16}')
    sides = [filled(size) for size in SIZES]
    apps = [Auth(Router(controller), TOKEN['X-Auth-Token']) for controller in sides]
    for action in ('show', 'create', 'update', 'delete', 'index'):
        calls, turns = (5, 4) if action == 'index' else (CALLS, TURNS)
        rows = [[turn(controller, app, action, calls) for controller, app in zip(sides, apps)]
                for _ in range(turns)]
        best = list(map(min, zip(*rows)))
        print(f'{action:8}' + ''.join(f'{taken:10,.0f}' for taken in best)
              + f'{best[-1] / best[0]:16,.2f}')


# Over the socket.

PLAIN = '''
from wsgiref.simple_server import make_server


def server_factory(global_conf, host, port):
    def serve(app):
        server = make_server(host, int(port), app)
        print(f'http://localhost:{server.server_port}/instances\\n', flush=True)
        server.serve_forever()
    return serve
'''


@contextlib.contextmanager
def server_of(folder, *replacements):
    folder.mkdir()
    copy_program(folder, *replacements)
    (folder / 'plain.py').write_text(PLAIN)
    with serving(folder) as server:
        yield server


def get_for_a_while(port, taken):
    """Send one GET after the other; put the seconds that each one takes into the list."""
    data = b'GET /instances HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: open-sesame\r\n\r\n'
    end = time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        with connect(port) as connection:
            connection.sendall(data)
            assert read_all(connection).startswith(b'HTTP/1.0 200 OK\r\n')
        taken.append(time.perf_counter() - start)


def load(port, clients):
    """Return requests per second, and the 50th, 99th and 100th percentile in milliseconds."""
    taken = []
    threads = [threading.Thread(target=get_for_a_while, args=(port, taken))
               for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(taken) / (time.perf_counter() - start)
    taken.sort()
    return (rate, *(taken[int(part * (len(taken) - 1))] * 1e3 for part in (0.5, 0.99, 1)))


def compare_servers(folder):
    print('\nOver the socket: requests a second, and the milliseconds that they take\n')
    print(f'{"":36}{"rate":>8}{"50 %":>8}{"99 %":>8}{"longest":>9}')
    with server_of(folder / 'toy') as toy, server_of(
            folder / 'plain', ('server:server_factory', 'plain:server_factory')) as plain:
        for clients in (1, 16):
            turns = [(load(toy.port, clients), load(plain.port, clients)) for _ in range(3)]
            best = list(map(max, zip(*turns)))
            for name, (rate, *times) in zip(('server.py', 'plain wsgiref'), best):
                label = f'{name}, {clients} client{"s" * (clients > 1)}'
                print(f'{label:36}{rate:8.0f}{times[0]:8.1f}{times[1]:8.1f}{times[2]:9.1f}')
            print(f'{"server.py / plain wsgiref":36}'
                  + f'{best[0][0] / best[1][0]:8.2f}'
                  + ''.join(f'{ours / theirs:8.2f}' for ours, theirs
                            in list(zip(*best))[1:3]) + '\n')


# Memory.

MEMORY = '''
import re
import server
from controllers import Controller


def print_megabytes():
    status = open('/proc/self/status').read()
    print(int(re.search(r'VmRSS:\\s+(\\d+) kB', status)[1]) / 1024)


app = server.loadapp('config:configure.ini', relative_to='.')
print_megabytes()
controller = Controller()
for number in range(3, 100_000):
    controller._add(f'inst-{number}')
print_megabytes()
'''


def measure_memory():
    if not os.path.exists('/proc/self/status'):
        print('This system does not tell how much memory a process has.')
        return
    printed = subprocess.run([sys.executable, '-B', '-W', 'ignore', '-c', MEMORY], cwd=ROOT,
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    small, large = map(float, printed.split())
    print(f'Memory of the process: {small:.0f} MB at the start,'
          f' {large:.0f} MB with 100,000 instances, {large / small:.1f} times as much')


def main():
    compare_with_empty_layers()
    compare_sizes()
    with tempfile.TemporaryDirectory() as folder:
        compare_servers(pathlib.Path(folder))
    measure_memory()


if __name__ == '__main__':
    main()
