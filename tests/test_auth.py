"""auth.py: who gets in, and what the others are told."""
import pytest
from paste.deploy import loadapp
from webob import Request, Response

import auth
from support import ROOT, TOKEN, ask

FORBIDDEN = {'forbidden': {
    'code': 403,
    'message': 'Send the token from configure.ini as X-Auth-Token.'}}


@pytest.mark.parametrize('headers', [
    {},
    {'X-Auth-Token': ''},
    {'X-Auth-Token': 'Open-Sesame'},
    {'X-Auth-Token': 'open-sesame '},
    {'X-Auth-Token': 'open-sesam'},
    {'X-Auth-Token': 'open-sesame,open-sesame'},
    {'X-Auth-Token': 'schl\xfcssel'},
    {'X-Auth-Token': '\u043a\u043b\u044e\u0447'},
    {'Authorization': 'open-sesame'},
])
@pytest.mark.parametrize('method, url', [
    ('GET', '/instances'),
    ('POST', '/instances?name=demo_one'),
    ('BREW', '/instances'),
    ('GET', '/no/such/url'),
    ('GET', '/%FF?%FF'),
    ('GET', '/instances?X-Auth-Token=open-sesame'),
])
def test_without_the_token_everything_is_403(app, method, url, headers):
    response = ask(app, method, url, headers={**headers, 'Accept': 'text/html'})
    assert response.status == '403 Forbidden'
    assert response.headers['Content-Type'] == 'application/json'
    assert response.json == FORBIDDEN


def test_a_refused_head_has_no_body(app):
    response = ask(app, 'HEAD', '/instances', headers={})
    assert (response.status, response.body) == ('403 Forbidden', b'')


def test_a_refused_request_changes_nothing(app):
    before = ask(app, 'GET', '/instances').json
    ask(app, 'POST', '/instances?name=demo_one', headers={})
    assert ask(app, 'GET', '/instances').json == before


def test_the_token_lets_in(app):
    response = ask(app, 'GET', '/instances', headers={'x-auth-token': 'open-sesame'})
    assert response.status == '200 OK'


def test_the_token_comes_from_the_ini(tmp_path):
    ini = (ROOT / 'configure.ini').read_text()
    (tmp_path / 'configure.ini').write_text(ini.replace('open-sesame', 'open-barley'))
    app = loadapp('config:configure.ini', relative_to=str(tmp_path))
    assert ask(app, 'GET', '/instances').status == '403 Forbidden'
    response = ask(app, 'GET', '/instances', headers={'X-Auth-Token': 'open-barley'})
    assert response.status == '200 OK'


def test_the_filter_goes_in_front_of_any_wsgi_app():
    def plain_app(environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'hello']
    app = auth.filter_factory({}, token='open-sesame')(plain_app)
    assert ask(app, 'GET', '/').body == b'hello'
    assert ask(app, 'GET', '/', headers={}).json == FORBIDDEN


def test_process_request_returns_none_to_pass_on():
    request = Request.blank('/', headers=TOKEN)
    assert auth.Auth(Response(), 'open-sesame').process_request(request) is None


@pytest.mark.parametrize('token', [
    '', 'schl\xfcssel', "'open-sesame'", '"open-sesame"', 'open-sesame ; comment',
    'open-sesame # comment', 'open sesame'])
def test_a_token_that_nobody_can_have_meant_is_refused_at_the_start(token):
    with pytest.raises(ValueError, match='^the token must be non-empty ASCII, without quotes, '):
        auth.filter_factory({}, token=token)


def test_the_filter_factory_is_an_ordinary_function():
    """Earlier copies put @wsgify.middleware on it, which worked by accident."""
    assert type(auth.filter_factory) is type(lambda: None)
    assert type(auth.filter_factory({}, token='x')) is type(lambda: None)
