"""The app at the end of the pipeline: URL and method -> controller and action.

nova has it in nova/api/wsgi.py (Router), and its table of routes in
nova/api/openstack/compute/routes.py (ROUTE_LIST).
"""
import logging

from routes import Mapper
from routes.middleware import RoutesMiddleware
from webob.dec import wsgify

from controllers import Controller, fault

LOG = logging.getLogger(__name__)

ROUTES = [
    # URL                       methods            action of the controller
    ('/instances',               ['GET', 'HEAD'],  'index'),
    ('/instances',               ['POST'],         'create'),
    ('/instances/{instance_id}', ['GET', 'HEAD'],  'show'),
    ('/instances/{instance_id}', ['PUT'],          'update'),
    ('/instances/{instance_id}', ['DELETE'],       'delete'),
]
METHODS = sorted({method for _, methods, _ in ROUTES for method in methods})


def app_factory(global_conf):
    """Make the app out of its section of configure.ini.

    PasteDeploy reads

        [app:instance]
        paste.app_factory = routers:app_factory

    and calls app_factory(global_conf), once for every loadapp(). Further keys
    in the section would be further arguments.
    """
    return Router(Controller())


class Router:
    """Find the action for a request in ROUTES, and hand the request over."""

    def __init__(self, controller):
        self.map = Mapper(register=False)   # not in Routes' global config
        for path, methods, action in ROUTES:
            self.map.connect(path, controller=controller, action=action,
                             conditions={'method': methods})
        self.map.create_regs()
        # By default ?_method=DELETE would turn a GET into a DELETE, and the
        # last request, token included, would be kept in a thread-local.
        self._router = RoutesMiddleware(self._dispatch, self.map,
                                        use_method_override=False, singleton=False)

    @wsgify
    def __call__(self, req):
        """Return the middleware, which @wsgify then calls as a WSGI app.

        The filter in front calls this. RoutesMiddleware matches the request,
        puts the result into environ['wsgiorg.routing_args'], and calls
        _dispatch.
        """
        return self._router

    @wsgify
    def _dispatch(self, req):
        """Return the controller that RoutesMiddleware found, or a fault.

        The fault is 405 where the URL would match with another method, else
        404. nova answers 404 for both.
        """
        match = req.environ['wsgiorg.routing_args'][1]     # [0] can make URLs
        if match:
            LOG.debug('matched %s', dict(sorted(match.items())))
            return match['controller']
        allowed = [method for method in METHODS if self.map.match(
            environ={**req.environ, 'REQUEST_METHOD': method})]
        if allowed:
            LOG.debug('matched the URL only, stop the request with 405')
            return fault(405, f'This URL knows {", ".join(allowed)} only.',
                         allow=allowed)
        LOG.debug('matched no route, stop the request with 404')
        return fault(404, 'There is no such URL. Try /instances.')
