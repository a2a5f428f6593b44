"""Templates: what they show comes from users and is shown as text, cut and cleaned."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from nightproof.contract.secrets import hidden
from nightproof.views.legible import legible
from nightproof.views.values import duration
from nightproof.web.assets import asset
from nightproof.web.drawing import epoch, shares, spark_lines
from nightproof.web.site import site_of

CUT = 2000
"""So many characters of a text are shown where a template does not say."""


def clean(text: object) -> str:
    """A text without what looks like a secret, and legible."""
    return legible(str(text))


def cut(text: object, length: int = CUT) -> str:
    """At most `length` characters of a text, cleaned."""
    whole = str(text)
    # Somewhat more: half a secret at its end would not be known for one.
    shown = clean(whole[: length * 2 + 4096])
    short = len(whole) <= length * 2 and len(shown) <= length
    return shown if short else shown[: length - 1] + "…"


def pretty(value: Any, length: int = 20_000) -> str:
    """A value as indented JSON, cut and cleaned; text as it is."""
    if isinstance(value, str):
        return cut(value, length)
    return cut(json.dumps(hidden(value), ensure_ascii=False, indent=2, default=str), length)


def when(iso: str | None) -> Markup:
    """A time; a script shows it in the zone of whoever looks."""
    if iso is None:
        return Markup("-")
    shown = iso[:19].replace("T", " ")
    return Markup('<time datetime="{}">{} UTC</time>').format(iso, shown)


def coded(text: str) -> Markup:
    """Text in which commands stand between backticks, as people's errors and hints have them."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:  # one of them stands for itself
        return Markup("`").join(parts)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def size(count: float | None) -> str:
    """A number of bytes."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def number(value: float | None) -> str:
    """A number with separators."""
    return "-" if value is None else f"{value:,.10g}"


def url(path: str, *names: object, **query: object) -> str:
    """`path` with every ``{}`` filled by a name, whatever that holds; :func:`param` reads it.

    Names are quoted twice, since a server or a browser undoes one of them before it looks
    for slashes and dots. Query values that are None or "" are left out.
    """
    for name in names:
        once = quote(str(name), safe="", errors="replace")
        once = once.replace(".", "%2E") if not once.strip(".") else once
        path = path.replace("{}", quote(once, safe=""), 1)
    given = [
        f"{key}={quote(str(value), safe='', errors='replace')}"
        for key, value in query.items()
        if value not in (None, "")
    ]
    return path + ("?" + "&".join(given) if given else "")


def param(request: Request, name: str) -> str:
    """A name in the path of a request, as :func:`url` wrote it."""
    return unquote(str(request.path_params[name]))


@lru_cache(1)
def environment() -> Environment:
    """The templates with their filters."""
    made = Environment(
        loader=PackageLoader("nightproof.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clean=clean, cut=cut, pretty=pretty, when=when, duration=duration, size=size, number=number,
        epoch=epoch, coded=coded,
    )  # fmt: skip
    made.globals.update(
        url=url, escape=escape, asset=asset, shares=shares, spark_lines=spark_lines,
    )  # fmt: skip
    return made


def prepare() -> None:
    """Compile the templates, so that whoever looks first does not wait for it."""
    made = environment()
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A template as an answer; it is given the request and the site too."""
    text = (
        environment()
        .get_template(template)
        .render(request=request, site=site_of(request), here=request.url.path, **context)
    )
    # JSON can hold half a character ("\ud800", of a file's name that is no text).
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)
