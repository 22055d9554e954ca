"""The app at the end of the pipeline: it finds the action for a URL and an HTTP method.

Nova's is Router in nova/api/wsgi.py, and its table of routes is ROUTE_LIST in
nova/api/openstack/compute/routes.py.
"""
import logging

from routes import Mapper
from routes.middleware import RoutesMiddleware

from controllers import Controller, fault, wsgify

LOG = logging.getLogger(__name__)

ROUTES = [
    # URL                       HTTP methods       action: a method of the controller
    ('/instances',               ['GET', 'HEAD'],  'index'),
    ('/instances',               ['POST'],         'create'),
    ('/instances/{instance_id}', ['GET', 'HEAD'],  'show'),
    ('/instances/{instance_id}', ['PUT'],          'update'),
    ('/instances/{instance_id}', ['DELETE'],       'delete'),
]
METHODS = sorted({method for _, methods, _ in ROUTES for method in methods})


def app_factory(global_conf):
    """Return the app: a Router, with a Controller of its own.

    PasteDeploy calls this for [app:instance], once for each loadapp().
    """
    return Router(Controller())


class Router:
    """Find the action for a request in ROUTES, and pass the request on to the controller."""

    def __init__(self, controller):
        self.map = Mapper(register=False)   # a mapper of our own, unknown to the rest of Routes
        for url, methods, action in ROUTES:
            self.map.connect(url, controller=controller, action=action,
                             conditions={'method': methods})
        self.map.create_regs()
        # By default, ?_method=DELETE would turn a GET into a DELETE, and the last request, with
        # its token, would be kept in a thread-local.
        self._router = RoutesMiddleware(self._dispatch, self.map,
                                        use_method_override=False, singleton=False)

    @wsgify
    def __call__(self, req):
        """Return RoutesMiddleware, the next WSGI app, for @wsgify to call.

        The filter passes requests on to this. RoutesMiddleware looks for a route that matches,
        puts what it finds into environ['wsgiorg.routing_args'], and calls _dispatch.
        """
        return self._router

    @wsgify
    def _dispatch(self, req):
        """Return the controller that RoutesMiddleware has found, or a fault.

        RoutesMiddleware calls this as its WSGI app, and @wsgify calls what it returns as the next.
        The fault is a 405 if another HTTP method would have matched, and a 404 if none would. Nova
        answers 404 in both cases.
        """
        match = req.environ['wsgiorg.routing_args'][1]      # [0] would generate URLs; unused here
        whole = not req.environ['PATH_INFO'].endswith('\n')     # Routes overlooks a newline there
        if match and whole:
            LOG.debug('matched the action %s', match['action'])
            return match['controller']
        allowed = [method for method in METHODS if whole and self.map.match(
            environ={**req.environ, 'REQUEST_METHOD': method})]
        LOG.debug('no route matches, stopping the request with %s', 405 if allowed else 404)
        if allowed:
            return fault(405, f'This URL accepts only {", ".join(allowed)}.', allow=allowed)
        return fault(404, 'There is no such URL. Try /instances.')
