"""routers.py: which request reaches which action, and what the others are told."""
import threading

import pytest
import routes
from webob import Request, Response
from webob.dec import wsgify

from routers import Router
from support import FORM, TOKEN, ask, fault, load

ID = '5f0e6d1c-0000-4000-8000-000000000000'


@wsgify
def echo(req):
    """A controller that answers with what the router found for it."""
    match = dict(req.environ['wsgiorg.routing_args'][1])
    assert match.pop('controller') is echo
    return Response(json=match)


@pytest.mark.parametrize('line, match', [
    ('GET /instances', {'action': 'index'}),
    ('HEAD /instances', {'action': 'index'}),
    ('POST /instances', {'action': 'create'}),
    (f'GET /instances/{ID}', {'action': 'show', 'instance_id': ID}),
    (f'HEAD /instances/{ID}', {'action': 'show', 'instance_id': ID}),
    (f'PUT /instances/{ID}', {'action': 'update', 'instance_id': ID}),
    (f'DELETE /instances/{ID}', {'action': 'delete', 'instance_id': ID}),
    (f'GET /instances/{ID}?_method=DELETE', {'action': 'show', 'instance_id': ID}),
    ('GET /instances/a%20b', {'action': 'show', 'instance_id': 'a b'}),
    ('GET /instances/index', {'action': 'show', 'instance_id': 'index'}),
])
def test_a_known_request_reaches_its_action(line, match):
    response = ask(Router(echo), line)
    assert response.status == '200 OK'
    if line.startswith('HEAD'):
        assert response.body == b''
    else:
        assert response.json == match


def test_a_form_field_does_not_override_the_method():
    response = ask(Router(echo), f'POST /instances/{ID}', FORM, '_method=DELETE')
    assert response.status == '405 Method Not Allowed'


@pytest.mark.parametrize('url', [
    '/', '/instance', '/instances/', f'/instances/{ID}/', f'/instances/{ID}/name', '/Instances',
    '//instances', '/instances.json', '/instances/..%2F', '/%FF', '/caf%C3%A9',
])
def test_an_unknown_url_is_404(app, url):
    for method in 'GET', 'POST', 'DELETE', 'BREW':
        response = ask(app, f'{method} {url}', {'Accept': 'text/html'})
        assert response.status == '404 Not Found'
        assert response.headers['Content-Type'] == 'application/json'
        assert response.json == fault(404, 'There is no such URL. Try /instances.')
        assert 'Allow' not in response.headers


@pytest.mark.parametrize('url, allow, methods', [
    ('/instances', 'GET, HEAD, POST', ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get', 'BREW']),
    (f'/instances/{ID}', 'DELETE, GET, HEAD, PUT', ['POST', 'PATCH', 'OPTIONS', 'TRACE']),
    ('/instances/%FF', 'DELETE, GET, HEAD, PUT', ['POST']),
])
def test_a_method_that_the_url_does_not_accept_is_405(app, url, allow, methods):
    for method in methods:
        response = ask(app, f'{method} {url}', {'Accept': 'text/html'})
        assert response.status == '405 Method Not Allowed'
        assert response.headers['Content-Type'] == 'application/json'
        assert response.headers['Allow'] == allow
        assert response.json == fault(405, f'This URL accepts only {allow}.')


def test_no_request_is_kept():
    """By default Routes keeps the last environ, token included, in a thread-local."""
    def look():
        ask(load(), 'GET /instances')
        config = routes.request_config()
        kept.extend(name for name in ('environ', 'mapper', 'mapper_dict') if hasattr(config, name))
    kept = []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert kept == []


def test_the_routes_are_ready_before_the_first_request():
    """Else the first requests, in several threads, would all make them ready at once."""
    assert all(hasattr(route, 'regmatch') for route in Router(echo).map.matchlist)


def test_the_request_stays_what_it_was(app):
    """Earlier copies popped keys out of routing_args; the next to look was lied to."""
    request = Request.blank('/instances', headers=TOKEN)
    request.get_response(app)
    match = request.environ['wsgiorg.routing_args'][1]
    assert sorted(match) == ['action', 'controller']
