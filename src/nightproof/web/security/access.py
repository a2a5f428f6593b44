"""Who may ask a dashboard, and under which names it answers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nightproof.model import clock
from nightproof.web.security.ended import EndedSessions
from nightproof.web.security.limits import Limiter

SESSION_SECONDS = 12 * 3600
_CLOCK_SECONDS = 3600
"""How far back a clock may be set with sessions going on."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?", re.IGNORECASE)
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_REMEMBERED = 10_000


@dataclass
class Session:
    """Whoever asks: a guest, or somebody who gave the token.

    Forms are made for one session; `used` says that one was, so that its cookie is set.
    """

    id: str
    expires: int
    signed_in: bool = False
    known: bool = False
    """Whether its cookie came with the request."""
    used: bool = False


@dataclass
class Access:
    """The rules of one dashboard; without a `token` there is no login.

    `address` is where it listens, as a number; `names` are host names it has besides.
    """

    address: str = "127.0.0.1"
    port: int = 0
    public_url: str = ""
    names: frozenset[str] = frozenset()
    token: str = ""
    limiter: Limiter = field(default_factory=Limiter)
    ended: EndedSessions = field(default_factory=EndedSessions)
    _taken: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Forms of an earlier process are void: what it did about them is not known here.
        self._form_key = bytes.fromhex(clock.token_hex(32))
        secret = self.token.encode() or bytes.fromhex(clock.token_hex(32))
        self._session_key = hmac.digest(secret, b"nightproof dashboard session", "sha256")
        public = urlsplit(self.public_url)
        self._public_host = (public.hostname or "").lower()
        self._public_origin = f"{public.scheme}://{public.netloc}".lower()
        self._names = {"localhost", *(name.lower() for name in self.names)}
        if self.token:
            self._names.add(socket.gethostname().lower())

    @property
    def secure(self) -> bool:
        """Whether people reach it over https."""
        return self.public_url.startswith("https:")

    def cookie(self, *, guest: bool = False) -> str:
        """The name of the session's cookie: browsers do not keep cookies apart by port.

        A guest's is another one. Whoever comes by a link on another site is a guest to that
        request, and stays signed in.
        """
        name = "__Host-nightproof" if self.secure else f"nightproof-{self.port}"
        return f"{name}-guest" if guest else name

    def hosted(self, host: str) -> bool:
        """Whether a Host header names this dashboard.

        A page of another site whose name resolves to this machine (DNS rebinding) is thereby
        another site. An address is nobody's name, so with a token any one will do.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower()
        if name in self._names or (name == self._public_host and name):
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or bool(self.token)

    def own(self, origin: str, host: str) -> bool:
        """Whether an Origin header is that of this dashboard's own pages."""
        given = origin.lower()
        return given == f"http://{host.lower()}" or (
            bool(self.public_url) and given == self._public_origin
        )

    def session(self, cookies: Iterable[tuple[str, str]]) -> Session:
        """The session of a request by its cookies' names and values; else a guest's new one."""
        now = clock.now_ms() // 1000
        names = self.cookie(), self.cookie(guest=True)
        ours = [(names.index(name), value) for name, value in cookies if name in names]
        for _, value in sorted(ours):
            kind, _, rest = value.partition(".")
            expires, _, rest = rest.partition(".")
            name, _, mac = rest.partition(".")
            good = hmac.compare_digest(self._mac(f"{kind}.{expires}.{name}").encode(), mac.encode())
            # A session that was begun by a clock far ahead would last until that is caught up.
            lasts = good and now < int(expires) <= now + SESSION_SECONDS + _CLOCK_SECONDS
            if lasts and not self.ended.has(name, int(expires)):
                return Session(name, int(expires), kind == "s", known=True)
        return self.begin(signed_in=False)

    def begin(self, *, signed_in: bool) -> Session:
        """A new session."""
        return Session(clock.token_hex(16), clock.now_ms() // 1000 + SESSION_SECONDS, signed_in)

    def end(self, session: Session) -> None:
        """Refuse this session from now on."""
        self.ended.add(session.id, session.expires)

    def over(self, session: Session) -> bool:
        """Whether a session that was good has ended since."""
        gone = self.ended.has(session.id, session.expires)
        return gone or session.expires <= clock.now_ms() // 1000

    def set_cookie(self, session: Session | None) -> str:
        """The header that gives a browser its session; None ends that of whoever is signed in."""
        value, more, guest = "", "; Max-Age=0", False
        if session is not None:
            guest = not session.signed_in
            value = f"{'s' if session.signed_in else 'g'}.{session.expires}.{session.id}"
            value += f".{self._mac(value)}"
            more = f"; Max-Age={SESSION_SECONDS}" if session.signed_in else ""
        secure = "; Secure" if self.secure else ""
        return (
            f"{self.cookie(guest=guest)}={value}; Path=/; HttpOnly; SameSite=Strict{more}{secure}"
        )

    def form_token(self, session: Session) -> str:
        """What a form of this session carries; every form another."""
        session.used = True
        form, at = clock.token_hex(12), clock.now_ms() // 1000
        return f"{form}.{at}.{self._form_mac(session, form, str(at))}"

    def form_id(self, session: Session, token: str) -> str | None:
        """The id of the form that carried `token`; None where it is not this session's."""
        form, _, rest = token.partition(".")
        at, _, mac = rest.partition(".")
        good = hmac.compare_digest(self._form_mac(session, form, at).encode(), mac.encode())
        fresh = good and clock.now_ms() // 1000 - int(at) < SESSION_SECONDS
        return form if fresh else None

    def take(self, form_id: str) -> bool:
        """True the first time that a form is acted upon, False when it comes again."""
        if form_id in self._taken:
            return False
        self._taken[form_id] = None
        if len(self._taken) > _REMEMBERED:
            del self._taken[next(iter(self._taken))]
        return True

    def opens(self, given: str, address: str) -> bool:
        """Whether this is the token; a wrong one is counted. Ask :meth:`Limiter.wait` before."""
        # Digests are of one length, so the time tells nothing of the token's.
        there, here = (hashlib.sha256(one.encode()).digest() for one in (given, self.token))
        right = bool(self.token) and hmac.compare_digest(there, here)
        (self.limiter.passed if right else self.limiter.failed)(address)
        return right

    def _mac(self, text: str) -> str:
        return hmac.digest(self._session_key, text.encode(), "sha256").hex()

    def _form_mac(self, session: Session, form: str, at: str) -> str:
        text = f"{session.id}.{form}.{at}"
        return hmac.digest(self._form_key, text.encode(), "sha256").hex()


def own_path(text: str) -> str:
    """`text` where it is a path of this dashboard, else "/"; nothing else is ever gone to."""
    return text if _OWN_PATH.fullmatch(text) else "/"
