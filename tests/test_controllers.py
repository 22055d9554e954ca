"""controllers.py: the five actions, the name, and the store. Refusals are in test_refusals.py."""
import threading

import pytest
from webob import Request

from controllers import MAX_BODY, Controller
from support import FORM, JSON, ask, ids, is_uuid4, load, names

MULTIPART = {'Content-Type': 'multipart/form-data; boundary=xyz'}


# The actions

def test_three_instances_at_the_start(app):
    response = ask(app, 'GET /instances')
    assert (response.status, response.headers['Content-Type']) == ('200 OK', 'application/json')
    one, two, three = response.json['instances']
    assert response.text == (
        '{"instances": [{"id": "%s", "name": "inst-0"}, {"id": "%s", "name": "inst-1"}, '
        '{"id": "%s", "name": "inst-2"}]}' % (one['id'], two['id'], three['id']))
    assert len(set(ids(app))) == 3
    assert all(is_uuid4(instance_id) for instance_id in ids(app))


def test_create_and_show(app):
    response = ask(app, 'POST /instances', FORM, 'name=demo_one')
    instance = response.json['instance']
    assert response.status == '201 Created'
    assert response.headers['Content-Type'] == 'application/json'
    assert response.headers['Location'] == f'http://localhost/instances/{instance["id"]}'
    assert response.json == {'instance': {'id': instance['id'], 'name': 'demo_one'}}
    assert is_uuid4(instance['id'])
    assert ids(app)[3:] == [instance['id']]
    response = ask(app, f'GET /instances/{instance["id"]}')
    assert (response.status, response.headers['Content-Type']) == ('200 OK', 'application/json')
    assert response.json == {'instance': instance}


def test_update_keeps_the_id_and_the_place(app):
    before = ids(app)
    response = ask(app, f'PUT /instances/{before[1]}', FORM, 'name=renamed')
    assert (response.status, response.headers['Content-Type']) == ('200 OK', 'application/json')
    assert response.json == {'instance': {'id': before[1], 'name': 'renamed'}}
    assert ids(app) == before
    assert names(app) == ['inst-0', 'renamed', 'inst-2']


def test_delete(app):
    first, second, third = ids(app)
    response = ask(app, f'DELETE /instances/{second}')
    assert (response.status, response.body) == ('204 No Content', b'')
    assert 'Content-Type' not in response.headers
    assert ids(app) == [first, third]
    ask(app, f'DELETE /instances/{first}')
    ask(app, f'DELETE /instances/{third}')
    assert ask(app, 'GET /instances').body == b'{"instances": []}'


def test_head_is_get_without_the_body(app):
    for url in '/instances', f'/instances/{ids(app)[0]}':
        get, head = ask(app, f'GET {url}'), ask(app, f'HEAD {url}')
        assert (head.status, head.body) == ('200 OK', b'')
        assert head.headers == get.headers
        assert head.headers['Content-Length'] == str(len(get.body))


def test_the_same_answer_whatever_the_client_accepts(app):
    for accept in 'text/html', 'application/xml', '*/*', 'image/png;q=0', '':
        response = ask(app, 'GET /instances', {'Accept': accept})
        assert response.headers['Content-Type'] == 'application/json'
        assert list(response.json) == ['instances']


@pytest.mark.parametrize('host, location', [
    ('example.org:8000', 'http://example.org:8000'),
    ('[::1]:8000', 'http://[::1]:8000'),
    ('[', 'http://['),
    ('a\x01\tb', 'http://a%01%09b'),
    ('\xe9', 'http://%C3%A9'),
])
def test_the_location_is_plain_ascii_whatever_the_host(app, host, location):
    response = ask(app, 'POST /instances?name=demo_one', {'Host': host})
    assert response.headers['Location'] == f'{location}/instances/{ids(app)[3]}'


# The name

def part(disposition, value):
    """A multipart body with one part."""
    return f'--xyz\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n--xyz--\r\n'


