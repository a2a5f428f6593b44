"""Where a store URL leads: what libpq is told, and what people are shown."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from nightproof.config import redacted
from nightproof.errors import ConfigError

CONNECT_SECONDS: Final = 10
"""How long one attempt to connect may take."""
_DEFAULTS: Final = {
    "application_name": "nightproof",
    # A cut network is an error within half a minute, also where nothing is being sent.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_SHAPE: Final = "Write postgresql://user:password@host:5432/database, with ?schema=NAME if wanted."
_PARAMETER = re.compile(r'invalid URI query parameter: "(\w+)"')
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,49}")


class Target(NamedTuple):
    """A server, its database and the schema in it that holds the journal."""

    url: str
    """Without its password."""
    parameters: dict[str, str]
    schema: str

    @property
    def conninfo(self) -> str:
        """The connection string, with the password."""
        return make_conninfo(**self.parameters)


def target(url: str) -> Target:
    """Read a store URL. Raises ConfigError."""
    shown = redacted(url)
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    schema = dict(pairs).get("schema", "nightproof")
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError(
            f"store: '{schema}' in {shown} is no name for a schema",
            "Use lower-case letters, digits and _.",
        )
    rest = urlencode([pair for pair in pairs if pair[0] != "schema"], quote_via=quote)
    try:
        given = conninfo_to_dict(urlunsplit(parts._replace(query=rest)))
        if not all(port.isdecimal() or not port for port in str(given.get("port", "")).split(",")):
            raise ConfigError(f"store: no port number in {shown}", _SHAPE)
    except Error as error:
        # libpq quotes the URL, with its password: of its message only the parameter is told.
        named = _PARAMETER.search(str(error))
        why = f": there is no parameter '{named[1]}'" if named else ""
        raise ConfigError(f"store: cannot read the URL {shown}{why}", _SHAPE) from None
    parameters = {**_DEFAULTS, **{name: str(value) for name, value in given.items()}}
    parameters["client_encoding"] = "UTF8"
    return Target(shown, parameters, schema)
