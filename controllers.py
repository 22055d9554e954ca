"""The controller: the last stop, with an action for each thing that a client can ask for.

The router passes requests on to Controller. The filter and the router import fault from here.

Nova's controllers are in nova/api/openstack/compute, and have no __call__: that part of them is
the class Resource in nova/api/openstack/wsgi.py, where Fault is, too.
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

MAX_NAME = 255          # characters
MAX_BODY = 64 * 1024    # bytes
TOO_LARGE = f'The body is larger than {MAX_BODY} bytes.'

FAULTS = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound',
          405: 'badMethod', 411: 'badRequest', 413: 'overLimit'}


def fault(status, message, **headers):
    """Return a response that refuses a request, and that can also be raised.

    Further arguments are headers, under WebOb's names: allow=, for one.
    """
    content = {FAULTS[status]: {'code': status, 'message': message}}
    return status_map[status](body=to_json(content), content_type='application/json', **headers)


def to_json(content):
    """Return a dict as JSON, in bytes, which is what WSGI sends."""
    return simplejson.dumps(content).encode()


class Controller:
    """Answer requests for instances, which live in a dict.

    Each request has a thread of its own. index, show and create touch the dict once, which is
    safe. update and delete look first and act then, so they hold a lock meanwhile. An instance
    in the dict never changes: update puts another one in its place.
    """

    def __init__(self):
        self.instances = {}
        self.lock = threading.Lock()
        for name in ('inst-0', 'inst-1', 'inst-2'):
            self._add(name)

    @wsgify
    def __call__(self, req):
        """Call the action from the match, and return its result as a response.

        The router passes requests on to this, and @wsgify calls the response, which calls
        start_response. The arguments are a copy, as in Nova: all layers share the match.
        """
        args = req.environ['wsgiorg.routing_args'][1].copy()
        del args['controller']
        action = args.pop('action')
        method = getattr(self, action)
        try:
            result = method(req, **args)    # self.show(req, instance_id='42')
        except HTTPException as refusal:
            result = refusal    # @wsgify would do the same, without a line in the log
        LOG.debug('%s returns %s', action, type(result).__name__)
        if isinstance(result, dict):
            return Response(body=to_json(result), content_type='application/json')
        return result

    def index(self, req):
        """GET /instances"""
        return {'instances': list(self.instances.values())}

    def create(self, req):
        """POST /instances: return a 201 response with a Location."""
        instance = self._add(read_name(req))
        # quote, because the URL begins with the header Host, which may hold anything.
        location = quote(f'{req.path_url}/{instance["id"]}', safe='%/:[]')
        return Response(body=to_json({'instance': instance}), status=201,
                        content_type='application/json', location=location)

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
        """Store a new instance, and return it."""
        instance = {'id': str(uuid.uuid4()), 'name': name}
        self.instances[instance['id']] = instance
        return instance

    def _find(self, instance_id):
        """Return an instance. Raises a 404 fault if there is none with this id."""
        instance = self.instances.get(instance_id)
        if instance is None:
            # WSGI hands over the bytes of a URL as if they were Latin-1.
            shown = instance_id.encode('latin-1').decode(errors='replace')
            raise fault(404, f'Instance {shown} could not be found.')
        return instance


def read_name(req):
    """Return the name from the body or the query string of a request.

    create and update call this. Raises a 400 fault if there is no usable name, and what
    read_body raises. Nova checks bodies against the JSON schemas in
    nova/api/openstack/compute/schemas.
    """
    read_body(req)
    is_json = req.content_type.strip().lower() == 'application/json'
    try:
        fields = read_json(req) if is_json else req.params
        name = fields.get('name')
    # simplejson raises ValueError or RecursionError; WebOb raises ValueError, LookupError or, for
    # a charset that it does not know, a DeprecationWarning.
    except (ValueError, RecursionError, LookupError, DeprecationWarning) as error:
        raise fault(400, f'The request cannot be read: {error}')
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        kind = 'JSON' if is_json else 'a form'
        raise fault(400, f'The request, read as {kind}, has no name of 1 to {MAX_NAME}'
                         ' characters.')
    return name


def read_json(req):
    """Return the fields in a JSON body: {"name": ...} or {"instance": {"name": ...}}."""
    fields = simplejson.loads(req.body)
    if isinstance(fields, dict):
        fields = fields.get('instance', fields)
    if isinstance(fields, dict):
        return fields
    return {}


def read_body(req):
    """Read the body into req.body, unless it is larger than MAX_BODY.

    Raises a 400, 411 or 413 fault. Nova leaves the limit to a filter, RequestBodySizeLimiter
    from oslo.middleware.
    """
    # A body in chunks has no length. The toy's own HTTP server does not decode it; others do.
    if 'Transfer-Encoding' in req.headers and not req.environ.get('wsgi.input_terminated'):
        raise fault(411, 'Send the body with a Content-Length, not in chunks.')
    length = req.headers.get('Content-Length', '').strip() or '0'
    if not length.isdecimal():
        raise fault(400, 'The Content-Length is not a number.')
    if len(length) > 10 or int(length) > MAX_BODY:      # int refuses thousands of digits
        raise fault(413, TOO_LARGE)
    try:
        body = req.body_file.read(MAX_BODY + 1)
    except OSError as error:
        raise fault(400, f'The body cannot be read: {error}')
    if len(body) > MAX_BODY:
        raise fault(413, TOO_LARGE)     # the body came in chunks, without a length
    req.body = body
