"""A watcher whose alerts are kept in a list."""

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
