"""The page "Not as in Nova", checked: its requests are sent to the toy and to the real Nova.

Both run in one process, as they do for a reader who has followed all lessons.
"""
import http.client
import json
import re
import time

import pytest

from support import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / 'lessons' / 'NOT-AS-IN-NOVA.md'
WEB = ('"name": "web", "imageRef": "",'
       ' "block_device_mapping_v2": [{"source_type": "blank", "boot_index": 0}]')
BASES = {'toy': '/v2.1/demo', 'nova': '/nova/v2.1'}
LAB = ('X-Auth-Token: open-barley', 'X-Auth-Token: open-gate')
NEW = '`POST /servers` `{"server": {WEB, "flavorRef": "toy"}}`'
FLAVOR = ('`POST /flavors` `X-Auth-Token: open-gate` `{"flavor": {"id": "toy", "name": "toy",'
          ' "ram": 64, "disk": 1, "vcpus": 1}}`')
BUILDING = 'While the server is being built'

# Requests that both answer alike, in the form in which the page has the others.
ALIKE = r'''
`POST /servers` `{"server": {WEB, "flavorRef": "toy", "size": "big"}}`
`POST /servers` `{"server": {WEB, "flavorRef": ""}}`
`POST /servers` `{"server": {WEB}}`
`POST /servers` `{"server": {WEB, "flavorRef": "toy", "description": "y"}}`
`POST /servers` `X-Auth-Token: open-window` `{"server": {WEB, "flavorRef": "toy"}}`
`POST /servers` `{"server": {"flavorRef": "toy", "name": ""}}`
`POST /servers` `{"server": {"flavorRef": "toy", "name": " x"}}`
`POST /servers` `{"server": {"flavorRef": "toy", "name": "x "}}`
`POST /servers` `{"server": {"flavorRef": "toy", "name": "a\u0000b"}}`
`POST /servers` `{"server": {"flavorRef": "toy", "name": 5}}`
`GET /servers`
`GET /servers/detail`
`GET /servers/ID`
`GET /servers/42`
`GET /servers/new`
`GET /servers` `X-Auth-Token: wrong`
`GET /servers` `Accept: text/html`
`GET /servers?limit=1`
`GET /servers?limit=0`
`GET /servers?limit=x`
`GET /servers?limit=-1`
`GET /servers?marker=42`
`GET /servers?marker=`
`GET /servers?name=web`
`GET /servers?name=(`
`GET /servers?status=ACTIVE`
`GET /servers?status=active`
`GET /servers?status=nonsense`
`GET /servers?status=`
`GET /servers?all_tenants=1`
`GET /servers?all_tenants=0`
`GET /servers?all_tenants=1` `X-Auth-Token: open-gate`
`GET /servers?all_tenants` `X-Auth-Token: open-gate`
`GET /servers?nonsense=1`
`GET /servers?sort_key=created_at&sort_dir=asc`
`GET /servers?name=%FF`
`GET /servers?limit=1&limit=2`
`GET /servers?flavor=toy`
`GET /servers?flavor=huge`
`POST /servers` `{"server": {"name": "x"}}`
`POST /servers` `{"server": 5}`
`POST /servers` `{}`
`POST /servers` `[]`
`POST /servers` `{`
`POST /servers` `5`
`POST /servers` `null`
`POST /servers`
`POST /servers` `{"server":{"name":"a","name":"b"}}`
`POST /servers` `Content-Type: application/x-www-form-urlencoded` `name=x`
`POST /servers` `Content-Type: application/xml` `<x/>`
`GET /servers` `X-Auth-Token: open-window`
`GET /servers/ID` `X-Auth-Token: open-window`
`DELETE /servers/ID` `X-Auth-Token: open-window`
`PUT /servers/ID` `X-Auth-Token: open-window` `{"server": {"name": "x"}}`
`POST /servers/ID/action` `X-Auth-Token: open-window` `{"reboot": {"type": "SOFT"}}`
`POST /servers/ID/action` `X-Auth-Token: open-window` `{"pause": null}`
`POST /servers/ID/action` `X-Auth-Token: open-window` `{"explode": null}`
`GET /servers/ID/ips` `X-Auth-Token: open-window`
`DELETE /servers/ID` `X-Auth-Token: open-barley`
`POST /servers/ID/action` `X-Auth-Token: open-barley` `{"pause": null}`
`GET /servers/ID` `X-Auth-Token: open-gate`
`GET /servers/ID/ips`
`GET /servers/ID/ips/private`
`GET /servers/42/ips`
`PUT /servers/ID` `{"server": {"name": "two"}}`
`PUT /servers/ID` `{"server": {}}`
`PUT /servers/ID` `{}`
`PUT /servers/ID` `{"server": {"name": ""}}`
`PUT /servers/ID` `{"server": {"name": "x", "size": 1}}`
`PUT /servers/ID` `{"server": {"description": "x"}}`
`PUT /servers/42` `{"server": {"name": "x"}}`
`PUT /servers/42` `{"server": {"name": ""}}`
`POST /servers/ID/action` `{"reboot": {"type": "x"}}`
`POST /servers/ID/action` `{"reboot": {}}`
`POST /servers/ID/action` `{"reboot": null}`
`POST /servers/ID/action` `{"explode": null}`
`POST /servers/ID/action` `{}`
`POST /servers/ID/action` `[]`
`POST /servers/ID/action` `{`
`POST /servers/ID/action` `{"a":1,"b":2}`
`POST /servers/ID/action`
`POST /servers/42/action` `{"pause": null}`
`POST /servers/42/action` `{"reboot": {"type": "x"}}`
`POST /servers/42/action` `{"explode": null}`
`POST /servers/ID/action` `{"trigger_crash_dump": null}`
`GET /servers/ID` `OpenStack-API-Version: compute 2.19`
`GET /servers/ID` `OpenStack-API-Version: compute latest`
`GET /servers/ID` `OpenStack-API-Version: compute 2.0`
`GET /servers/ID` `OpenStack-API-Version: compute 3.1`
`GET /servers/ID` `OpenStack-API-Version: compute 2.999`
`GET /servers/ID` `OpenStack-API-Version: compute x`
`GET /servers/ID` `OpenStack-API-Version: volume 3.1`
`GET /servers/ID` `OpenStack-API-Version: 2.19`
`GET /servers/ID` `X-OpenStack-Nova-API-Version: 2.19`
`GET /servers/ID` `OpenStack-API-Version: COMPUTE 2.19`
`GET /servers/ID` `OpenStack-API-Version: compute LATEST`
`GET /flavors`
`GET /flavors/detail`
`GET /flavors/toy`
`GET /flavors/huge`
`GET /flavors/toy/os-extra_specs`
`GET /flavors/huge/os-extra_specs`
`DELETE /servers/42`
'''


