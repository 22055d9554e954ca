"""controllers.py: the five actions, and every way to be refused by them."""
import re
import threading

import pytest
import simplejson
from webob import Request

from controllers import MAX_BODY, Controller
from support import TOKEN, ask, is_uuid4, load

UNKNOWN = '5f0e6d1c-0000-4000-8000-000000000000'
JSON = 'application/json'
FORM = 'application/x-www-form-urlencoded'
MULTIPART = 'multipart/form-data; boundary=xyz'


def part(disposition, value):
    """A multipart body with one part."""
    return f'--xyz\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n--xyz--\r\n'


def ids(app):
    return [instance['id'] for instance in ask(app, 'GET', '/instances').json['instances']]


def names(app):
    return [instance['name'] for instance in ask(app, 'GET', '/instances').json['instances']]


# The actions

def test_three_instances_at_the_start(app):
    response = ask(app, 'GET', '/instances')
    assert response.status == '200 OK'
    assert response.headers['Content-Type'] == 'application/json'
    instances = response.json['instances']
    assert list(response.json) == ['instances']
    assert [list(instance) for instance in instances] == [['id', 'name']] * 3
    assert [instance['name'] for instance in instances] == ['inst-0', 'inst-1', 'inst-2']
    assert len({instance['id'] for instance in instances}) == 3
    assert all(is_uuid4(instance['id']) for instance in instances)


def test_create(app):
    response = ask(app, 'POST', '/instances', POST={'name': 'demo_one'})
    instance = response.json['instance']
    assert response.status == '201 Created'
    assert response.headers['Content-Type'] == 'application/json'
    assert response.headers['Location'] == f'http://localhost/instances/{instance["id"]}'
    assert response.json == {'instance': {'id': instance['id'], 'name': 'demo_one'}}
    assert is_uuid4(instance['id'])
    assert ids(app)[3:] == [instance['id']]


def test_show(app):
    instance = ask(app, 'POST', '/instances', POST={'name': 'demo_one'}).json['instance']
    response = ask(app, 'GET', f'/instances/{instance["id"]}')
    assert response.status == '200 OK'
    assert response.headers['Content-Type'] == 'application/json'
    assert response.json == {'instance': instance}


def test_update_keeps_the_id_and_the_place(app):
    before = ids(app)
    response = ask(app, 'PUT', f'/instances/{before[1]}', POST={'name': 'renamed'})
    assert response.status == '200 OK'
    assert response.headers['Content-Type'] == 'application/json'
    assert response.json == {'instance': {'id': before[1], 'name': 'renamed'}}
    assert ids(app) == before
    assert names(app) == ['inst-0', 'renamed', 'inst-2']


def test_delete(app):
    before = ids(app)
    response = ask(app, 'DELETE', f'/instances/{before[1]}')
    assert response.status == '204 No Content'
    assert response.body == b''
    assert 'Content-Type' not in response.headers
    assert ids(app) == [before[0], before[2]]
    assert ask(app, 'DELETE', f'/instances/{before[1]}').status == '404 Not Found'


def test_an_empty_list_is_a_list(app):
    for instance_id in ids(app):
        ask(app, 'DELETE', f'/instances/{instance_id}')
    assert ask(app, 'GET', '/instances').body == b'{"instances":[]}'


def test_head_is_get_without_the_body(app):
    for url in '/instances', f'/instances/{ids(app)[0]}':
        get, head = ask(app, 'GET', url), ask(app, 'HEAD', url)
        assert (head.status, head.body) == ('200 OK', b'')
        assert head.headers == get.headers
        assert head.headers['Content-Length'] == str(len(get.body))


def test_two_apps_share_nothing():
    one, other = load(), load()
    ask(one, 'POST', '/instances', POST={'name': 'demo_one'})
    assert names(other) == ['inst-0', 'inst-1', 'inst-2']


