"""Secrets: how they are recognised by their form or by the name of their field, and hidden.

A contract that holds one is refused. What people are shown is hidden where it looks like one:
also what is too common a form to refuse a contract for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

HIDDEN = "(hidden)"

_PARAMETER = (
    r"(?:x-amz-(?:signature|security-token)|x-goog-signature|signature|sig|sas|auth|pwd"
    r"|[a-z0-9_-]*(?:token|password|passwd|passphrase|secret)"
    r"|(?:[a-z0-9_-]*[_-])?(?:api|access|secret|private|account|subscription)?[_-]?key)"
)
_NAMED = (
    r"[a-z0-9_.-]{0,40}(?:passwords?|passwd|passphrase|pwd|secret|token|credentials?|private_?key"
    r"|(?:api|access|secret|account)[_-]?key)"
)
# Not what stands for one: $PASSWORD, {token}, <secret>, ***, a number, a word of the language.
_GIVEN = (
    r"(?!\d{1,6}\b|env:|(?:none|null|true|false|str|int|bytes|self)\b)[^\s\"'&,;(){}<>$*%\[\]]{4,}"
)


_WORDS = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "key",
    "sig",
    "sas",
    "auth",
)


class _Form(NamedTuple):
    """A kind of secret: lower-case texts of which it holds one at least, and how it looks.

    The group `kept` is no part of it. A `common` form is hidden, but no reason to refuse.
    Looking for the hints first is many times faster.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: str
    common: bool = False


_FORMS = (
    _Form("a Slack token", ("xox", "xapp-"), r"\bxox[a-z]-[A-Za-z0-9-]{4,}|\bxapp-[A-Za-z0-9-]{8,}"),
    _Form(
        "a Slack webhook address", ("hooks.slack.com",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+",
    ),
    _Form(
        "an API key", ("sk-",),
        r"\bsk-(?:[a-z]+[0-9]*-)?(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}",
    ),
    _Form("a Stripe key", ("k_live_", "k_test_"), r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{8,}"),
    _Form("a Google API key", ("aiza",), r"\bAIza[A-Za-z0-9_-]{20,}"),
    _Form("a Google access token", ("ya29.",), r"\bya29\.[A-Za-z0-9_-]{8,}"),
    _Form(
        "a GitHub token", ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
        r"\bgh[opsur]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}",
    ),
    _Form("a GitLab token", ("glpat-",), r"\bglpat-[A-Za-z0-9_-]{16,}"),
    _Form("a Hugging Face token", ("hf_",), r"\bhf_[A-Za-z0-9]{24,}"),
    _Form("an AWS access key", ("akia", "asia"), r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    _Form(
        "a private key", ("-----begin",),
        r"(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*))",
    ),
    _Form(
        "a JSON Web Token", ("eyj",),
        r"\beyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*",
    ),
    _Form(
        "an Authorization header", ("bearer ", "basic "),
        r"\b[Bb]earer [A-Za-z0-9._~+/=-]{12,}|\bBasic [A-Za-z0-9+/=]{12,}",
    ),
    _Form(
        "a password in an address", ("://",),
        # The last @ before the path ends the password, which may hold others.
        r"(?<=://)(?:[^/\s:@?#\"]*:[^/\s?#\"]+|[^/\s:@?#\"]{20,})(?=@)",
    ),
    _Form(
        "a signed address", _WORDS,
        r"(?:(?<=[?&;])|(?<=\\u0026)|(?<=%26))(?P<kept>(?i:" + _PARAMETER + r")=)[^&\s\"'<>\\]+",
    ),
    _Form(
        "a password in a connection string", ("password", "pwd", "key"),
        r"(?:(?<=[\s;\"'])|^)(?P<kept>(?i:password|pwd|account_?key|sharedaccesskey)\s?=\s?)"
        r"(?!\d{1,3}\b)[^\s;\"'${<*(%]{3,}",
    ),
    _Form(
        "a password", _WORDS,
        r"(?i:(?<![a-z0-9])(?P<kept>" + _NAMED + r"\s?=\s?[\"']?)" + _GIVEN + r")", True,
    ),
    _Form(
        "a field of a secret", _WORDS,
        r"(?i:(?P<kept>[\"']" + _NAMED + r"\\?[\"']\s?:\s?\\?[\"'])[^\"'\\]{4,})", True,
    ),
    _Form(
        "a header", ("authorization", "cookie", "key", "token"),
        r"(?i:(?<![a-z0-9])(?P<kept>(?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]*(?:key|token))"
        r"[\"']?\s?:\s?[\"']?[^\s\"'\\,][^\"'\\\n,]{3,})", True,
    ),
)  # fmt: skip
_SECRET_WORDS = frozenset(
    "password passwd passphrase pwd secret secrets token apikey credential credentials "
    "authorization bearer cookie privatekey accesskey secretkey clientsecret".split()
)
_KEY_OF = frozenset("api access private secret signing encryption auth account".split())
_OFTEN_WORDS = frozenset("token bearer cookie".split())
_SHORTEST = 16
"""Characters: what is recorded under the name of a token is often a word of a text."""


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _likely(text: str) -> Iterator[_Form]:
    lowered = text.lower()
    for form in _FORMS:
        for hint in form.hints:
            if hint in lowered:
                yield form
                break


def secret_kind(text: str) -> str:
    """What kind of secret `text` holds, like "a Slack token"; empty if none is known."""
    for form in _likely(text):
        if not form.common and _compiled(form.pattern).search(text):
            return form.kind
    return ""


def redact(text: str) -> str:
    """`text` with everything that looks like a secret blotted out."""
    for form in _likely(text):
        text = _compiled(form.pattern).sub(_blot, text)
    return text


def _blot(found: re.Match[str]) -> str:
    return found.groupdict().get("kept", "") + HIDDEN


def hidden(value: Any) -> Any:
    """JSON data without what looks like a secret: by its form, or by the name of its field."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            redact(key) if isinstance(key, str) else key: HIDDEN
            if isinstance(item, str) and secret_field(str(key), item)
            else hidden(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [hidden(item) for item in value]
    return value


def secret_field(key: str, text: str) -> bool:
    """Whether what is recorded under this name is a secret, by the looks of both."""
    if not text or not secret_key(key):
        return False
    often = words_of(key)[-1] in _OFTEN_WORDS
    return not often or (len(text) >= _SHORTEST and not any(map(str.isspace, text)))


@lru_cache(1024)
def secret_key(key: str) -> bool:
    """Whether a field of this name holds a secret (``apiKey``), not just its name or size.

    ``apiKeyEnv``, ``secretName`` and ``maxTokens`` are not secrets.
    """
    words = words_of(key)
    if not words:
        return False
    if words[-1] in _SECRET_WORDS or "".join(words[-2:]) in _SECRET_WORDS:
        return True
    return len(words) > 1 and words[-1] == "key" and words[-2] in _KEY_OF


@cache
def _word() -> re.Pattern[str]:
    return re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@lru_cache(1024)
def words_of(key: str) -> tuple[str, ...]:
    """The words of a camelCase, snake_case or kebab-case name, lower case."""
    return tuple(word.lower() for word in _word().findall(key))
