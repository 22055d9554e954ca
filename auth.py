"""The filter: it lets a request pass only if the request carries the token.

A filter is a WSGI app that holds another WSGI app. PasteDeploy puts this one in front of the
app, as configure.ini says, and the HTTP server calls it with each request.

Nova has two filters here. authtoken, from keystonemiddleware, asks Keystone about the token;
NovaKeystoneContext, in nova/api/auth.py, makes a request context of what Keystone says.
"""
import hmac
import logging

from webob.dec import wsgify

from controllers import fault

LOG = logging.getLogger(__name__)


def filter_factory(global_conf, token):
    """Return a function that puts the filter in front of an app.

    configure.ini says

        [filter:auth]
        paste.filter_factory = auth:filter_factory
        token = open-sesame

    and PasteDeploy turns that into two calls, the second one with the app that comes next:

        auth_filter = filter_factory(global_conf, token='open-sesame')
        auth_filter(app)

    global_conf is a dict of what all sections share. Raises ValueError for a token that no
    header could carry, or that misunderstands the ini format: with quotes, or a comment.
    """
    printable = token.isascii() and token.isprintable()
    if not token or not printable or any(letter in token for letter in '\'" #;'):
        raise ValueError('the token must be printable ASCII, without quotes, spaces, # or ;')

    def auth_filter(app):
        return Auth(app, token)
    return auth_filter


class Auth:
    """Pass a request on to the app only if it carries the token."""

    def __init__(self, app, token):
        self.app = app
        self.token = token

    @wsgify
    def __call__(self, req):
        """Return a fault, or else the next app.

        The HTTP server calls this with (environ, start_response). @wsgify makes req of the
        environ, and calls what this method returns, which is a WSGI app in both cases.
        """
        refusal = self.process_request(req)
        if refusal is not None:
            return refusal
        return self.app

    def process_request(self, req):
        """Return None to let the request pass, or a 403 fault.

        Nova's authtoken responds with 401. Middleware, the base class of filters in
        nova/api/wsgi.py, has a method of this name.
        """
        sent = req.headers.get('X-Auth-Token', '')
        # compare_digest takes equally long for every wrong token of one length, so that no
        # client can guess the token letter by letter. A str would have to be ASCII; bytes may
        # hold anything.
        if hmac.compare_digest(sent.encode(), self.token.encode()):
            LOG.debug('the token is right, passing the request on')
            return None
        LOG.debug('no token or a wrong one, stopping the request with 403')
        return fault(403, 'Send the token from configure.ini as X-Auth-Token.')
