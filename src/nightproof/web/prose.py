"""Markdown as HTML that is part of a page: text and structure, and nothing that acts.

HTML in it is shown as text, pictures as their text (nothing is fetched from anywhere), links
lead to http, https and mail addresses only, and no element has a style or a name of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from nightproof.web.rendering import clean

MOST_CHARACTERS = 100_000
"""More takes seconds where somebody means it to."""
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_BELOW = 2
"""A page has its own first headings."""
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="Table in the text">'


def prose(text: str) -> Markup:
    """The HTML of a Markdown text."""
    # Escaped by the renderer, and by _Renderer where it writes by itself. Cleaned twice: what
    # is written as an entity comes out as the character.
    return Markup(clean(_markdown().render(clean(text))))  # noqa: S704


class _Renderer(RendererHTML):
    def image(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        alt = self.renderInlineAsText(tokens[at].children or [], options, env)
        where = str(tokens[at].attrs.get("src", ""))
        return str(escape(f"[picture: {alt or where}]"))

    def link_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        tokens[at].attrs = {
            "href": tokens[at].attrs.get("href", ""),
            "rel": "noopener noreferrer nofollow",
        }
        return self.renderToken(tokens, at, options, env)

    def table_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        return _SCROLL + self.renderToken(tokens, at, options, env)

    def table_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        return self.renderToken(tokens, at, options, env) + "</div>"


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    made.enable(["table", "strikethrough"])
    made.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    made.core.ruler.push("calm", _calm)
    return made


def _calm(state: Any) -> None:
    """Headings go below those of the page; no element has a style, or a class of the author's."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _BELOW)}"
        elif token.type in ("th_open", "td_open"):
            right = str(token.attrs.get("style", "")) == "text-align:right"
            token.attrs = {"class": "num"} if right else {}
        elif token.type == "fence":
            token.info = ""