def test_update_replaces_the_instance_and_does_not_change_it():
    controller = Controller()
    instance_id, before = next(iter(controller.instances.items()))
    request = Request.blank('/', method='PUT', POST={'name': 'renamed'})
    controller.update(request, instance_id)
    assert before == {'id': instance_id, 'name': 'inst-0'}
    assert controller.instances[instance_id] == {'id': instance_id, 'name': 'renamed'}


@pytest.mark.parametrize('action', ['update', 'delete'])
def test_look_and_act_are_one_step(action):
    """While somebody else holds the lock, neither may get past its first step."""
    controller = Controller()
    instance_id = next(iter(controller.instances))
    request = Request.blank('/', method='PUT', POST={'name': 'renamed'})
    thread = threading.Thread(target=getattr(controller, action), args=(request, instance_id))
    with controller.lock:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert controller.instances[instance_id]['name'] == 'inst-0'
    thread.join()


@pytest.mark.parametrize('host, location', [
    ('example.org:8000', 'http://example.org:8000'),
    ('[::1]:8000', 'http://[::1]:8000'),
    ('[', 'http://['),
    ('a\x01\tb', 'http://a%01%09b'),
    ('\xe9', 'http://%C3%A9'),
])
def test_the_location_of_a_new_instance_is_a_url_whatever_the_host(app, host, location):
    response = ask(app, 'POST', '/instances?name=demo_one', headers={**TOKEN, 'Host': host})
    assert response.headers['Location'] == f'{location}/instances/{ids(app)[3]}'


def test_the_location_names_where_the_app_is_mounted(app):
    response = ask(app, 'POST', '/instances?name=demo_one', environ={'SCRIPT_NAME': '/a b'})
    assert response.headers['Location'] == f'http://localhost/a%20b/instances/{ids(app)[3]}'


# The name

NAMES = [
    # content type, body, query, the name that is understood
    (FORM, 'name=demo_one', '', 'demo_one'),
    (FORM, 'name=caf%C3%A9+%26+co', '', 'café & co'),
    (FORM, 'id=1&name=demo_one&instance=2', '', 'demo_one'),
    (FORM, '', 'name=demo_one', 'demo_one'),
    ('', '', 'name=demo_one', 'demo_one'),
    ('text/plain', '', 'name=demo_one', 'demo_one'),
    (FORM + '; charset=utf-8', 'name=%C3%A9', '', 'é'),
    (MULTIPART, part('name="name"', 'demo_one'), '', 'demo_one'),
    (JSON, '{"name": "demo_one"}', '', 'demo_one'),
    (JSON, '{"instance": {"name": "demo_one"}}', '', 'demo_one'),
    (JSON, '{"instance": {"id": "1", "name": "demo_one"}, "name": 5}', '', 'demo_one'),
    (JSON + '; charset=utf-8', '{"name": "café"}', '', 'café'),
    (JSON + ' ;charset=utf-8', '{"name": "café"}', '', 'café'),
    ('Application/JSON', '{"name": "demo_one"}', '', 'demo_one'),
    (JSON, '{"name": "\\ud83d\\ude00\\u0000"}', '', '😀\0'),
    (JSON, '{"name": " x "}', '', ' x '),
    (JSON, '{"name": "%s"}' % ('é' * 255), '', 'é' * 255),
    (JSON, '{"name": "x", "rest": "%s"}' % ('.' * (MAX_BODY - 26)), '', 'x'),
]


@pytest.mark.parametrize('content_type, body, query, name', NAMES)
def test_a_name_can_come_in_many_ways(app, content_type, body, query, name):
    first = ids(app)[0]
    for method, url in ('POST', '/instances'), ('PUT', f'/instances/{first}'):
        response = ask(app, method, f'{url}?{query}', body=body.encode(),
                       content_type=content_type)
        assert response.status == {'POST': '201 Created', 'PUT': '200 OK'}[method]
        assert response.json['instance']['name'] == name
    assert names(app) == [name, 'inst-1', 'inst-2', name]


NO_NAME = 'The request, read as {}, has no name of 1 to 255 characters.'
NO_FORM, NO_JSON = NO_NAME.format('a form'), NO_NAME.format('JSON')
UNREADABLE = 'The request cannot be read: '
TOO_LARGE = 'The body is larger than 65536 bytes.'