def kind(content_type):
    return {'Content-Type': content_type}


NAMES = [
    # what is sent to create and update: headers, body, query; the name that is understood
    (FORM, 'name=demo_one', '', 'demo_one'),
    (FORM, 'name=caf%C3%A9+%26+co', '', 'café & co'),
    (FORM, 'id=1&name=demo_one&instance=2', '', 'demo_one'),
    (kind('application/x-www-form-urlencoded; charset=utf-8'), 'name=%C3%A9', '', 'é'),
    (MULTIPART, part('name="name"', 'demo_one'), '', 'demo_one'),
    (FORM, '', 'name=demo_one', 'demo_one'),
    ({}, '', 'name=demo_one', 'demo_one'),
    (kind('text/plain'), '', 'name=demo_one', 'demo_one'),
    (JSON, '{"name": "demo_one"}', '', 'demo_one'),
    (JSON, '{"instance": {"name": "demo_one"}}', '', 'demo_one'),
    (JSON, '{"instance": {"id": "1", "name": "demo_one"}, "name": 5}', '', 'demo_one'),
    (JSON, '{"name": "in the body"}', 'name=in_the_query', 'in the body'),
    (kind('Application/JSON'), '{"name": "demo_one"}', '', 'demo_one'),
    (kind('application/json ;charset=utf-8'), '{"name": "café"}', '', 'café'),
    (kind('application/json; charset=utf-16'), '{"name": "café"}', '', 'café'),  # always UTF-8
    (JSON, '{"name": "\\ud83d\\ude00\\u0000"}', '', '😀\0'),
    (JSON, '{"name": " x "}', '', ' x '),
    (JSON, '{"name": "%s"}' % ('é' * 255), '', 'é' * 255),
    (JSON, '{"name": "x", "rest": "%s"}' % ('.' * (MAX_BODY - 26)), '', 'x'),
]


@pytest.mark.parametrize('headers, body, query, name', NAMES, ids=range(len(NAMES)))
def test_a_name_can_come_in_many_ways(app, headers, body, query, name):
    response = ask(app, f'POST /instances?{query}', headers, body)
    assert (response.status, response.json['instance']['name']) == ('201 Created', name)
    response = ask(app, f'PUT /instances/{ids(app)[0]}?{query}', headers, body)
    assert (response.status, response.json['instance']['name']) == ('200 OK', name)
    assert names(app) == [name, 'inst-1', 'inst-2', name]


# The store

def test_two_apps_share_nothing():
    one, other = load(), load()
    ask(one, 'POST /instances', FORM, 'name=demo_one')
    assert names(other) == ['inst-0', 'inst-1', 'inst-2']


def test_update_replaces_the_instance_and_does_not_change_it():
    controller = Controller()
    instance_id, before = next(iter(controller.instances.items()))
    controller.update(Request.blank('/?name=renamed', method='PUT'), instance_id)
    assert before == {'id': instance_id, 'name': 'inst-0'}
    assert controller.instances[instance_id] == {'id': instance_id, 'name': 'renamed'}


@pytest.mark.parametrize('action', ['update', 'delete'])
def test_look_and_act_are_one_step(action):
    """While somebody else holds the lock, neither may get past its first step."""
    controller = Controller()
    instance_id = next(iter(controller.instances))
    request = Request.blank('/?name=renamed', method='PUT')
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


@pytest.mark.parametrize('action', ['update', 'delete'])
def test_the_lock_is_held_until_the_act_is_done(action):
    held = []

    class Instances(dict):
        def __setitem__(self, key, value):
            held.append(controller.lock.locked())
            super().__setitem__(key, value)

        def __delitem__(self, key):
            held.append(controller.lock.locked())
            super().__delitem__(key)
    controller = Controller()
    instance_id = next(iter(controller.instances))
    controller.instances = Instances(controller.instances)
    getattr(controller, action)(Request.blank('/?name=renamed', method='PUT'), instance_id)
    assert held == [True]
