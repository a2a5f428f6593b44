"""Forms: what a template puts into them, and what a page gets of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.types import Scope

from nightproof.web.security.access import Access

FIELD = "csrf"
HEADER = b"x-csrf-token"
_MOST_FIELDS = 1000
Form = ImmutableMultiDict[str, str]


@pass_context
def csrf(context: Context) -> Markup:
    """The hidden field that every posted form has to carry; a global of templates.

    Macros that use it are imported ``with context``.
    """
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, csrf_token(context))


@pass_context
def csrf_token(context: Context) -> str:
    """What a script gives as the header ``X-CSRF-Token``; a global of templates."""
    request: Request = context["request"]
    access: Access = context["site"].access
    return access.form_token(request.state.session)


def form_of(request: Request) -> Form:
    """The fields of a posted form."""
    form: Form = request.state.form
    return form


def form_id(request: Request) -> str:
    """Which form was posted: the same again when it is sent twice. See :meth:`Access.take`."""
    return str(request.state.form_id)


def parsed(body: bytes) -> Form:
    """The fields of a body. Raises ValueError where there are too many."""
    fields: Any = parse_qsl(
        body.decode("latin-1"),
        keep_blank_values=True,
        errors="replace",
        max_num_fields=_MOST_FIELDS,
    )
    return ImmutableMultiDict(fields)


def is_form(scope: Scope) -> bool:
    """Whether a request's body is that of a form."""
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return bool(kind.split(b";")[0].strip().lower() == b"application/x-www-form-urlencoded")
