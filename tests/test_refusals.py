"""Every way to be refused, in one table: what is sent; the status and message that come back."""
import io

import pytest
from webob import Request

from controllers import MAX_BODY
from support import FORM, JSON, KEYS, TOKEN, ask, fault, ids

NO_TOKEN = 'Send the token from configure.ini as X-Auth-Token.'
NO_URL = 'There is no such URL. Try /instances.'
NO_FORM = 'The request, read as a form, has no name of 1 to 255 characters.'
NO_JSON = 'The request, read as JSON, has no name of 1 to 255 characters.'
UNREADABLE = 'The request cannot be read: ...'     # the dots stand for anything
NO_NUMBER = 'The Content-Length is not a number.'
CHUNKED = 'Send the body with a Content-Length, not in chunks.'
TOO_LARGE = 'The body is larger than 65536 bytes.'


def kind(content_type):
    return {'Content-Type': content_type}


def part(headers):
    return f'--xyz\r\nContent-Disposition: form-data; {headers}\r\n\r\ndemo\r\n--xyz--\r\n'


MULTIPART = kind('multipart/form-data; boundary=xyz')
CREATE = 'POST /instances'
UNKNOWN = '/instances/5f0e6d1c-0000-4000-8000-000000000000'

REFUSALS = [
    # request                     headers, body                                   status, message
    ('GET /instances', {'X-Auth-Token': 'wrong'}, '', 403, NO_TOKEN),
    (CREATE, {'X-Auth-Token': 'wrong', **FORM}, 'name=demo', 403, NO_TOKEN),
    ('GET /nowhere', {'X-Auth-Token': 'wrong'}, '', 403, NO_TOKEN),
    ('GET /nowhere', {}, '', 404, NO_URL),
    ('PATCH /instances', {}, '', 405, 'This URL accepts only GET, HEAD, POST.'),
    (f'POST {UNKNOWN}', {}, '', 405, 'This URL accepts only DELETE, GET, HEAD, PUT.'),

    # No such instance. The message shows the id as the client meant it.
    *[(f'{line}?name=x', {}, '', 404, f'Instance {shown} could not be found.')
      for line, shown in [
          (f'GET {UNKNOWN}', UNKNOWN[11:]), (f'PUT {UNKNOWN}', UNKNOWN[11:]),
          (f'DELETE {UNKNOWN}', UNKNOWN[11:]), ('GET /instances/42', '42'),
          ('GET /instances/a%20b', 'a b'), ('GET /instances/x%0Ay', 'x\ny'),
          ('GET /instances/caf%C3%A9', 'café'), ('GET /instances/%F0%9F%98%80', '😀'),
          ('GET /instances/%FF', '\ufffd'), ('GET /instances/__class__', '__class__'),
          ('GET /instances/' + 'A' * 5000, 'A' * 5000)]],
    # As in Nova, what is sent is looked at before what it is sent to.
    (f'PUT {UNKNOWN}', {}, '', 400, NO_FORM),

    # A form without a usable name
    (CREATE, {}, '', 400, NO_FORM),
    (CREATE, FORM, '', 400, NO_FORM),
    (CREATE, FORM, 'name=', 400, NO_FORM),
    (CREATE, FORM, 'name=%20%09', 400, NO_FORM),
    (CREATE, FORM, 'Name=demo', 400, NO_FORM),
    (CREATE, FORM, 'name=' + 'x' * 256, 400, NO_FORM),
    (CREATE, FORM, '{"name": "demo"}', 400, NO_FORM),
    (CREATE, kind('text/plain'), 'name=demo', 400, NO_FORM),
    (CREATE, kind('application/xml'), '<name>demo</name>', 400, NO_FORM),
    (CREATE, MULTIPART, part('name="other"'), 400, NO_FORM),
    (CREATE, MULTIPART, part('name="name"; filename="a"'), 400, NO_FORM),

    # JSON without a usable name
    (CREATE, JSON, '{}', 400, NO_JSON),
    (CREATE, JSON, '{"name": null}', 400, NO_JSON),
    (CREATE, JSON, '{"name": 5}', 400, NO_JSON),
    (CREATE, JSON, '{"name": ["demo"]}', 400, NO_JSON),
    (CREATE, JSON, '{"name": "\\u2003"}', 400, NO_JSON),
    (CREATE, JSON, '{"name": "%s"}' % ('é' * 256), 400, NO_JSON),
    (CREATE, JSON, '{"instance": null, "name": "demo"}', 400, NO_JSON),
    (CREATE, JSON, '{"instance": ["name"]}', 400, NO_JSON),
    (CREATE, JSON, '{"instance": "name"}', 400, NO_JSON),
    (CREATE, JSON, '["name"]', 400, NO_JSON),
    (CREATE, JSON, '"name"', 400, NO_JSON),
    (CREATE, JSON, '5', 400, NO_JSON),
    (CREATE, JSON, 'null', 400, NO_JSON),

    # What cannot be read at all
    (CREATE, JSON, '', 400, UNREADABLE),
    (CREATE + '?name=demo', JSON, '', 400, UNREADABLE),
    (CREATE, JSON, '{"name": "demo"', 400, UNREADABLE),
    (CREATE, JSON, 'name=demo', 400, UNREADABLE),
    (CREATE, JSON, '[' * 60000, 400, UNREADABLE),
    (CREATE, JSON, b'{"name": "\xff"}', 400, UNREADABLE),
    (CREATE, JSON, '{"name": "demo"}'.encode('utf-16'), 400, UNREADABLE),
    (CREATE, kind('application/x-www-form-urlencoded; charset=no-such'), 'name=demo', 400,
     UNREADABLE),
    (CREATE + '?name=%FF', {}, '', 400, UNREADABLE),
    (CREATE + '?%FF', FORM, 'name=demo', 400, UNREADABLE),
    (CREATE, kind('multipart/form-data'), 'name=demo', 400, UNREADABLE),
    (CREATE, MULTIPART, part('name="name"\r\nContent-Type: text/plain; charset=no-such'), 400,
     UNREADABLE),

    # A body that is not as long as it says, or too long
    *[(CREATE, {**FORM, 'Content-Length': length}, 'name=demo', 400, NO_NUMBER)
      for length in ('-1', '+9', '1_0', 'nine', '9,9', '9.0', '\xb2')],
    (CREATE, {**FORM, 'Content-Length': '10'}, 'name=demo', 400, 'The body cannot be read: ...'),
    (CREATE, {**FORM, 'Content-Length': '65537'}, 'name=demo', 413, TOO_LARGE),
    (CREATE, {**FORM, 'Content-Length': '9' * 20}, 'name=demo', 413, TOO_LARGE),
    (CREATE, {**FORM, 'Content-Length': '9' * 5000}, 'name=demo', 413, TOO_LARGE),
    (CREATE, FORM, 'name=x&rest='.ljust(MAX_BODY + 1, '.'), 413, TOO_LARGE),
    (CREATE, {**FORM, 'Transfer-Encoding': 'chunked'}, 'name=demo', 411, CHUNKED),
]
TITLES = {400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
          411: 'Length Required', 413: 'Request Entity Too Large'}