REFUSALS = [
    # what is sent to create or update: content type, body, query; the message begins with
    (FORM, '', '', NO_FORM),
    ('', '', '', NO_FORM),
    (FORM, 'name=', '', NO_FORM),
    (FORM, 'name=%20%09', '', NO_FORM),
    (FORM, 'Name=demo_one', '', NO_FORM),
    (FORM, 'name=' + 'x' * 256, '', NO_FORM),
    (FORM, '{"name": "demo_one"}', '', NO_FORM),
    ('text/plain', 'name=demo_one', '', NO_FORM),
    ('application/xml', '<name>demo_one</name>', '', NO_FORM),
    (MULTIPART, part('name="name"; filename="a"', 'demo_one'), '', NO_FORM),
    (MULTIPART, part('name="other"', 'demo_one'), '', NO_FORM),
    (JSON, '{}', '', NO_JSON),
    (JSON, '{"name": null}', '', NO_JSON),
    (JSON, '{"name": 5}', '', NO_JSON),
    (JSON, '{"name": ["demo_one"]}', '', NO_JSON),
    (JSON, '{"name": "\\u2003"}', '', NO_JSON),
    (JSON, '{"name": "%s"}' % ('é' * 256), '', NO_JSON),
    (JSON, '{"instance": null, "name": "demo_one"}', '', NO_JSON),
    (JSON, '{"instance": ["name"]}', '', NO_JSON),
    (JSON, '{"instance": "name"}', '', NO_JSON),
    (JSON, '["name"]', '', NO_JSON),
    (JSON, '"name"', '', NO_JSON),
    (JSON, '5', '', NO_JSON),
    (JSON, 'null', '', NO_JSON),
    (JSON, '', '', UNREADABLE),
    (JSON, '', 'name=demo_one', UNREADABLE),
    (JSON, '{"name": "demo_one"', '', UNREADABLE),
    (JSON, 'name=demo_one', '', UNREADABLE),
    (JSON, '[' * 60000, '', UNREADABLE),
    (JSON + '; charset=no-such', '{"name": "demo_one"}', '', UNREADABLE),
    (JSON + '; charset=ascii', '{"name": "é"}', '', UNREADABLE),
    (JSON + '; charset=utf-16', '{"name": "x"}', '', UNREADABLE),
    (FORM + '; charset=no-such', 'name=demo_one', '', UNREADABLE),
    (FORM, '', 'name=%FF', UNREADABLE),
    (FORM, 'name=demo_one', '%FF', UNREADABLE),
    ('multipart/form-data', 'name=demo_one', '', UNREADABLE),
]


def refused(app, request, status, key, code, message):
    """Send a request, and check that it is refused and that nothing happened."""
    before = ask(app, 'GET', '/instances').json
    response = request.get_response(app)
    assert response.status == status
    assert response.headers['Content-Type'] == 'application/json'
    assert list(response.json) == [key]
    fault = response.json[key]
    assert list(fault) == ['code', 'message']
    assert fault['code'] == code
    assert fault['message'] == message or (
        message == UNREADABLE and re.fullmatch(UNREADABLE + '.+', fault['message']))
    assert ask(app, 'GET', '/instances').json == before


def create_or_update(app, method, query='', **kwargs):
    url = '/instances' if method == 'POST' else f'/instances/{ids(app)[0]}'
    return Request.blank(f'{url}?{query}', method=method, headers=TOKEN, **kwargs)


@pytest.mark.parametrize('method', ['POST', 'PUT'])
@pytest.mark.parametrize('content_type, body, query, message', REFUSALS)
def test_no_usable_name_is_400(app, method, content_type, body, query, message):
    request = create_or_update(app, method, query, body=body.encode(),
                               content_type=content_type, accept='text/html')
    refused(app, request, '400 Bad Request', 'badRequest', 400, message)


