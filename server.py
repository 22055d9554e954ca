"""The HTTP server: it turns each HTTP request into a call of the app in configure.ini.

"python server.py" runs main(). With --debug, each layer logs what it does with a request.

The standard library's wsgiref does nearly all the work. The three classes below change what it
does about many clients at once, and about clients that are slow, large or gone.

Nova leaves HTTP to uWSGI or Apache, which load its app from nova/wsgi/osapi_compute.py.
"""
import argparse
import contextlib
import logging
import os
import signal
import socket
import socketserver
import sys
import time
from wsgiref import simple_server

LOG = logging.getLogger(__name__)
HERE = os.path.dirname(os.path.realpath(__file__))


def main():
    """Load the app and the function that serves it from configure.ini, and serve the app.

    PasteDeploy imports this file a second time, as the module "server", because configure.ini
    names server:server_factory. The copy that Python was started with is called __main__.
    """
    parser = argparse.ArgumentParser(description='Serve the app in configure.ini.')
    parser.add_argument('--debug', action='store_true', help='log what each layer does')
    debug = parser.parse_args().debug
    logging.basicConfig(level='DEBUG' if debug else 'INFO', format='%(name)s: %(message)s')
    logging.getLogger('routes').setLevel('INFO')    # its debug log is about its own matching
    try:
        from paste.deploy import loadapp, loadserver
    except ModuleNotFoundError as error:
        sys.exit(f'{error}. To install what the toy needs, and start it: '
                 'python3 -m venv venv && venv/bin/pip install -q -r requirements.txt && '
                 'venv/bin/python server.py')
    try:
        app = loadapp('config:configure.ini', relative_to=HERE)
        serve = loadserver('config:configure.ini', relative_to=HERE)
    except Exception as error:
        if debug:
            raise
        reason = ' '.join(str(error).split())
        sys.exit(f'Cannot load {HERE}/configure.ini: {type(error).__name__}: {reason}')
    serve(app)


def server_factory(global_conf, host, port):
    """Return a function that serves an app until Ctrl-C or SIGTERM.

    configure.ini says

        [server:main]
        paste.server_factory = server:server_factory
        host = localhost
        port = 8000

    and PasteDeploy turns that into one call, whose result main() calls with the app:

        serve = server_factory(global_conf, host='localhost', port='8000')

    The function raises SystemExit, with the reason, if it cannot listen there.
    """
    def serve(app):
        try:
            server = Server((host, int(port)), RequestHandler)
        except (OSError, OverflowError, ValueError) as error:
            sys.exit(f'Cannot listen on {host}:{port}: {error}')
        server.set_app(app)
        signal.signal(signal.SIGTERM, signal.default_int_handler)   # SIGTERM acts like Ctrl-C
        with server, contextlib.suppress(KeyboardInterrupt):
            print(f'Listening on http://{host}:{server.server_port}, until Ctrl-C.', flush=True)
            server.serve_forever()
    return serve


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """Accept connections, and give each one a thread and a RequestHandler."""

    daemon_threads = True       # Ctrl-C does not wait for slow clients
    request_queue_size = 128    # connections that may wait to be accepted

    def handle_error(self, request, client_address):
        """Log a connection that broke in one line, and any other error with its traceback."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            LOG.info('hung up on %s: %s', client_address[0], error)
        else:
            super().handle_error(request, client_address)


class RequestHandler(simple_server.WSGIRequestHandler):
    """Read one request from a connection, and let a ServerHandler answer it."""

    timeout = 10    # seconds that a client may be silent
    wbufsize = -1   # buffer the response, so that headers and body leave together

    def handle(self):
        """Parse the request, and have the app called. socketserver calls this.

        wsgiref's own method is the same, but for its ServerHandler.
        """
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline, self.request_version, self.command = '', '', ''
            self.send_error(414)
        elif self.parse_request():
            handler = ServerHandler(self.rfile, self.wfile, sys.stderr, self.get_environ())
            handler.request_handler = self      # for the access log
            handler.run(self.server.get_app())

    def finish(self):
        """Send what is buffered, and close the connection so that the client can read it.

        The client may still be sending a body that the app has refused unread. Closing the
        connection now would reset it, and the response would be lost on the way.
        """
        self.connection.settimeout(2)
        end = time.monotonic() + 2
        with contextlib.suppress(OSError):      # the client may be gone by now
            super().finish()
            self.connection.shutdown(socket.SHUT_WR)
            while time.monotonic() < end and self.connection.recv(65536):
                pass


class ServerHandler(simple_server.ServerHandler):
    """Call the app with an environ and start_response, and send its response."""

    os_environ = {}     # wsgiref would let HTTP_X_AUTH_TOKEN from the shell into every request

    def finish_response(self):
        """Send the response. For a client that is gone, or does not read, log one line."""
        try:
            super().finish_response()
        except (ConnectionError, TimeoutError) as error:
            LOG.info('hung up on %s: %s', self.environ['REMOTE_ADDR'], error)


if __name__ == '__main__':
    main()
