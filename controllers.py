"""The controller: the last stop. An action for each thing one can ask for.

nova has it in nova/api/openstack/wsgi.py, cut in two: Resource is the WSGI
app (__call__ and what it needs), Controller holds plain actions. Fault is in
the same file.
"""
import logging
import threading
import uuid
from urllib.parse import quote

import simplejson
from webob import Response
from webob.dec import wsgify
from webob.exc import HTTPException, status_map

LOG = logging.getLogger(__name__)

MAX_BODY = 64 * 1024    # bytes
MAX_NAME = 255          # characters

FAULTS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound',
          405: 'badMethod', 411: 'badRequest', 413: 'overLimit'}


def fault(status, message, **headers):
    """Return a refusal, to be raised or to be returned to @wsgify.

    Every module calls this. With json_body, WebOb sends the fault as JSON
    whatever the client accepts; without, curl would get a page of HTML.
    """
    body = {FAULTS[status]: {'code': status, 'message': message}}
    return status_map[status](json_body=body, **headers)


class Controller:
    """Answer requests for instances, which live in one dict.

    A thread serves each request. index, show and create touch the dict with
    one atomic operation each. update and delete look first and then act, so
    they hold a lock. Nobody changes an instance that is in the dict: update
    puts a new one in its place.
    """

    def __init__(self):
        self.instances = {}
        self.lock = threading.Lock()
        for name in ('inst-0', 'inst-1', 'inst-2'):
            self._add(name)

    @wsgify
    def __call__(self, req):
        """Call the action that the router found, and make its result a response.

        The router hands the request to this. nova copies the arguments too:
        what stands in the environ is not ours to change.
        """
        args = req.environ['wsgiorg.routing_args'][1].copy()
        del args['controller']
        action = args.pop('action')
        try:
            result = getattr(self, action)(req, **args)     # self.show(req, instance_id='42')
        except HTTPException as refusal:
            result = refusal    # @wsgify would catch it, too, but not log it
        LOG.debug('%s returns %r', action, result)
        return Response(json=result) if isinstance(result, dict) else result

    def index(self, req):
        """GET /instances"""
        return {'instances': list(self.instances.values())}

    def create(self, req):
        """POST /instances: return a 201 response with a Location."""
        instance = self._add(read_name(req))
        # The client chose the host in this URL, so it may hold anything.
        here = quote(req.application_url, safe='%/:[]')
        return Response(json={'instance': instance}, status=201,
                        location=f'{here}/instances/{instance["id"]}')

    def show(self, req, instance_id):
        """GET /instances/{instance_id}"""
        return {'instance': self._find(instance_id)}

    def update(self, req, instance_id):
        """PUT /instances/{instance_id}"""
        instance = {'id': instance_id, 'name': read_name(req)}
        with self.lock:
            self._find(instance_id)
            self.instances[instance_id] = instance
        return {'instance': instance}

    def delete(self, req, instance_id):
        """DELETE /instances/{instance_id}: return a 204 response."""
        with self.lock:
            self._find(instance_id)
            del self.instances[instance_id]
        return Response(status=204)

    def _add(self, name):
        """Make an instance, and keep it."""
        instance = {'id': str(uuid.uuid4()), 'name': name}
        self.instances[instance['id']] = instance
        return instance

    def _find(self, instance_id):
        """Return an instance, or raise a 404 fault."""
        instance = self.instances.get(instance_id)
        if instance is None:
            raise fault(404, f'Instance {instance_id} could not be found.')
        return instance


def read_name(req):
    """Return the name that a client sent, for create and update.

    It is a form field, or part of a JSON body: {"name": ...} or
    {"instance": {"name": ...}}. Raises a 400, 411 or 413 fault where there is
    none that can be used. nova checks bodies with the JSON schemas in
    nova/api/openstack/compute/schemas.
    """
    try:
        limit_body(req)
        if req.content_type == 'application/json':
            body = simplejson.loads(req.text)
            name = body.get('instance', body)['name']
        else:
            name = req.params['name']
    except (KeyError, TypeError, AttributeError):
        name = None     # no such field, or JSON that is not an object
    # What else WebOb and simplejson raise for what clients send.
    except (ValueError, LookupError, OSError, RecursionError, DeprecationWarning) as error:
        raise fault(400, f'The request cannot be read: {error}')
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise fault(400, f'Send a name of 1 to {MAX_NAME} characters, as a form field'
                         ' or as application/json.')
    return name


def limit_body(req):
    """Take the body into memory, but no more of it than a name can need.

    Called by read_name. Raises a 400, 411 or 413 fault, or OSError where the
    body ends early. nova leaves the limit to a filter in front of it.
    """
    decoded = req.environ.get('wsgi.input_terminated')
    if 'Transfer-Encoding' in req.headers and not decoded:
        raise fault(411, 'Send the body with a Content-Length, not in chunks.')
    length = req.environ.get('CONTENT_LENGTH') or '0'
    if not length.isdecimal():
        raise fault(400, 'The Content-Length is not a number.')
    too_large = fault(413, f'The body is larger than {MAX_BODY} bytes.')
    if int(length) > MAX_BODY:
        raise too_large
    body = req.body_file.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:    # in chunks that the server has decoded
        raise too_large
    if len(body) < int(length):
        raise OSError('the body is shorter than its Content-Length')
    req.body = body
