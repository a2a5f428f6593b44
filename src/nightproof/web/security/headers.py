"""What every answer carries."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_ALWAYS = {
    "x-content-type-options": "nosniff",
    # With no-referrer a browser would send `Origin: null` with the dashboard's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def complete(headers: MutableHeaders, path: str, versioned: bool, status: int) -> None:
    """Add what is missing; a page that has a policy of its own keeps it.

    `versioned` files are asked for by what is in them, so they never change.
    """
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    if "content-security-policy" not in headers:
        headers["content-security-policy"] = POLICY
        headers.setdefault("x-frame-options", "DENY")
    if path.startswith("/static/") and status in (200, 206, 304):
        kept = "public, max-age=31536000, immutable" if versioned else "no-cache"
        headers["cache-control"] = kept
    else:
        headers.setdefault("cache-control", "no-store")
