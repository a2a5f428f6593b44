"""Secrets in a contract: how they are recognised, and how messages hide them."""

from __future__ import annotations

import re
from functools import cache, lru_cache

_KINDS = {
    "a Slack token": r"\bxox[a-z]-[A-Za-z0-9-]{4,}|\bxapp-[A-Za-z0-9-]{8,}",
    "a Slack webhook address": r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]+",
    "an API key": r"\bsk-(?:[a-z]+[0-9]*-)?(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}",
    "a Stripe key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{8,}",
    "a Google API key": r"\bAIza[A-Za-z0-9_-]{20,}",
    "a Google access token": r"\bya29\.[A-Za-z0-9_-]{8,}",
    "a GitHub token": r"\bgh[opsur]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{16,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{24,}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)",
    "a JSON Web Token": r"\beyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*",
    "an Authorization header": r"\b[Bb]earer [A-Za-z0-9._~+/=-]{12,}|\bBasic [A-Za-z0-9+/=]{12,}",
    "a password in an address": r"(?<=://)[^/\s:@?#\"]*:[^/\s@?#\"]+(?=@)",
    "a signed address": (
        r"(?<=[?&;])(?i:x-amz-signature|x-amz-security-token|x-goog-signature|signature|sig"
        r"|access_token|token|api_?key|key|password)=[^&\s\"]+"
    ),
}
_SECRET_WORDS = frozenset(
    "password passwd passphrase pwd secret secrets token apikey credential credentials "
    "authorization bearer cookie privatekey accesskey secretkey clientsecret".split()
)
_KEY_OF = frozenset("api access private secret signing encryption auth account".split())


@cache
def _known() -> re.Pattern[str]:
    groups = (f"(?P<k{i}>{pattern})" for i, pattern in enumerate(_KINDS.values()))
    return re.compile("|".join(groups), re.DOTALL)


_HINTS = (
    "xox xapp- hooks. sk- sk_ rk_ AIza ya29. gh github_pat_ glpat- hf_ AKIA ASIA -----BEGIN eyJ "
    "earer Basic @ ="
).split()
"""Every known secret holds one of these; looking for them first is ten times faster."""


@cache
def _hint() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, _HINTS)))


def secret_kind(text: str) -> str:
    """What kind of secret `text` holds, like "a Slack token"; empty if none is known."""
    if _hint().search(text) is None:
        return ""
    found = _known().search(text)
    if found is None or found.lastgroup is None:
        return ""
    return list(_KINDS)[int(found.lastgroup[1:])]


def redact(text: str) -> str:
    """`text` with everything that looks like a secret blotted out."""
    return _known().sub("(hidden)", text)


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
