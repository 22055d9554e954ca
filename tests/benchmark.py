"""Figures about the toy, as ratios: "python tests/benchmark.py" takes half a minute.

The sides of a ratio take turns, and the best of several turns counts, because machines are noisy.
Flask and Django are compared if they are installed. With --quick every turn is so small that the
figures say nothing.
"""
import contextlib
import gc
import io
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from wsgiref.util import setup_testing_defaults

from routes import Mapper
from routes.middleware import RoutesMiddleware
from webob import Response
from webob.dec import wsgify

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from auth import Auth
from controllers import Controller
from routers import ROUTES, Router

TOKEN = 'open-sesame'
QUICK = '--quick' in sys.argv
TURNS, CALLS = (1, 5) if QUICK else (50, 50)        # in process
ROUNDS, SECONDS = (1, 0.1) if QUICK else (3, 1)     # over the socket
ACTIONS = ['index', 'show', 'create', 'update', 'delete']

Side = namedtuple('Side', 'name app instances')


class Store:
    """What every side but the toy does with its instances, without a check."""

    def __init__(self):
        self.instances = {}
        add(self.instances, 3)

    def index(self):
        return {'instances': list(self.instances.values())}

    def show(self, instance_id):
        return {'instance': self.instances[instance_id]}

    def create(self, name):
        instance = {'id': str(uuid.uuid4()), 'name': name}
        self.instances[instance['id']] = instance
        return {'instance': instance}

    def update(self, instance_id, name):
        self.instances[instance_id]['name'] = name
        return {'instance': self.instances[instance_id]}

    def delete(self, instance_id):
        del self.instances[instance_id]


def add(instances, number):
    """Add so many instances, and return their ids."""
    ids = [str(uuid.uuid4()) for _ in range(number)]
    instances.update((each, {'id': each, 'name': 'demo'}) for each in ids)
    return ids


def toy_side(name='toy', size=3):
    controller = Controller()
    add(controller.instances, size - 3)
    return Side(name, Auth(Router(controller), TOKEN), controller.instances)


class CopyOfAuth:
    """The layers of the earlier copies of the toy, from here on, which check next to nothing."""

    def __init__(self, app):
        self.app = app

    @wsgify
    def __call__(self, req):
        return self.app if req.headers.get('X-Auth-Token') == TOKEN else Response(status=403)


class CopyOfRouter:
    def __init__(self, controller):
        mapper = Mapper(register=False)
        for path, methods, action in ROUTES:
            mapper.connect(path, controller=controller, action=action,
                           conditions={'method': methods})
        mapper.create_regs()
        self.router = RoutesMiddleware(self.dispatch, mapper, use_method_override=False,
                                       singleton=False)

    @wsgify
    def __call__(self, req):
        return self.router

    @staticmethod
    @wsgify
    def dispatch(req):
        return req.environ['wsgiorg.routing_args'][1]['controller']


class CopyOfController:
    def __init__(self, store):
        self.store = store

    @wsgify
    def __call__(self, req):
        args = req.environ['wsgiorg.routing_args'][1]
        del args['controller']
        action = args.pop('action')
        if action in ('create', 'update'):
            args['name'] = req.params['name']
        result = getattr(self.store, action)(**args)
        return Response(json=result) if result else Response(status=204)


def copies_side():
    store = Store()
    return Side('copies', CopyOfAuth(CopyOfRouter(CopyOfController(store))), store.instances)


def flask_side():
    from flask import Flask, request
    app, store = Flask(__name__), Store()

    @app.before_request
    def auth():
        if request.headers.get('X-Auth-Token') != TOKEN:
            return '', 403

    @app.post('/instances')
    def create():
        made = store.create(request.form['name'])
        return made, 201, {'Location': f'/instances/{made["instance"]["id"]}'}

    @app.put('/instances/<instance_id>')
    def update(instance_id):
        return store.update(instance_id, request.form['name'])

    @app.delete('/instances/<instance_id>')
    def delete(instance_id):
        store.delete(instance_id)
        return '', 204

    app.get('/instances')(store.index)
    app.get('/instances/<instance_id>')(store.show)
    return Side('Flask', app, store.instances)


def django_auth(get_response):
    from django.http import HttpResponse
    return lambda request: (get_response(request) if request.headers.get('X-Auth-Token') == TOKEN
                            else HttpResponse(status=403))


def django_side():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, JsonResponse, QueryDict
    from django.urls import path
    store = Store()

    def collection(request):
        if request.method == 'GET':
            return JsonResponse(store.index())
        made = store.create(request.POST['name'])
        location = {'Location': f'/instances/{made["instance"]["id"]}'}
        return JsonResponse(made, status=201, headers=location)

    def member(request, instance_id):
        if request.method == 'GET':
            return JsonResponse(store.show(instance_id))
        if request.method == 'PUT':
            return JsonResponse(store.update(instance_id, QueryDict(request.body)['name']))
        store.delete(instance_id)
        return HttpResponse(status=204)

    settings.configure(DEBUG=False, MIDDLEWARE=[__name__ + '.django_auth'], ROOT_URLCONF=(
        path('instances', collection), path('instances/<instance_id>', member)))
    return Side('Django', get_wsgi_application(), store.instances)