def check(app, line, headers, body, status, message):
    """Send a request, and check that it is refused, and that nothing happened."""
    before = ask(app, 'GET /instances').json
    response = ask(app, line, {'Accept': 'text/html', **headers}, body)
    assert response.status == f'{status} {TITLES[status]}'
    assert response.headers['Content-Type'] == 'application/json'
    said = response.json[KEYS[status]]['message']
    if message.endswith('...'):
        assert said.startswith(message[:-3]) and len(said) > len(message)
    else:
        assert said == message
    assert response.json == fault(status, said)
    assert ask(app, 'GET /instances').json == before


def table(rows):
    return pytest.mark.parametrize('line, headers, body, status, message', rows,
                                   ids=[f'{status} {line[:40]}' for line, *_, status, _ in rows])


@table(REFUSALS)
def test_refusal(app, line, headers, body, status, message):
    check(app, line, headers, body, status, message)


@table([row for row in REFUSALS if row[0].split('?')[0] == CREATE])
def test_update_refuses_what_create_refuses(app, line, headers, body, status, message):
    line = line.replace(CREATE, f'PUT /instances/{ids(app)[0]}')
    check(app, line, headers, body, status, message)


# Some servers, gunicorn say, put chunks together themselves, and say so. Then there is no length.

def test_chunks_that_the_server_has_put_together_are_read_up_to_the_limit(app):
    for size, status in (MAX_BODY, 201), (MAX_BODY + 1, 413), (10 * MAX_BODY, 413):
        body = io.BytesIO(b'name=x&rest='.ljust(size, b'.'))
        request = Request.blank('/instances', method='POST', headers={**TOKEN, **FORM})
        request.headers['Transfer-Encoding'] = 'chunked'
        request.environ['wsgi.input_terminated'] = True
        request.body_file = body
        response = request.get_response(app)
        assert response.status_int == status
        if status == 413:
            assert response.json == fault(413, TOO_LARGE)
        assert body.tell() <= MAX_BODY + 1      # the rest is not read
