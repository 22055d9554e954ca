"""Serve the pipeline of configure.ini: where a request comes in.

Run it with "python server.py", and with --debug to watch each request pass.

nova has it in nova/wsgi/osapi_compute.py, where uWSGI or Apache find the
pipeline that nova/api/openstack/wsgi_app.py loads. Older versions had a
server of their own, in nova/wsgi.py and nova/service.py.
"""
import argparse
import contextlib
import http.client
import logging
import os
import signal
import socket
import socketserver
import sys
import time
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from paste.deploy import loadapp, loadserver

LOG = logging.getLogger(__name__)
HERE = os.path.dirname(os.path.realpath(__file__))


def server_factory(global_conf, host, port):
    """Make the server out of its section of configure.ini.

    PasteDeploy reads

        [server:main]
        paste.server_factory = server:server_factory
        host = localhost
        port = 8000

    and calls server_factory(global_conf, host='localhost', port='8000'). It
    gets back a function, and loadserver() hands that on to main().

    The function serves an app until Ctrl-C. It raises SystemExit, with the
    reason, where it cannot listen.
    """
    def serve(app):
        try:
            server = Server((host, int(port)), RequestHandler)
        except (OSError, OverflowError, ValueError) as error:
            sys.exit(f'Cannot listen on {host}:{port}: {error}')
        server.set_app(app)
        with server:
            url = f'http://{host}:{server.server_port}/instances'
            print(f'Listening on {url}, until Ctrl-C. Try, with the token in configure.ini:\n'
                  f"curl -H 'X-Auth-Token: TOKEN' {url}", flush=True)
            server.serve_forever()
    return serve


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Listen, take a thread for each connection, call the app in it."""

    daemon_threads = True       # Ctrl-C does not wait for idle clients
    request_queue_size = 128    # clients that may wait for a thread at once

    def shutdown_request(self, request):
        """End a connection so that the client can read its answer.

        It may still be sending a body that nobody wants. To close now would
        reset the connection. So take what comes, for two seconds at most.
        """
        deadline = time.monotonic() + 2
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                request.settimeout(left)
                if not request.recv(65536):
                    break
        self.close_request(request)

    def handle_error(self, request, client_address):
        """Log an exception, in one line where a client is gone, or no thread is left."""
        error = sys.exc_info()[1]
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt     # Ctrl-C came while a thread was being started
        if isinstance(error, (OSError, RuntimeError)):
            LOG.info('hung up on %s: %s', client_address[0], error)
        else:
            super().handle_error(request, client_address)


class Headers(http.client.HTTPMessage):
    """The headers of a request. Their parser, email, believes that they are a mail."""

    def get_content_type(self):
        """Name a type that has no mails in it, else email looks for them, and deep."""
        return 'text/plain'


class RequestHandler(WSGIRequestHandler):
    """Read one request from a connection, and have it answered."""

    timeout = 10    # seconds that a client may be silent
    wbufsize = -1   # headers and body leave in one packet
    MessageClass = Headers
    default_request_version = 'HTTP/1.0'    # else garbage gets an answer without a status

    def handle(self):
        """Do what wsgiref does here, with Gateway."""
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ''
            self.send_error(414)
        elif self.parse_request():
            gateway = Gateway(self.rfile, self.wfile, sys.stderr, self.get_environ())
            gateway.request_handler = self
            gateway.run(self.server.get_app())


class Gateway(ServerHandler):
    """Complete the environ, call the app with it, and send the answer."""

    # wsgiref would copy the process's environment into that of every request:
    # an exported HTTP_X_AUTH_TOKEN would let everybody in.
    os_environ = {}

    def cleanup_headers(self):
        """Complete the headers, but without a Content-Length for a 204."""
        super().cleanup_headers()
        if self.status.startswith('204'):
            del self.headers['Content-Length']

    def handle_error(self):
        """Log an exception and answer 500, unless the client stopped reading."""
        if isinstance(sys.exc_info()[1], TimeoutError):
            raise
        super().handle_error()


def main():
    """Load the app and the server that configure.ini describes, and join them.

    "server:server_factory" in the ini imports this file a second time, as the
    module server: the one that runs is called __main__.
    """
    parser = argparse.ArgumentParser(description='Serve the pipeline of configure.ini.')
    parser.add_argument('--debug', action='store_true',
                        help='log a line a layer as a request passes, and full tracebacks')
    debug = parser.parse_args().debug
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO,
                        format='%(name)s: %(message)s')
    # RoutesMiddleware would log each match as well.
    logging.getLogger('routes').setLevel(logging.INFO)
    # SIGTERM, like Ctrl-C, raises KeyboardInterrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            app = loadapp('config:configure.ini', relative_to=HERE)
            serve = loadserver('config:configure.ini', relative_to=HERE)
        except Exception as error:
            if debug:
                raise
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            sys.exit(f'Cannot load {HERE}/configure.ini: {reason}')
        serve(app)


if __name__ == '__main__':
    main()
