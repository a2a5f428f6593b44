"""Real servers for tests and trials, each from its PyPI wheel.

``python -m nightproof.testing.servers postgres|temporal|s3`` runs one in the foreground;
:func:`postgres`, :func:`temporal` and :func:`s3` run one while a ``with`` block lasts. A
server listens on 127.0.0.1 only, keeps everything it writes in one folder, and ends with
the process that asked for it, however that ends.
"""

from nightproof.testing.servers.held import (
    PostgresServer,
    S3Server,
    Server,
    TemporalServer,
    postgres,
    s3,
    temporal,
)

__all__ = ["PostgresServer", "S3Server", "Server", "TemporalServer", "postgres", "s3", "temporal"]
