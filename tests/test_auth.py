"""auth.py: who gets in, and what the others are told."""
import pytest
from webob import Request, Response

import auth
from support import TOKEN, ask, fault, names

FORBIDDEN = fault(403, 'Send the token from configure.ini as X-Auth-Token.')


@pytest.mark.parametrize('headers', [
    {},
    {'X-Auth-Token': ''},
    {'X-Auth-Token': 'Open-Sesame'},
    {'X-Auth-Token': 'open-sesam'},
    {'X-Auth-Token': 'open-sesame2'},
    {'X-Auth-Token': 'open-sesame,open-sesame'},
    {'X-Auth-Token': 'schl\xfcssel'},
    {'X-Auth-Token': '\u043a\u043b\u044e\u0447'},
    {'Authorization': 'open-sesame'},
])
def test_without_the_token_everything_is_403(app, headers):
    for line in ('GET /instances', 'POST /instances?name=demo_one', 'BREW /instances',
                 'GET /no/such/url', 'GET /%FF?%FF', 'GET /instances?X-Auth-Token=open-sesame'):
        method, url = line.split()
        request = Request.blank(url, method=method, headers=headers, accept='text/html')
        response = request.get_response(app)
        assert response.status == '403 Forbidden'
        assert response.headers['Content-Type'] == 'application/json'
        assert response.json == FORBIDDEN
    assert names(app) == ['inst-0', 'inst-1', 'inst-2']


def test_a_refused_head_has_no_body(app):
    response = ask(app, 'HEAD /instances', {'X-Auth-Token': 'wrong'})
    assert (response.status, response.body) == ('403 Forbidden', b'')


def test_the_filter_goes_in_front_of_any_wsgi_app():
    def plain_app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'hello']
    app = auth.filter_factory({}, token='open-barley')(plain_app)
    assert ask(app, 'GET /', {'x-auth-token': 'open-barley'}).body == b'hello'
    assert ask(app, 'GET /').json == FORBIDDEN


def test_process_request_returns_none_to_pass_on():
    request = Request.blank('/', headers=TOKEN)
    assert auth.Auth(Response(), 'open-sesame').process_request(request) is None


@pytest.mark.parametrize('token', [
    '', 'schl\xfcssel', '"open-sesame"', "'open-sesame'", 'open-sesame ; comment',
    'open-sesame # comment', 'open-sesame;', 'open-sesame#', 'open sesame', 'open\nsesame',
    'open\0sesame'])
def test_a_token_that_cannot_work_is_refused_at_the_start(token):
    with pytest.raises(ValueError) as refusal:
        auth.filter_factory({}, token=token)
    assert str(refusal.value) == (
        'the token must be printable ASCII, without quotes, spaces, # or ;')


def test_the_filter_factory_is_an_ordinary_function():
    """Earlier copies put @wsgify.middleware on it, which worked by accident."""
    assert type(auth.filter_factory) is type(lambda: None)
    assert type(auth.filter_factory({}, token='x')) is type(lambda: None)
