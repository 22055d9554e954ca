"""controllers.py: the five actions, and every way to be refused by them."""
import re
import threading

import pytest
from webob import Request

from controllers import MAX_BODY, Controller
from support import KEYS, TOKEN, ask, fault, is_uuid4, load

UNKNOWN = '5f0e6d1c-0000-4000-8000-000000000000'
JSON = 'application/json'
FORM = 'application/x-www-form-urlencoded'
MULTIPART = 'multipart/form-data; boundary=xyz'


def part(disposition, value):
    """A multipart body with one part."""
    return f'--xyz\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n--xyz--\r\n'


def listed(app, key):
    return [instance[key] for instance in ask(app, 'GET', '/instances').json['instances']]


# The actions

def test_three_instances_at_the_start(app):
    response = ask(app, 'GET', '/instances')
    assert (response.status, response.headers['Content-Type']) == ('200 OK', JSON)
    instances = response.json['instances']
    assert list(response.json) == ['instances']
    assert [list(instance) for instance in instances] == [['id', 'name']] * 3
    assert [instance['name'] for instance in instances] == ['inst-0', 'inst-1', 'inst-2']
    assert len({instance['id'] for instance in instances}) == 3
    assert all(is_uuid4(instance['id']) for instance in instances)


def test_create_and_show(app):
    response = ask(app, 'POST', '/instances', POST={'name': 'demo_one'})
    instance = response.json['instance']
    assert (response.status, response.headers['Content-Type']) == ('201 Created', JSON)
    assert response.headers['Location'] == f'http://localhost/instances/{instance["id"]}'
    assert response.json == {'instance': {'id': instance['id'], 'name': 'demo_one'}}
    assert is_uuid4(instance['id'])
    assert listed(app, 'id')[3:] == [instance['id']]
    response = ask(app, 'GET', f'/instances/{instance["id"]}')
    assert (response.status, response.headers['Content-Type']) == ('200 OK', JSON)
    assert response.json == {'instance': instance}


def test_update_keeps_the_id_and_the_place(app):
    before = listed(app, 'id')
    response = ask(app, 'PUT', f'/instances/{before[1]}', POST={'name': 'renamed'})
    assert (response.status, response.headers['Content-Type']) == ('200 OK', JSON)
    assert response.json == {'instance': {'id': before[1], 'name': 'renamed'}}
    assert listed(app, 'id') == before
    assert listed(app, 'name') == ['inst-0', 'renamed', 'inst-2']


def test_delete(app):
    before = listed(app, 'id')
    response = ask(app, 'DELETE', f'/instances/{before[1]}')
    assert (response.status, response.body) == ('204 No Content', b'')
    assert 'Content-Type' not in response.headers
    assert listed(app, 'id') == [before[0], before[2]]
    for instance_id in before[0], before[2]:
        ask(app, 'DELETE', f'/instances/{instance_id}')
    assert ask(app, 'GET', '/instances').body == b'{"instances":[]}'


def test_head_is_get_without_the_body(app):
    for url in '/instances', f'/instances/{listed(app, "id")[0]}':
        get, head = ask(app, 'GET', url), ask(app, 'HEAD', url)
        assert (head.status, head.body) == ('200 OK', b'')
        assert head.headers == get.headers
        assert head.headers['Content-Length'] == str(len(get.body))


def test_two_apps_share_nothing():
    one, other = load(), load()
    ask(one, 'POST', '/instances', POST={'name': 'demo_one'})
    assert listed(other, 'name') == ['inst-0', 'inst-1', 'inst-2']


def test_update_replaces_the_instance_and_does_not_change_it():
    controller = Controller()
    instance_id, before = next(iter(controller.instances.items()))
    controller.update(Request.blank('/', method='PUT', POST={'name': 'renamed'}), instance_id)
    assert before == {'id': instance_id, 'name': 'inst-0'}
    assert controller.instances[instance_id] == {'id': instance_id, 'name': 'renamed'}


@pytest.mark.parametrize('action', ['update', 'delete'])
def test_look_and_act_are_one_step(action):
    """While somebody else holds the lock, neither may get past its first step."""
    controller = Controller()
    instance_id = next(iter(controller.instances))
    request = Request.blank('/', method='PUT', POST={'name': 'renamed'})
    looked = []
    controller._find = looked.append
    thread = threading.Thread(target=getattr(controller, action), args=(request, instance_id))
    with controller.lock:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert looked == []
    thread.join()
    assert looked == [instance_id]


@pytest.mark.parametrize('host, location', [
    ('example.org:8000', 'http://example.org:8000'),
    ('[::1]:8000', 'http://[::1]:8000'),
    ('[', 'http://['),
    ('a\x01\tb', 'http://a%01%09b'),
    ('\xe9', 'http://%C3%A9'),
])
def test_the_location_of_a_new_instance_is_a_url_whatever_the_host(app, host, location):
    response = ask(app, 'POST', '/instances?name=demo_one', headers={**TOKEN, 'Host': host},
                   environ={'SCRIPT_NAME': '/a b'})
    assert response.headers['Location'] == f'{location}/a%20b/instances/{listed(app, "id")[3]}'


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
    first = listed(app, 'id')[0]
    for method, url, status in (('POST', '/instances', '201 Created'),
                                ('PUT', f'/instances/{first}', '200 OK')):
        response = ask(app, method, f'{url}?{query}', body=body.encode(),
                       content_type=content_type)
        assert (response.status, response.json['instance']['name']) == (status, name)
    assert listed(app, 'name') == [name, 'inst-1', 'inst-2', name]


