"""The app at the end of the pipeline: it finds the action for a URL and an HTTP method.

Nova has the class Router in nova/api/wsgi.py, and its table of routes, ROUTE_LIST, in
nova/api/openstack/compute/routes.py.
"""
import logging

from routes import Mapper
from routes.middleware import RoutesMiddleware
from webob.dec import wsgify

from controllers import Controller, fault

LOG = logging.getLogger(__name__)

ROUTES = [
    # URL                       HTTP methods       action: a method of the controller
    ('/instances',               ['GET', 'HEAD'],  'index'),
    ('/instances',               ['POST'],         'create'),
    ('/instances/{instance_id}', ['GET', 'HEAD'],  'show'),
    ('/instances/{instance_id}', ['PUT'],          'update'),
    ('/instances/{instance_id}', ['DELETE'],       'delete'),
]
METHODS = ['DELETE', 'GET', 'HEAD', 'POST', 'PUT']


def app_factory(global_conf):
    """Return the app: a Router with a Controller of its own.

    configure.ini says

        [app:instance]
        paste.app_factory = routers:app_factory

    and PasteDeploy turns that into one call:

        app_factory(global_conf)
    """
    return Router(Controller())


class Router:
    """Find the action for a request in ROUTES, and pass the request on to the controller."""

    def __init__(self, controller):
        self.map = Mapper(register=False)   # Routes would keep a registered mapper in a global
        for url, methods, action in ROUTES:
            self.map.connect(url, controller=controller, action=action,
                             conditions={'method': methods})
        self.map.create_regs()      # now, and not in the threads of the first requests
        # Without the last two arguments, ?_method=DELETE would turn a GET into a DELETE, and
        # Routes would keep the last request, token included.
        self._router = RoutesMiddleware(self._dispatch, self.map,
                                        use_method_override=False, singleton=False)

    @wsgify
    def __call__(self, req):
        """Return RoutesMiddleware, the next app.

        The filter passes requests on to this. RoutesMiddleware looks for a route that matches,
        writes the match into environ['wsgiorg.routing_args'], and calls _dispatch.
        """
        return self._router

    @wsgify
    def _dispatch(self, req):
        """Return the controller from the match, which is the next app, or a fault.

        RoutesMiddleware calls this as the app behind it.
        """
        match = req.environ['wsgiorg.routing_args'][1]
        if not match:
            return self._no_match(req)
        LOG.debug('matched the action %s', match['action'])
        return match['controller']

    def _no_match(self, req):
        """Return a 405 fault if the URL has a route for another HTTP method, or else a 404.

        Nova responds with 404 in both cases.
        """
        path = req.environ['PATH_INFO']     # req.path_info raises UnicodeDecodeError for %FF
        allowed = [method for method in METHODS
                   if self.map.match(path, {'REQUEST_METHOD': method})]
        if allowed:
            LOG.debug('no route for this method, stopping the request with 405')
            return fault(405, f'This URL accepts only {", ".join(allowed)}.', allow=allowed)
        LOG.debug('no route for this URL, stopping the request with 404')
        return fault(404, 'There is no such URL. Try /instances.')