BODIES = [
    # what the environ says of the body name=demo_one, and what is answered
    ({'CONTENT_LENGTH': '-1'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': '+13'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': '1_3'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': 'ten'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': '13,13'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': '\xb2'}, 400, 'The Content-Length is not a number.'),
    ({'CONTENT_LENGTH': '14'}, 400,
     UNREADABLE + 'the body is shorter than its Content-Length'),
    ({'CONTENT_LENGTH': '9' * 5000}, 400, UNREADABLE),
    ({'CONTENT_LENGTH': '65537'}, 413, TOO_LARGE),
    ({'CONTENT_LENGTH': '99999999999999999999'}, 413, TOO_LARGE),
    ({'HTTP_TRANSFER_ENCODING': 'chunked'}, 411,
     'Send the body with a Content-Length, not in chunks.'),
]


@pytest.mark.parametrize('method', ['POST', 'PUT'])
@pytest.mark.parametrize('environ, code, message', BODIES)
def test_a_body_that_is_not_what_it_says(app, method, environ, code, message):
    status, key = {400: ('400 Bad Request', 'badRequest'),
                   411: ('411 Length Required', 'badRequest'),
                   413: ('413 Request Entity Too Large', 'overLimit')}[code]
    request = create_or_update(app, method, content_type=FORM, body=b'name=demo_one')
    request.environ.update(environ)
    refused(app, request, status, key, code, message)


def test_the_longest_body_and_one_byte_more(app):
    longest = b'name=x&rest='.ljust(MAX_BODY, b'.')
    request = create_or_update(app, 'POST', content_type=FORM, body=longest + b'.')
    refused(app, request, '413 Request Entity Too Large', 'overLimit', 413, TOO_LARGE)
    request = create_or_update(app, 'POST', content_type=FORM, body=longest)
    assert request.get_response(app).status == '201 Created'


def chunked(app, body):
    """Send a body as a server hands it over that decodes chunks, gunicorn say."""
    request = create_or_update(app, 'POST', content_type=FORM, body=body)
    del request.environ['CONTENT_LENGTH']
    request.environ['HTTP_TRANSFER_ENCODING'] = 'chunked'
    request.environ['wsgi.input_terminated'] = True
    return request.get_response(app)


def test_chunks_that_the_server_has_decoded(app):
    assert chunked(app, b'name=demo_one').json['instance']['name'] == 'demo_one'
    response = chunked(app, b'name=x&rest='.ljust(MAX_BODY + 1, b'.'))
    assert response.status == '413 Request Entity Too Large'
    assert response.json == {'overLimit': {'code': 413, 'message': TOO_LARGE}}


@pytest.mark.parametrize('instance_id', [UNKNOWN, '42', 'a b', 'A' * 5000, '__class__', 'x\ny'])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_no_such_instance_is_404(app, method, instance_id):
    request = Request.blank('/?name=demo_one', method=method, headers=TOKEN)
    request.path_info = f'/instances/{instance_id}'
    refused(app, request, '404 Not Found', 'itemNotFound', 404,
            f'Instance {instance_id} could not be found.')


@pytest.mark.parametrize('path, shown', [('caf%C3%A9', 'café'), ('%F0%9F%98%80', '😀'),
                                         ('%FF', '\ufffd')])
def test_an_id_that_is_not_ascii_comes_back_as_it_was_meant(app, path, shown):
    request = Request.blank(f'/instances/{path}', headers=TOKEN)
    refused(app, request, '404 Not Found', 'itemNotFound', 404,
            f'Instance {shown} could not be found.')


def test_the_same_answer_whatever_the_client_accepts(app):
    for accept in 'text/html', 'application/xml', '*/*', 'image/png;q=0', '':
        response = ask(app, 'GET', '/instances', accept=accept)
        assert response.headers['Content-Type'] == 'application/json'
        assert simplejson.loads(response.body).keys() == {'instances'}


def test_a_bad_name_for_an_unknown_instance_is_400(app):
    """As in nova: what is sent is looked at before what it is sent to."""
    request = Request.blank(f'/instances/{UNKNOWN}', method='PUT', headers=TOKEN)
    refused(app, request, '400 Bad Request', 'badRequest', 400, NO_FORM)
