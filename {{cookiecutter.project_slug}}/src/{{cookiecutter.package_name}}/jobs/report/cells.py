"""The cells of an executed notebook as HTML, with the code or without, as the reader wants it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from itertools import pairwise
from typing import Any

from ..outcome import INJECTED, SUCCEEDED, Outcome, plain_text
from ..summary import MIME
from .clean import clean
from .words import bare, markdown, size

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")
MOST_TEXT = 60_000  # characters of one text output that a page takes
MOST_HTML = 400_000  # the same of one HTML output
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")


@dataclass(frozen=True)
class Section:
    """A heading of the second level: what the table of contents lists (``title`` is HTML)."""

    id: str
    title: str


@dataclass
class Body:
    """The cells as blocks of HTML; ``error`` is the anchor of the cell that failed."""

    blocks: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    error: str = ""


def read_body(notebook: Mapping[str, Any], outcome: Outcome) -> Body:
    """The cells of ``notebook``; title, summary and parameters stand above them already."""
    return _Reader(notebook, outcome).run()


class _Reader:
    def __init__(self, notebook: Mapping[str, Any], outcome: Outcome) -> None:
        self.cells: list[Mapping[str, Any]] = notebook["cells"]
        self.technical = outcome.job.audience == "technical"
        self.outcome = outcome
        self.body = Body()
        self.heading = ""
        above = [r"Parameters\s*"]
        if outcome.summary.headlines or outcome.status != SUCCEEDED:
            above.append(r"Executive summary\b.*?")
        if not self.technical:
            above.append(r"Imports\b.*?")
        self.above = re.compile(rf"^## ({'|'.join(above)})(?=^## |\Z)", re.MULTILINE | re.DOTALL)

    def run(self) -> Body:
        number, end = 0, self._end()
        for index, cell in enumerate(self.cells):
            tags = cell["metadata"].get("tags", [])
            number += INJECTED not in tags
            if index == end:
                said = "What follows" if self.technical else "The rest of the report"
                self.body.blocks.append(f'<p class="rest">{said} did not run.</p>')
                if not self.technical:
                    break
            if {"parameters", INJECTED} & set(tags):
                continue
            if cell["cell_type"] == "markdown":
                self._text(cell, first=index == 0)
            elif cell["cell_type"] == "code":
                self._code(cell, f"cell-{number}")
        if not self.technical:
            self._drop_bare_headings()
        return self.body

    def _end(self) -> int:
        """The index of the first cell after the last that began; past the end of a success."""
        if self.outcome.status != SUCCEEDED:
            begun = [i for i, cell in enumerate(self.cells) if cell.get("execution_count")]
            last = begun[-1] if begun else -1
            rest = [cell for cell in self.cells[last + 1 :] if cell["cell_type"] == "code"]
            if any("".join(cell["source"]).strip() for cell in rest):
                return last + 1
        return len(self.cells)

    def _text(self, cell: Mapping[str, Any], first: bool) -> None:
        source = "".join(cell["source"])
        found = re.findall(r"^#+\s+(.+?)\s*$", source, re.MULTILINE)
        self.heading = bare(found[-1]) if found else self.heading
        if first:
            source = re.sub(r"\A\s*#\s[^\n]*\n?", "", source)
        source = self.above.sub("", source).strip()
        for name, kinds in cell.get("attachments", {}).items():
            for mime, data in kinds.items():
                source = source.replace(f"attachment:{name}", _address(mime, _joined(data)))
        if source:
            tokens = markdown(html=True).parse(source)
            for opening, text in pairwise(tokens):
                if opening.type == "heading_open" and opening.tag == "h2":
                    section = Section(f"section-{len(self.body.sections) + 1}", bare(text.content))
                    opening.attrSet("id", section.id)
                    self.body.sections.append(section)
            renderer = markdown(html=True)
            self._add(_html(renderer.renderer.render(tokens, renderer.options, {}), "text"))

    def _code(self, cell: Mapping[str, Any], anchor: str) -> None:
        source = "".join(cell["source"])
        if self.technical and source.strip():
            label = anchor.replace("-", " ")
            self._add(
                f'<div class="code" id="{anchor}" data-cell="{label}">{_highlight(source)}</div>'
            )
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                self.body.error = anchor
            self._add(self._output(output))

    def _add(self, block: str) -> None:
        if block:
            self.body.blocks.append(block)

    def _output(self, output: Mapping[str, Any]) -> str:
        kind = output["output_type"]
        if kind == "stream":
            if output["name"] == "stderr" and not self.technical:
                return ""
            return _pre(_joined(output["text"]), str(output["name"]))
        if kind == "error":
            return _pre("\n".join(output["traceback"]), "error") if self.technical else ""
        data = output["data"]
        if MIME in data:  # it stands on top
            return ""
        for mime in IMAGES:
            if mime in data:
                shape = output.get("metadata", {}).get(mime, {})
                wide = shape.get("width") if isinstance(shape, Mapping) else None
                limit = f' style="width: {wide}px"' if isinstance(wide, int) else ""
                address = _address(mime, _joined(data[mime]))
                alt = f"Figure: {self.heading}"
                return f'<figure><img alt="{alt}" src="{address}"{limit}></figure>'
        if "text/html" in data:
            return _html(_joined(data["text/html"]), "output html")
        if "text/markdown" in data:
            return _html(markdown().render(_joined(data["text/markdown"])), "text")
        return _pre(_joined(data.get("text/plain", "")), "")

    def _drop_bare_headings(self) -> None:
        """A heading whose section held nothing but code says nothing without it."""
        bare_heading = re.compile(
            r'\s*<div class="text">\s*<h([1-6])[^>]*>[^\n]*</h\1>\s*</div>\s*'
        )
        kept: list[str] = []
        below = 0  # the level of the next heading that was kept; 0: something else follows
        for block in reversed([*self.body.blocks, '<div class="text"><h1></h1></div>']):
            alone = bare_heading.fullmatch(block)
            if alone and below and int(alone[1]) >= below:
                continue
            opening = re.match(r'<div class="text">\s*<h([1-6])', block)
            below = int(opening[1]) if opening else 0
            kept.append(block)
        self.body.blocks = kept[:0:-1]


def _pre(text: str, kind: str) -> str:
    """Text as a terminal would leave it; the middle of a very long one is left out."""
    text = plain_text(text)
    if "\r" in text:  # a progress bar: what it showed in the end
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    if not text.strip():
        return ""
    if len(text) > MOST_TEXT:
        half = MOST_TEXT // 2
        cut = f"\n… {size(len(text) - 2 * half)} of text left out; the notebook holds it all …\n"
        text = text[:half] + cut + text[-half:]
    return f'<pre class="{f"output {kind}".strip()}">{escape(text)}</pre>'


def _html(source: str, kind: str) -> str:
    cleaned = clean(source, MOST_HTML)
    paper = " paper" if cleaned.coloured else ""
    notes = ""
    if cleaned.left_out:
        notes += f"<p>Left out, as a report runs and fetches nothing: {cleaned.note}.</p>"
    if cleaned.cut:
        notes += "<p>The rest is left out, as it is very long; the notebook holds it all.</p>"
    note = f'<div class="left-out">{notes}</div>' if notes else ""
    block = f'<div class="{kind}{paper}">{cleaned.html}</div>' if cleaned.html.strip() else ""
    return block + note


def _address(mime: str, data: str) -> str:
    """A picture as a ``data:`` address, which holds it whole."""
    if mime.endswith("xml"):
        import base64

        data = base64.b64encode(data.encode()).decode()
    elif NOT_BASE64.search(data):
        data = NOT_BASE64.sub("", data)
    return f"data:{escape(mime)};base64,{data}"


def _joined(text: Any) -> str:
    """The text of an output, which a notebook may hold as a list of lines."""
    return "".join(text) if isinstance(text, list) else str(text)


def get_ready() -> None:
    """Import and make what renders code and text."""
    _highlight("")
    markdown()


def _highlight(source: str) -> str:
    from pygments import highlight

    lexer, formatter = _highlighter()
    return str(highlight(source, lexer, formatter))


@cache
def _highlighter() -> tuple[Any, Any]:
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return PythonLexer(), HtmlFormatter(cssclass="source")
