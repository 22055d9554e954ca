"""The server: it turns what a client sends into a call to the app in configure.ini.

"python server.py" starts it, and with --debug you can watch each request pass from layer to layer.
main() joins the two halves of WSGI: the app, and the server, whose half is RequestHandler.

Nova leaves this part to uWSGI or Apache, which find the app in nova/wsgi/osapi_compute.py. Older
versions came with a server of their own, in nova/wsgi.py and nova/service.py.
"""
import argparse
import contextlib
import logging
import os
import re
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LOG = logging.getLogger(__name__)
HERE = os.path.dirname(os.path.realpath(__file__))

HINT = 'Is this venv/bin/python? Is each section a [kind:name]? Is the app last in its pipeline?'


def main():
    """Load the app and the server that configure.ini describes, and let the server serve the app.

    To load the server, PasteDeploy imports this file once more, as the module "server": the copy
    that Python is running goes by the name of __main__. The second copy does no harm.
    """
    parser = argparse.ArgumentParser(description='Serve the app in configure.ini.')
    parser.add_argument('--debug', action='store_true', help='log each step of each request')
    debug = parser.parse_args().debug
    logging.basicConfig(level='DEBUG' if debug else 'INFO', format='%(name)s: %(message)s')
    logging.getLogger('routes').setLevel('INFO')        # it would log every match as well
    signal.signal(signal.SIGTERM, signal.default_int_handler)       # as if it were Ctrl-C
    with contextlib.suppress(KeyboardInterrupt):
        try:
            from paste.deploy import loadapp, loadserver    # here, to hint at the right Python
            app = loadapp('config:configure.ini', relative_to=HERE)
            serve = loadserver('config:configure.ini', relative_to=HERE)
        except Exception as error:
            if debug:
                raise
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            sys.exit(f'Cannot load {HERE}/configure.ini: {reason} ({HINT})')
        serve(app)


def server_factory(global_conf, host, port):
    """Return a function that serves an app until Ctrl-C.

    PasteDeploy calls this for [server:main], with the keys of that section, and main() calls the
    function that comes back, which raises SystemExit, with the reason, if it cannot listen.
    """
    def serve(app):
        try:
            server = Server((host, int(port)), RequestHandler)
        except (OSError, OverflowError, ValueError) as error:
            sys.exit(f'Cannot listen on {host}:{port}: {error}')
        server.app = app
        with server:
            print(f'Listening on http://{host}:{server.server_port}, until Ctrl-C.', flush=True)
            server.serve_forever()
    return serve


class Server(ThreadingHTTPServer):
    """Accept connections, and hand each one to a RequestHandler, in a thread of its own."""

    request_queue_size = 128    # how many connections may wait to be accepted

    def handle_error(self, request, client_address):
        """Log an exception: in one line if the client is gone, or if no thread could be started."""
        error = sys.exc_info()[1]
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt     # Ctrl-C came while a thread was being started
        gone = isinstance(error, (OSError, RuntimeError))
        LOG.info('hung up on %s: %s', client_address[0], error, exc_info=not gone)


# A request line and up to 100 headers. Nobody needs more than 64 KiB for them.
HEAD = re.compile(r'(\S+) (\S+) (HTTP/1\.\d)\r\n((?:[!-9;-~]+:[^\r\n\0]*\r\n){0,100})', re.ASCII)


class RequestHandler(BaseHTTPRequestHandler):
    """The server's half of WSGI: read a request, call the app with it, and send its answer.

    http.server writes the answers and the access log. It could read the requests, too, but with a
    parser made for email, which takes a lone CR in a header for the beginning of another header.
    """

    timeout = 10    # seconds that a client may be silent
    wbufsize = -1   # buffer what is written, so that headers and body leave in one packet
    command, requestline, request_version, sent = '', '', 'HTTP/1.0', False

    def handle(self):
        """Answer one request. socketserver calls this for each connection."""
        head = bytearray()
        while len(head) < 65536 and (line := self.rfile.readline(65536)).strip():
            head += line
        self.requestline = re.match('[^\r\n]*', head.decode('latin-1'))[0]
        found = line == b'\r\n' and HEAD.fullmatch(head.decode('latin-1'))     # the whole head
        if found:
            environ = self.make_environ(*found.groups())
            for data in filter(None, call(self.server.app, environ, self.start_response)):
                self.write(data)
            self.write(b'')     # even an answer without a body has headers
        elif head:
            self.send_error(400, 'Malformed or oversized request line or headers')

    def make_environ(self, method, url, version, headers):
        """Return what WSGI calls the environ: the request as a dict."""
        path, _, query = url.partition('?')
        fields = {}
        for name, _, value in [line.partition(':') for line in headers.split('\r\n')[:-1]]:
            key, value = 'HTTP_' + name.upper().replace('-', '_'), value.strip(' \t')
            if value and '_' not in name:   # X_Auth_Token would get the key of X-Auth-Token
                fields[key] = f'{fields[key]},{value}' if key in fields else value
        return {
            'REQUEST_METHOD': method, 'QUERY_STRING': query, 'SCRIPT_NAME': '',
            'PATH_INFO': unquote(path, 'latin-1'),      # PEP 3333 wants one character for each byte
            'CONTENT_TYPE': fields.pop('HTTP_CONTENT_TYPE', ''),
            'CONTENT_LENGTH': fields.pop('HTTP_CONTENT_LENGTH', ''), **fields,
            'SERVER_NAME': self.server.server_name, 'SERVER_PORT': str(self.server.server_port),
            'SERVER_PROTOCOL': version, 'REMOTE_ADDR': self.client_address[0],
            'wsgi.version': (1, 0), 'wsgi.url_scheme': 'http', 'wsgi.run_once': False,
            'wsgi.input': self.rfile, 'wsgi.errors': sys.stderr,
            'wsgi.multithread': True, 'wsgi.multiprocess': False}

    def start_response(self, status, headers, exc_info=None):
        """Take the status and the headers of an answer. The app calls this before it returns."""
        if exc_info and self.sent:
            raise exc_info[1]       # too late: the beginning of another answer is on its way
        self.head = status, headers
        return self.write

    def write(self, data):
        """Send a part of the body, and in front of the first part the status and the headers."""
        if not self.sent:
            self.sent = True
            status, headers = self.head
            self.send_response(int(status[:3]), status[4:])
            for header in headers:
                self.send_header(*header)
            self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def finish(self):
        """End the connection so that the client can still read the answer.

        The client may be sending a body that nobody wants, and closing now would reset the
        connection. So say that the answer is complete, and discard what still comes for a moment.
        """
        self.connection.settimeout(2)
        super().finish()
        end = time.monotonic() + 2
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while time.monotonic() < end and self.connection.recv(65536):
                pass


def call(app, environ, start_response):
    """Call the app, and yield the parts of the body that it returns, or a 500 if it fails.

    This generator waits while RequestHandler sends a part. So a TimeoutError that is caught here
    comes from the app, and not from a client that has stopped reading.
    """
    body = ()
    try:
        body = app(environ, start_response)
        yield from body
    except Exception:
        LOG.exception('the app failed')
        start_response('500 Internal Error', [('Content-Type', 'text/plain')], sys.exc_info())
        yield b"The app failed. The server's log says why.\n"
    finally:
        getattr(body, 'close', lambda: None)()      # WSGI: if the body has a close, call it


if __name__ == '__main__':
    main()
