"""Requests that nobody should send: a table of bytes, and a generator of many more.

test_hostile.py sends them to the toy's server, slow/test_hostile_waitress.py to waitress.
"""
import random
import re

from support import FORM, JSON, KEYS, TOKEN, encode, is_uuid4

TOKEN_LINE = 'X-Auth-Token: open-sesame'
FORM_LINE = 'Content-Type: application/x-www-form-urlencoded'
NINE = 'Content-Length: 9'


def get(url, *lines):
    return encode(f'GET {url}', TOKEN_LINE, *lines)


def post(*lines, url='/instances', body=b'name=demo'):
    return encode(f'POST {url}', TOKEN_LINE, FORM_LINE, *lines, body=body)


NO_ANSWER = None

HOSTILE = {
    # What it is: what is sent, and the statuses that will do. Some are wsgiref's, some waitress's:
    # where one says what is wrong, the other may overlook it, or hang up without a word.
    # The 505 of wsgiref is the only 5xx that the toy ever answers.
    'nothing': (b'', {NO_ANSWER}),
    'an empty line': (b'\r\n', {NO_ANSWER, 400}),
    'half a line': (b'GET /insta', {NO_ANSWER, 400, 403}),
    'half a head': (b'GET /instances HTTP/1.1\r\nHost: x\r\nX-', {NO_ANSWER, 400, 403}),
    'no text': (b'\x00\xff\x00\xff\r\n\r\n', {400}),
    'TLS': (b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', {400}),
    'a method only': (b'GET\r\n\r\n', {400}),
    'no version': (b'GET /instances\r\n\r\n', {400, 403}),
    'no url': (b'GET  HTTP/1.1\r\n\r\n', {400, 403}),
    'four words': (b'GET /instances /instances HTTP/1.1\r\n\r\n', {400, 403}),
    'version one': (b'GET /instances HTTP/one\r\n\r\n', {400, 403}),
    'version 9.9': (b'GET /instances HTTP/9.9\r\n\r\n', {400, 403, 505}),
    'lines that end in LF': (get('/instances').replace(b'\r', b''), {NO_ANSWER, 200, 400}),
    'lines that end in CR': (get('/instances').replace(b'\n', b''), {NO_ANSWER, 400, 403}),
    'a CR in the url': (get('/inst\rances'), {400, 404}),
    'a NUL in the url': (get('/instances/\0'), {400, 404}),
    'a fragment': (get('/instances#x'), {200, 404}),
    'a url with a host': (get('http://localhost/instances'), {200, 404}),
    'a url with a broken host': (get('http://[/instances'), {NO_ANSWER, 400, 404}),
    'a newline at the end': (get('/instances%0A'), {200, 404}),
    'dots': (get('/instances/../instances'), {200, 404}),
    'no UTF-8': (get('/instances/%FF?%FF=%FF'), {404}),
    'half a percent sign': (get('/instances/%'), {404}),
    'a long line': (get('/' + 'x' * 70_000), {404, 414}),
    'a long header': (get('/instances', 'X-A: ' + 'x' * 70_000), {200, 431}),
    'a huge header': (get('/instances', 'X-A: ' + 'x' * 1_000_000), {431}),
    '1,000 headers': (get('/instances', *['X-A: x'] * 1_000), {200, 431}),
    '50,000 headers': (get('/instances', *['X-A: x'] * 50_000), {431}),
    '60,000 CRs in a header': (get('/instances', 'X-A: ' + 'x:\r' * 20_000), {200, 400}),
    'a space before the colon': (get('/instances', 'X-A : x'), {200, 400, 403}),
    'a space in a name': (get('/instances', 'X A: x'), {200, 400, 403}),
    'no name': (get('/instances', ': x'), {200, 400, 403}),
    'no colon': (get('/instances', 'X-A'), {200, 400, 403}),
    'a header in two lines': (get('/instances', 'X-A: x', ' y'), {200, 400}),
    'a NUL in a header': (get('/instances', 'X-A: \0'), {200, 400}),
    'a CR in a header': (get('/instances', 'X-A: x\ry'), {200, 400, 403}),
    'an accent in a name': (get('/instances', 'X-\xe9: x'), {200, 400, 403}),
    'the token twice': (get('/instances', TOKEN_LINE), {403}),
    'a length of -1': (post('Content-Length: -1'), {400}),
    'a length of +9': (post('Content-Length: +9'), {400}),
    'a length of nine': (post('Content-Length: nine'), {400}),
    'a length of 9, 9': (post('Content-Length: 9, 9'), {400}),
    'two lengths': (post(NINE, 'Content-Length: 0'), {201, 400}),
    'a length of 20 digits': (post('Content-Length: ' + '9' * 20), {400, 413}),
    'a length of 5,000 digits': (post('Content-Length: ' + '9' * 5_000, url='/instances?name=x'),
                                 {NO_ANSWER, 400, 413}),
    'a length that is too great': (post('Content-Length: 10'), {NO_ANSWER, 400}),
    'a length that is too small': (post('Content-Length: 8'), {201}),
    '5 MB': (post('Content-Length: 5000000', body=b'x' * 5_000_000), {413}),
    'chunks': (post('Transfer-Encoding: chunked', body=b'9\r\nname=demo\r\n0\r\n\r\n'), {201, 411}),
    'broken chunks': (post('Transfer-Encoding: chunked', body=b'nine\r\nname=demo'), {400, 411}),
    'half a chunk': (post('Transfer-Encoding: chunked', body=b'9\r\nname'), {NO_ANSWER, 400, 411}),
    'chunks and a length': (post('Transfer-Encoding: chunked', NINE), {NO_ANSWER, 400, 411}),
    'another encoding': (post('Transfer-Encoding: gzip', NINE), {400, 411, 501}),
    'a body without end': (post('Expect: 100-continue', 'Content-Length: 50'), {NO_ANSWER, 400}),
}


def status_of(data):
    """Return the status of an answer, also of one to HTTP/0.9, which has no head."""
    found = re.search(rb'^HTTP/1\.\d (?!100)(\d+)|"code": (\d+)|Error code: (\d+)', data, re.M)
    return int(found[found.lastindex]) if found else None


# Generated requests. {id} stands for the id of the first instance in the list.

METHODS = [*['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] * 4, 'POST', 'POST', 'PATCH', 'get', '$%&']
PATHS = [*['/instances', '/instances/{id}'] * 6, '/', '*', '/instances/', '/instances/%FF',
         '/instances/%C3%A9', '/instances/\xe9', '/instances/%00', '/instances/{instance_id}',
         '/instances/{id}%0A', '/instances/%ED%A0%80', '/instances/' + 'x' * 5000]
QUERIES = [*[''] * 9, 'name=query', 'name=%FF', 'name=\xff', '_method=DELETE', 'name=a&name=b',
           'name', '&&==;', '%', 'name=' + 'n' * 300, 'name=%ED%A0%80', 'name=%00',
           'action=delete&controller=x&instance_id=x']
HEADERS = [*[('Host', host) for host in ('[', ']:x', '\x01\x7f', 'h\xf6st', '', 'a:b:c', 'x/y?z#')],
           ('Accept', ';;q=x,'), ('Accept-Charset', '\xff'), ('Cookie', '=;\x7f\xff'),
           ('X-HTTP-Method-Override', 'DELETE'), ('Range', 'bytes=0-1'), ('If-Match', 'x'),
           ('If-Modified-Since', 'never'), ('X-Forwarded-Host', '['), ('Script-Name', '/x')]
WWW, MULTI = FORM['Content-Type'], 'multipart/form-data; boundary=b'
TYPES = [None, '', *[JSON['Content-Type']] * 6, *[WWW] * 4, *[MULTI] * 4, 'multipart/form-data',
         MULTI + '\xff"', MULTI * 300, 'text/plain', ';;;', '\xe9/\xe9',
         'application/json;charset="',
         *[f'{kind}; charset={charset}' for kind in (WWW, MULTI) for charset in (
             'utf-8', 'utf-16', 'utf-7', 'nonsense', '\xff', 'zip', 'idna', 'undefined', 'rot13')]]
PART = b'--b\r\nContent-Disposition: form-data; name="name"%s\r\n\r\n%s\r\n--b--\r\n'
BODIES = [b'', b'name=demo', b'name=%FF', b'name=\xff', b'name=a&name=b', b'_method=DELETE&name=x',
          b'%', b'&' * 5000, b'x' * 200_000, b'name='.ljust(64 * 1024 + 1),
          b'{"name": "demo"}', b'{"instance": {"name": {}}}', b'{"name": "\\ud800"}',
          b'{"name": "\xed\xa0\x80"}', b'{"name": "x"} {}', b'[' * 30_000, b'{"name":' * 8000,
          b'{"instance":' * 5000 + b'1' + b'}' * 5000, b'9' * 60_000, b'-1e999', b'NaN',
          b'{"name": "\\', b'"\\u12', b'\xef\xbb\xbf{"name": "bom"}', b'\xff\xfe\x00', b'\\d\\',
          PART % (b'', b'demo'), PART % (b'; filename="f"', b'demo'), PART % (b'', b'\xff'),
          PART[:40], b'--b--', b'--b\r\n', PART % (b'\r\nContent-Length: -1', b'demo'),
          PART % (b'\r\nContent-Transfer-Encoding: base64', b'!!'),
          PART % (b'\r\nContent-Type: multipart/mixed; boundary=c', b'--c\r\n\r\n--c--'),
          PART % (b'\r\nContent-Type: text/plain; charset=nonsense', b'demo')]


def generate(number):
    """Yield so many requests, always the same ones: method, URL, headers, body."""
    some = random.Random(2013)
    for _ in range(number):
        kind, body = some.choice([
            (JSON['Content-Type'], b'{"name": "demo"}'), (WWW, b'name=demo'),
            (JSON['Content-Type'], some.choice(BODIES)), (some.choice(TYPES), some.choice(BODIES)),
            (some.choice(TYPES), some.randbytes(30))])
        headers = some.sample(HEADERS, some.choice([0, 0, 0, 1, 2, 3]))
        headers += [('Content-Type', kind)] if kind is not None else []
        headers += [('Content-Length', str(len(body)))]
        headers += [*TOKEN.items()] if some.random() < 0.9 else []
        url = '?'.join(filter(None, [some.choice(PATHS), some.choice(QUERIES)]))
        yield some.choice(METHODS), url, headers, body


def is_instance(thing):
    is_named = list(thing) == ['id', 'name'] and isinstance(thing['name'], str)
    return is_named and is_uuid4(thing['id'])


def check(method, headers, answer):
    """Assert that an answer is one of those of the contract."""
    assert answer.status in {200, 201, 204, *KEYS}
    assert (answer.status == 403) == (('X-Auth-Token', 'open-sesame') not in headers)
    assert ('Location' in answer.headers) == (answer.status == 201)
    assert ('Allow' in answer.headers) == (answer.status == 405)
    if method == 'HEAD' or answer.status == 204:
        assert answer.content is None
        return
    [(key, value)] = answer.content.items()
    if answer.status in KEYS:
        assert key == KEYS[answer.status]
        assert value == {'code': answer.status, 'message': str(value['message'])}
    elif key == 'instances':
        assert answer.status == 200 and all(map(is_instance, value))
    else:
        assert key == 'instance' and is_instance(value)
