"""A watcher whose alerts are kept in a list, and a server that remembers what it got."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightproof import observe
from nightproof.errors import NightproofError


class Told:
    """A sink that remembers; raises while `broken`."""

    name = "list"

    def __init__(self):
        self.texts = []
        self.incidents = []
        self.broken = False

    def send(self, told, text):
        if self.broken:
            raise NightproofError("the sink is broken")
        self.incidents += told
        self.texts.append(text)

    @property
    def news(self):
        """What was told so far: kind, and whether it opened or cleared."""
        return [(one.kind, one.document()["event"]) for one in self.incidents]


@pytest.fixture
def told():
    """The sink."""
    return Told()


@pytest.fixture
def watch(night, told):
    """One look at the store, by a watcher of its own or the given one."""

    def look(watcher=None, **settings):
        watcher = watcher or observe.Watcher(night.settings(**settings), [told])
        night.ask(lambda app: watcher(app.journal))
        return told.news

    return look


class Server(ThreadingHTTPServer):
    """Remembers what it was sent; answers what it is told to."""

    def __init__(self):
        self.got = []
        self.answers = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.path, dict(self.headers), body.decode()))
        code, text = self.server.answers.pop(0) if self.server.answers else (200, '{"ok": true}')
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    found = Server()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()
