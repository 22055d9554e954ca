"""The filter: the first stop of a request inside the pipeline.

A filter is a WSGI app that holds another WSGI app. It looks at the request
and then either answers it or passes it on.

nova leaves this to keystonemiddleware (auth_token), which asks Keystone about
the token. The filter behind it, in nova/api/auth.py, makes a context of the
answer.
"""
import hmac
import logging

from webob.dec import wsgify

from controllers import fault

LOG = logging.getLogger(__name__)


def filter_factory(global_conf, token):
    """Make the filter out of its section of configure.ini.

    PasteDeploy reads

        [filter:auth]
        paste.filter_factory = auth:filter_factory
        token = open-sesame

    and calls filter_factory(global_conf, token='open-sesame'). global_conf is
    what [DEFAULT] holds, and where the file is. PasteDeploy gets back a
    function, and calls that with the next app of the pipeline.

    Raises ValueError where the token is empty, which would let everybody in,
    or not ASCII, which would let nobody in.
    """
    if not token or not token.isascii():
        raise ValueError('the token in [filter:auth] is empty or not ASCII')

    def auth_filter(app):
        return Auth(app, token)
    return auth_filter


class Auth:
    """Let a request pass to the app only if it carries the token."""

    def __init__(self, app, token):
        self.app = app
        self.token = token

    @wsgify
    def __call__(self, req):
        """Answer the request, or name the app that shall answer it.

        The server calls this with (environ, start_response). @wsgify makes a
        webob.Request of them, and calls what comes back as the next WSGI app,
        be it a response or self.app.
        """
        return self.process_request(req) or self.app

    def process_request(self, req):
        """Return None to pass the request on, or a 403 fault to stop it.

        Called by __call__, as in the class Middleware of nova/api/wsgi.py. nova
        answers 401.
        """
        sent = req.environ.get('HTTP_X_AUTH_TOKEN', '')     # X-Auth-Token in WSGI's spelling
        # compare_digest takes as long for a nearly right token as for a wrong
        # one: time tells nobody anything. It gets bytes, for str must be ASCII.
        if hmac.compare_digest(sent.encode(), self.token.encode()):
            LOG.debug('the token is right, pass the request on')
            return None
        LOG.debug('no token or a wrong one, stop the request with 403')
        return fault(403, 'Send the header X-Auth-Token with the token in configure.ini.')