NO_FORM, NO_JSON = [f'The request, read as {kind}, has no name of 1 to 255 characters.'
                    for kind in ('a form', 'JSON')]
UNREADABLE = 'The request cannot be read: '
NO_NUMBER = 'The Content-Length is not a number.'
TOO_LARGE = 'The body is larger than 65536 bytes.'

REFUSALS = [
    # what is sent to create and update: content type, body, query; the message
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
BODIES = [
    # what the environ says of the body name=demo_one, and what is answered
    *[({'CONTENT_LENGTH': length}, 400, NO_NUMBER)
      for length in ('-1', '+13', '1_3', 'ten', '13,13', '13,14', '\xb2')],
    ({'CONTENT_LENGTH': '14'}, 400, UNREADABLE + 'the body is shorter than its Content-Length'),
    ({'CONTENT_LENGTH': '9' * 5000}, 400, UNREADABLE),
    ({'CONTENT_LENGTH': '65537'}, 413, TOO_LARGE),
    ({'CONTENT_LENGTH': '99999999999999999999'}, 413, TOO_LARGE),
    ({'HTTP_TRANSFER_ENCODING': 'chunked'}, 411,
     'Send the body with a Content-Length, not in chunks.'),
    # Some servers decode chunks, gunicorn say, and then there is no length to believe.
    ({'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True, 'CONTENT_LENGTH': '',
      'CONTENT_TYPE': 'text/plain'}, 400, NO_FORM),
]
STATUS = {400: '400 Bad Request', 404: '404 Not Found', 411: '411 Length Required',
          413: '413 Request Entity Too Large'}


def refused(app, request, code, message):
    """Send a request, and check that it is refused and that nothing happened."""
    before = ask(app, 'GET', '/instances').json
    response = request.get_response(app)
    assert (response.status, response.headers['Content-Type']) == (STATUS[code], JSON)
    found = response.json[KEYS[code]]['message']
    assert response.json == fault(code, found)
    assert found == message or (
        message == UNREADABLE and re.fullmatch(UNREADABLE + '.+', found))
    assert ask(app, 'GET', '/instances').json == before


def requests(app, query='', **kwargs):
    """Return the same request to create and to update."""
    for method, url in ('POST', '/instances'), ('PUT', f'/instances/{listed(app, "id")[0]}'):
        yield Request.blank(f'{url}?{query}', method=method, headers=TOKEN, **kwargs)


@pytest.mark.parametrize('content_type, body, query, message', REFUSALS)
def test_no_usable_name_is_400(app, content_type, body, query, message):
    for request in requests(app, query, body=body.encode(), content_type=content_type,
                            accept='text/html'):
        refused(app, request, 400, message)


@pytest.mark.parametrize('environ, code, message', BODIES)
def test_a_body_that_is_not_what_it_says(app, environ, code, message):
    for request in requests(app, content_type=FORM, body=b'name=demo_one'):
        request.environ.update(environ)
        refused(app, request, code, message)


@pytest.mark.parametrize('environ', [
    {}, {'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True,
         'CONTENT_LENGTH': ''}])
def test_the_longest_body_and_one_byte_more(app, environ):
    longest = b'name=x&rest='.ljust(MAX_BODY, b'.')
    for request in requests(app, content_type=FORM, body=longest + b'.'):
        request.environ.update(environ)
        refused(app, request, 413, TOO_LARGE)
    for request in requests(app, content_type=FORM, body=longest):
        request.environ.update(environ)
        assert request.get_response(app).json['instance']['name'] == 'x'


@pytest.mark.parametrize('path, shown', [
    (UNKNOWN, UNKNOWN), ('42', '42'), ('a%20b', 'a b'), ('A' * 5000, 'A' * 5000),
    ('__class__', '__class__'), ('x%0Ay', 'x\ny'), ('caf%C3%A9', 'café'),
    ('%F0%9F%98%80', '😀'), ('%FF', '\ufffd')])
def test_no_such_instance_is_404(app, path, shown):
    for method in 'GET', 'PUT', 'DELETE':
        request = Request.blank(f'/instances/{path}?name=x', method=method, headers=TOKEN)
        refused(app, request, 404, f'Instance {shown} could not be found.')


def test_the_same_answer_whatever_the_client_accepts(app):
    for accept in 'text/html', 'application/xml', '*/*', 'image/png;q=0', '':
        response = ask(app, 'GET', '/instances', accept=accept)
        assert response.headers['Content-Type'] == JSON
        assert list(response.json) == ['instances']


def test_a_bad_name_for_an_unknown_instance_is_400(app):
    """As in Nova: what is sent is looked at before what it is sent to."""
    request = Request.blank(f'/instances/{UNKNOWN}', method='PUT', headers=TOKEN)
    refused(app, request, 400, NO_FORM)