def sections():
    """Return {heading: [(request, the toy's answer, Nova's answer)]} of the page."""
    found, heading = {}, None
    for line in PAGE.read_text().splitlines():
        if line.startswith('#'):
            heading = line.lstrip('# ')
        elif line.startswith('| `'):
            request, toy, nova, why = line.strip('| ').split(' | ')
            assert why
            found.setdefault(heading, []).append((request, toy, nova))
    return found


def understand(request):
    """Return the method, the path, the body and the headers that a row names."""
    first, *others = re.findall(r'`([^`]*)`', request)
    method, _, path = first.partition(' ')
    headers = [other for other in others if re.match(r'[\w-]+: ?', other)]
    body = ''.join(other for other in others if other not in headers) or None
    if body == '5000 bytes':
        body = 'x' * 5000
    return method, path, body and body.replace('WEB', WEB), headers


class Both:
    """The toy and Nova, with a server on each side."""

    def __init__(self, reader):
        self.reader, self.port, self.ids = reader, int(reader.port), {}

    def ask(self, side, request):
        """Return an answer as the page writes it, its status and first key, and its content."""
        method, path, body, headers = understand(request)
        base = BASES[side]
        if side == 'toy' and set(LAB) & set(headers):
            base = '/v2.1/lab'
        fields = {'X-Auth-Token': 'open-sesame', 'Content-Type': 'application/json'}
        if body is None:
            del fields['Content-Type']
        fields.update(header.split(': ') for header in headers)
        if path.startswith('/v2'):      # the versions: no token, and no project
            base = base.partition('/v2.1')[0]
            del fields['X-Auth-Token']
        path = base + path.replace('ID', self.ids.get(side, 'ID'))
        connection = http.client.HTTPConnection('localhost', self.port, timeout=60)
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        text = answer.read()
        is_json = text and answer.headers.get_content_type() == 'application/json'
        content = json.loads(text) if is_json else {}
        return f'{answer.status} {next(iter(content), "")}'.strip(), content

    def server(self, built=True):
        """Make the one server that there is on each side, and have it built."""
        for side in BASES:
            for server in self.ask(side, '`GET /servers`')[1]['servers']:
                self.ask(side, f'`DELETE /servers/{server["id"]}`')
        for side in BASES:
            found, content = self.ask(side, NEW)
            assert found == '202 server', content
            self.ids[side] = content['server']['id']
        if built:
            self.reader.run('venv/bin/python be_conductor.py')
            deadline = time.monotonic() + 20
            for side in BASES:
                while self.ask(side, '`GET /servers/ID`')[1]['server']['status'] != 'ACTIVE':
                    assert time.monotonic() < deadline
                    time.sleep(0.1)


@pytest.fixture(scope='module')
def both(followed):
    """The HTTP server of a reader who has followed all lessons, with new databases."""
    followed.run('bash prepare.sh')
    followed.serve('venv/bin/python server.py')
    both = Both(followed)
    assert both.ask('nova', FLAVOR)[0] == '200 flavor'
    yield both
    followed.stop()


@pytest.mark.parametrize('section', sections())
def test_they_differ_as_the_page_says(both, section):
    both.server(built=section != BUILDING)
    for request, toy, nova in sections()[section]:
        assert toy != nova, f'{request} is no difference'
        assert (request, both.ask('toy', request)[0]) == (request, toy)
        assert (request, both.ask('nova', request)[0]) == (request, nova)
        if '_method=DELETE' in request:
            both.server()


def test_they_are_alike_in_all_else(both):
    both.server()
    for request in ALIKE.strip().splitlines():
        assert (request, both.ask('toy', request)[0]) == (request, both.ask('nova', request)[0])


def test_the_fields_that_a_server_lacks(both):
    both.server()
    fields = {side: set(both.ask(side, '`GET /servers/ID`')[1]['server']) for side in BASES}
    text = ' '.join(PAGE.read_text().partition('**A server**')[2].partition('. ')[0].split())
    assert set(re.findall(r'`([\w:-]+)`', text)) == fields['nova'] - fields['toy']
    assert fields['toy'] <= fields['nova']
