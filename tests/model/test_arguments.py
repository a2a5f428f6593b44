"""Arguments that travel to another process, and those that cannot."""

from typing import Annotated

import pytest

from nightproof import Ambient, ambient, step
from nightproof.errors import CodecError, MisuseError


class Client:
    """Stands for a connection."""


def make():
    """A client."""
    return Client()


@step
def fetch(
    name: str,
    client: Annotated[Client, ambient(make)],
    *more: int,
    retries: int = 3,
    log: Ambient[Client | None] = None,
    **rest: float,
) -> str:
    """Takes everything that a function can take."""
    return f"{name} {more} {retries} {rest} {type(client).__name__}"


@step
def bare(name: str, client: Ambient[Client]) -> str:
    """Takes a client that nobody else can make."""
    return name


def sent(call, args, kwargs, make=lambda factory: factory()):
    """The call as another process makes it."""
    arguments = call.arguments
    values = arguments.bind(args, kwargs)
    arguments.refuse_unsendable(values)
    return arguments.call(arguments.values(arguments.parts(values), make))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("a", Client()), {}),
        (("a", Client(), 1, 2), {"retries": 5, "x": 1.5, "y": 2.5}),
        ((), {"name": "a", "client": Client()}),
    ],
)
def test_a_call_arrives_as_it_was_made(args, kwargs):
    """Whatever kinds of parameters the function has."""
    there, named = sent(fetch, args, kwargs)
    assert fetch.fn(*there, **named) == fetch.fn(*args, **kwargs)


def test_a_factory_makes_what_cannot_travel():
    """The worker decides how often it is called."""
    mine = Client()
    (_, client), named = sent(fetch, ("a", Client()), {}, lambda factory: mine)
    assert client is mine
    assert named["log"] is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: sent(bare, ("a", Client()), {}),
        lambda: sent(fetch, ("a", Client()), {"log": Client()}),
        lambda: bare.arguments.values([b'"a"'], make),
    ],
    ids=["required", "with a default", "on arrival"],
)
def test_what_nobody_can_make_is_refused(call):
    """With what to write, before anything is sent."""
    with pytest.raises(MisuseError, match=r"is Ambient: it cannot travel.*\n.*ambient\(make\)"):
        call()


def test_a_part_that_is_not_the_parameters_is_refused():
    """The other process may have other code."""
    with pytest.raises(CodecError, match="argument 'name' of step 'bare'"):
        bare.arguments.values([b"1"], make)
