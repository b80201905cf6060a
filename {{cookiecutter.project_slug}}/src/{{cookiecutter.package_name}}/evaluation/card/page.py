"""The Markdown of a card as one HTML page that needs no other file and fetches nothing."""

from __future__ import annotations

import base64
import re
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from .markdown import visible

_ASSETS = Path(__file__).parent / "assets"
_STYLES = (Path(__file__).parents[2] / "assets" / "page.css", _ASSETS / "card.css")


def to_html(markdown: str, title: str, folder: Path) -> str:
    """The page; pictures are taken from ``folder`` into it.

    HTML in the Markdown is shown as text, as data may have got in.
    """
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    contents = _anchors(tokens)
    _wrap_tables(tokens, renderer)
    _embed(tokens, folder)
    parts = {
        "title": escape(visible(" ".join(title.split()))),
        "css": "\n".join(style.read_text(encoding="utf-8") for style in _STYLES),
        "contents": contents,
        "body": renderer.renderer.render(tokens, renderer.options, {}),
    }
    return Template((_ASSETS / "card.html").read_text(encoding="utf-8")).substitute(parts)


def _anchors(tokens: list[Any]) -> str:
    """Give each section a name to jump to; the list of them (HTML)."""
    links = []
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            name = re.sub(r"[^a-z]+", "-", text.content.lower())
            opening.attrSet("id", name)
            links.append(f'<li><a href="#{name}">{escape(text.content)}</a></li>')
    return "".join(links)


def _wrap_tables(tokens: list[Any], renderer: Any) -> None:
    """A table too wide for the screen is pushed aside in its own frame; classes for its numbers."""
    for token in tokens:
        # The alignment as a class, not as a style: the page's own rules are the only ones.
        if token.type in ("th_open", "td_open") and token.attrs.pop("style", ""):
            token.attrSet("class", "number")
    renderer.add_render_rule("table_open", lambda *_: '<div class="html"><table>\n')
    renderer.add_render_rule("table_close", lambda *_: "</table></div>\n")


def _embed(tokens: list[Any], folder: Path) -> None:
    """Put the pictures into the page: those of a paragraph stand beside each other."""
    for opening, inline, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        pictures = [each for each in inline.children or () if each.type == "image"]
        if opening.type == "paragraph_open" and pictures:
            opening.tag = closing.tag = "figure"
            for picture in pictures:
                data = base64.b64encode((folder / str(picture.attrGet("src"))).read_bytes())
                picture.attrSet("src", f"data:image/png;base64,{data.decode()}")
