"""The filter: the first stop inside the pipeline, where a request must show its token.

A filter is a WSGI app that holds another WSGI app. It looks at each request, and either answers
it or passes it on to the app that it holds.

Nova uses two filters here. The first, authtoken from keystonemiddleware, asks Keystone, OpenStack's
identity service, about the token; the second, NovaKeystoneContext in nova/api/auth.py, turns what
Keystone said into an object, the context of the request.
"""
import hmac
import logging

from controllers import fault, wsgify

LOG = logging.getLogger(__name__)


def filter_factory(global_conf, token):
    """Return the function that puts the filter in front of an app.

    configure.ini says

        [filter:auth]
        paste.filter_factory = auth:filter_factory
        token = open-sesame

    and PasteDeploy turns that into two calls, which end in Auth(app, 'open-sesame'):

        auth_filter = filter_factory(global_conf, token='open-sesame')
        auth_filter(app)        # app is whatever comes next in the pipeline

    global_conf is a dict of what all sections share: the keys of [DEFAULT], and where the file is.
    It raises ValueError if the token is empty, or contains anything that a token must not contain.
    """
    if not token or not token.isascii() or any(letter in token for letter in '\'" #;'):
        raise ValueError('the token must be non-empty ASCII, without quotes, spaces, # or ;')

    def auth_filter(app):
        return Auth(app, token)
    return auth_filter


class Auth:
    """Pass a request on to the app only if it carries the token."""

    def __init__(self, app, token):
        self.app, self.token = app, token

    @wsgify
    def __call__(self, req):
        """Return a refusal, or else the app that is next to see the request.

        The server calls this with (environ, start_response). @wsgify makes a request object from
        the environ, and then calls what this returns, as the next WSGI app, with the same two
        arguments. A refusal is a WSGI app, too.
        """
        return self.process_request(req) or self.app

    def process_request(self, req):
        """Return None to let the request pass, or a 403 fault to stop it. Nova answers 401.

        __call__ calls this, as the class Middleware in nova/api/wsgi.py does.
        """
        sent = req.environ.get('HTTP_X_AUTH_TOKEN', '')     # X-Auth-Token, as WSGI spells it
        # compare_digest takes as long over a nearly right token as over any other wrong one, so
        # nobody can guess it letter by letter. It gets bytes: a str would have to be ASCII.
        if hmac.compare_digest(sent.encode(), self.token.encode()):
            LOG.debug('the token is right, passing the request on')
            return None
        LOG.debug('no token or a wrong one, stopping the request with 403')
        return fault(403, 'Send the token from configure.ini as X-Auth-Token.')