def make_environ(method, path, body=b''):
    """Return what a server would make of a request."""
    environ = {'REQUEST_METHOD': method, 'PATH_INFO': '/instances' + path, 'QUERY_STRING': '',
               'wsgi.input': io.BytesIO(body), 'HTTP_X_AUTH_TOKEN': TOKEN}
    if body:
        environ |= {'CONTENT_TYPE': 'application/x-www-form-urlencoded',
                    'CONTENT_LENGTH': str(len(body))}
    setup_testing_defaults(environ)
    return environ


def turn(side, action, calls):
    """Return the microseconds that a call takes on average, and undo what the calls do."""
    kept, path = side.instances.copy(), '/' + next(iter(side.instances))
    if action == 'delete':
        environs = [make_environ('DELETE', '/' + each) for each in add(side.instances, calls)]
    else:
        asked = {'index': ('GET', ''), 'create': ('POST', '', b'name=demo'),
                 'show': ('GET', path), 'update': ('PUT', path, b'name=demo')}[action]
        environs = [make_environ(*asked) for _ in range(calls)]
    statuses = set()
    gc.disable()
    start = time.perf_counter()
    for environ in environs:
        b''.join(side.app(environ, lambda status, headers, exc_info=None: statuses.add(status)))
    taken = time.perf_counter() - start
    gc.enable()
    assert all(status.startswith('2') for status in statuses), (side.name, action, statuses)
    side.instances.clear()
    side.instances.update(kept)
    return taken / calls * 1e6


def rate(port, clients):
    """Return how many GETs a second so many clients get answered."""
    data = f'GET /instances HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {TOKEN}\r\n\r\n'.encode()
    end = time.perf_counter() + SECONDS

    def work(_):
        done = 0
        while time.perf_counter() < end:
            with socket.create_connection(('localhost', port), timeout=20) as connection:
                connection.sendall(data)
                answer = connection.recv(65536)
                # Do not wait for the end of the connection: Flask's comes 10 ms later.
                while not answer.rstrip().endswith(b']}'):
                    answer += connection.recv(65536) or b'cut short ]}'
            assert b' 200 OK' in answer and b'cut short' not in answer, answer
            done += 1
        return done
    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(work, range(clients))) / SECONDS


def bare(environ, start_response):
    """The least that an app can be: always the same three instances, no token, no framework."""
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [BARE]


BARE = json.dumps(Store().index()).encode()

SERVERS = {
    'server.py': 'import server; server.main()',
    'bare': 'import benchmark; from wsgiref.simple_server import make_server; '
            'make_server("localhost", PORT, benchmark.bare).serve_forever()',
    'Flask': 'import benchmark; benchmark.flask_side().app.run("localhost", PORT, threaded=True)'}


@contextlib.contextmanager
def serving(code, folder):
    """Run a server with a copy of the toy beside it, and give its port."""
    with socket.create_server(('localhost', 0)) as listener:
        port = str(listener.getsockname()[1])
    for file in [*ROOT.glob('*.py'), __file__]:
        shutil.copy(file, folder)
    ini = re.sub(r'^port = .*', f'port = {port}', (ROOT / 'configure.ini').read_text(), flags=re.M)
    (folder / 'configure.ini').write_text(ini)
    server = subprocess.Popen([sys.executable, '-c', code.replace('PORT', port)], cwd=folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(('localhost', port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.kill()
        server.wait()


def table(title, names, rows):
    """Print what each side takes, then the first of them divided by the others."""
    print(f'\n{title}\n\n{"":10}' + ''.join(f'{name:>10}' for name in names)
          + ''.join(f'{"/ " + name:>11}' for name in names[1:]))
    for label, (first, *others) in rows:
        print(f'{label:10}' + ''.join(f'{each:10,.0f}' for each in (first, *others))
              + ''.join(f'{first / each:11,.2f}' for each in others), flush=True)


def compare_in_process(title, sides):
    def best(action):
        long = action == 'index' and len(sides[0].instances) > 3
        turns, calls = (3, 5) if long else (TURNS, CALLS)
        return map(min, zip(*[[turn(side, action, calls) for side in sides]
                              for _ in range(turns)]))
    table(title, [side.name for side in sides], ((action, best(action)) for action in ACTIONS))


def main():
    sides = [toy_side(), copies_side()]
    for name, make_side in ('flask', flask_side), ('django', django_side):
        if find_spec(name):
            sides.append(make_side())
        else:
            print(f'{name} is not installed, so it is not compared.')
    compare_in_process('In process: microseconds a request, and the toy / the others', sides)
    sides = [toy_side(f'{size:,}', size) for size in (10_000 if QUICK else 100_000, 1_000, 3)]
    compare_in_process('In process: microseconds with so many instances', sides)
    names = [name for name in SERVERS if name != 'Flask' or find_spec('flask')]
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(serving(SERVERS[name], pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())))) for name in names]
        print('\n"bare" is an app of two lines on wsgiref as it comes, without threads.')
        table('Over the socket: requests a second, and server.py / the others', names, (
            (f'{clients} clients', map(max, zip(*[[rate(port, clients) for port in ports]
                                                  for _ in range(ROUNDS)])))
            for clients in (1, 16)))


if __name__ == '__main__':
    main()
