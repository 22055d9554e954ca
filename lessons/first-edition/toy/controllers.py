"""The controller: the last stop, with an action for each thing that a client can ask for.

Nova's is in nova/api/openstack/wsgi.py, cut in two: Resource is the WSGI app, with a __call__ and
all that goes with it, and a Controller has nothing but actions. Fault is in the same file.
"""
import logging
import threading
import uuid
from urllib.parse import quote

from webob import BaseRequest, Response, dec
from webob.exc import HTTPException, status_map

LOG = logging.getLogger(__name__)

# WebOb's decorator, told to make a BaseRequest from the environ. Its usual Request would also keep
# new attributes in the environ for other layers, which takes time and which nothing here needs.
wsgify = dec.wsgify(RequestClass=BaseRequest)

MAX_NAME, MAX_BODY = 255, 64 * 1024     # characters, bytes

FAULTS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound',
          405: 'badMethod', 411: 'badRequest', 413: 'overLimit'}


def fault(status, message, **headers):
    """Return a refusal, as JSON: a WebOb exception, to be raised or to be returned to @wsgify.

    auth.py and routers.py call this, too. Without json_body, WebOb would send curl a page of HTML.
    """
    body = {FAULTS[status]: {'code': status, 'message': message}}
    return status_map[status](json_body=body, **headers)


class Controller:
    """Answer requests for instances, which live in a dict.

    Each request has a thread of its own. index, show and create touch the dict once, which is
    safe. update and delete first look and then act, so they hold a lock meanwhile. An instance in
    the dict never changes: update puts another one in its place.
    """

    def __init__(self):
        self.instances, self.lock = {}, threading.Lock()
        for name in ('inst-0', 'inst-1', 'inst-2'):
            self._add(name)

    @wsgify
    def __call__(self, req):
        """Call the action that the router has found, and make a response of what it returns.

        The router passes requests on to this. Like Nova, it copies the arguments, because all
        layers share the environ: any that looks later must find what the router has put there.
        """
        args = req.environ['wsgiorg.routing_args'][1].copy()
        del args['controller']
        action = args.pop('action')
        try:
            result = getattr(self, action)(req, **args)     # self.show(req, instance_id='42')
        except HTTPException as refusal:
            result = refusal    # @wsgify would do the same, but here it can be logged
        LOG.debug('%s returns %s', action, type(result).__name__)
        return Response(json=result) if isinstance(result, dict) else result

    def index(self, req):
        """GET /instances"""
        return {'instances': list(self.instances.values())}

    def create(self, req):
        """POST /instances: return a 201 response with a Location."""
        instance = self._add(read_name(req))
        # The host in this URL is what the client says it is, so it may hold anything.
        location = quote(f'{req.application_url}/instances/{instance["id"]}', safe='%/:[]')
        return Response(json={'instance': instance}, status=201, location=location)

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
        return self.instances.setdefault(instance['id'], instance)

    def _find(self, instance_id):
        """Return an instance, or raise a 404 fault."""
        instance = self.instances.get(instance_id)
        if instance is None:
            # WSGI hands over the bytes of a URL as if they were Latin-1.
            name = instance_id.encode('latin-1').decode(errors='replace')
            raise fault(404, f'Instance {name} could not be found.')
        return instance


def read_name(req):
    """Return the name in a request for create or update, or raise a 400, 411 or 413 fault.

    It is a form field, or part of JSON: {"name": ...} or {"instance": {"name": ...}}. Nova checks
    what clients send against the JSON schemas in nova/api/openstack/compute/schemas.
    """
    is_json = req.content_type.strip().lower() == 'application/json'
    try:
        read_body(req)
        fields = req.json.get('instance', req.json) if is_json else req.params
        name = fields['name']
    except (KeyError, TypeError, AttributeError):
        name = None     # there is no such field, or the JSON is not an object
    # WebOb, simplejson and read_body raise these if the body cannot be parsed, decoded or read.
    except (ValueError, LookupError, OSError, RecursionError, DeprecationWarning) as error:
        raise fault(400, f'The request cannot be read: {error}')
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise fault(400, f'The request, read as {"JSON" if is_json else "a form"}, has no name of'
                         f' 1 to {MAX_NAME} characters.')
    return name


def read_body(req):
    """Read the body into memory, where WebOb can find it, unless it is larger than MAX_BODY.

    read_name calls this. It raises a 400, 411 or 413 fault, or OSError if the body ends early. Nova
    leaves the limit to a filter, RequestBodySizeLimiter from oslo.middleware.
    """
    decoded = req.environ.get('wsgi.input_terminated')      # set by servers that decode chunks
    if 'HTTP_TRANSFER_ENCODING' in req.environ and not decoded:
        raise fault(411, 'Send the body with a Content-Length, not in chunks.')
    length = req.environ.get('CONTENT_LENGTH') or '0'
    if not length.isdecimal():
        raise fault(400, 'The Content-Length is not a number.')
    size = MAX_BODY + 1 if decoded else int(length)
    if int(length) > MAX_BODY or len(body := req.environ['wsgi.input'].read(size)) > MAX_BODY:
        raise fault(413, f'The body is larger than {MAX_BODY} bytes.')
    if len(body) < int(length):
        raise OSError('the body is shorter than its Content-Length')
    req.body = body
