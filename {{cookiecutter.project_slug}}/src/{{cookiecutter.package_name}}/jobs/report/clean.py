"""HTML of notebooks made safe to stand in a report: nothing in it runs or is fetched.

The text is read once from left to right and written anew: every tag is ours, every attribute
quoted, every element closed, so an output cannot break out of its place in the page. Where a
browser would read the source differently, it shows more text, never more elements. The policy in
the head of each page forbids the same a second time.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape, unescape

from .tables import Cell, Table

# elements whose content is no markup: it goes with them
RAW = {"script": "script", "iframe": "frame", "noembed": "", "noframes": "", "xmp": ""}
# elements that go, while what stands in them stays
GONE = {
    "object": "embedded object",
    "embed": "embedded object",
    "applet": "embedded object",
    "frame": "frame",
    "frameset": "frame",
    "link": "style sheet",
    "animate": "animation",
    "set": "animation",
    **dict.fromkeys(("base", "meta", "html", "head", "body", "noscript", "plaintext"), ""),
}
VOID = {"area", "br", "col", "hr", "img", "input", "param", "source", "track", "wbr"}
FETCHED = {
    "src", "srcset", "href", "xlink:href", "poster", "background", "data", "manifest",
    "imagesrcset", "lowsrc", "dynsrc", "classid", "codebase", "archive", "profile",
}  # fmt: skip
DROPPED = {"srcdoc", "ping", "action", "formaction", "target", "http-equiv", "autofocus"}
PICTURES = {"img", "image", "picture", "source", "video"}

TAG = re.compile(r"(/?)([a-zA-Z][^\s/>]*+)")
ATTRIBUTE = re.compile(
    r"([\s/]*+)(?:([^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^\s>]*+)))?)?"
)
NAME = re.compile(r"[a-zA-Z_][\w:.-]*")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
LINKED = {"http", "https", "mailto", "tel", "ftp"}
CSS_URL = re.compile(r"url\s*+\(\s*+(\"[^\"]*+\"?|'[^']*+'?|[^)]*+)\s*+\)?", re.IGNORECASE)
CSS_FETCH = re.compile(r"@import|image-set\s*\(|\bsrc\s*\(", re.IGNORECASE)
CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
WIDE = 10  # columns; a wider table is printed across
PANDAS = ".dataframe tbody tr th:only-of-type"  # the style of its own that pandas puts to a table


@dataclass
class Cleaned:
    """Balanced HTML without scripts and addresses; ``left_out`` counts what was taken away.

    ``coloured``: it sets colours of its own and knows nothing of a dark page. ``cut``: the source
    was longer than the report takes.
    """

    html: str
    left_out: Counter[str] = field(default_factory=Counter)
    coloured: bool = False
    cut: bool = False

    @property
    def note(self) -> str:
        """What was left out, in words; empty when nothing was."""
        parts = []
        for name, count in self.left_out.items():
            plural = "es" if name.endswith("s") else "s"
            parts.append(f"{count} {name}{plural if count > 1 else ''}")
        return ", ".join(parts)


def clean(html: str, most: int = 1_000_000) -> Cleaned:
    """``html`` without what runs or fetches; cut where it has given ``most`` characters."""
    return _Cleaner(html, most).run()


class _Cleaner:
    def __init__(self, text: str, most: int) -> None:
        self.text = text
        self.most = most
        self.size = 0
        self.parts: list[str] = []
        self.stack: list[str] = []
        self.open: Counter[str] = Counter()
        self.tables: list[Table] = []
        self.left_out: Counter[str] = Counter()
        self.styles: list[str] = []
        self.cut = False

    def run(self) -> Cleaned:
        text, position = self.text, 0
        while self.size < self.most:
            found = text.find("<", position)
            self._data(text[position : found if found >= 0 else len(text)])
            if found < 0:
                position = len(text)
                break
            position = self._markup(found)
        for name in reversed(self.stack):
            self.parts.append(f"</{name}>")
        for table in self.tables:
            self._align(table)
        css = " ".join(self.styles)
        coloured = bool(re.search(r"color|background", css)) and "prefers-color-scheme" not in css
        self.cut |= position < len(text)
        return Cleaned("".join(self.parts), self.left_out, coloured, self.cut)

    def _emit(self, text: str) -> None:
        self.parts.append(text)
        self.size += len(text)

    def _data(self, text: str) -> None:
        if text:
            self.cut |= len(text) > self.most
            self._emit(text[: self.most])
            if self.tables:
                self.tables[-1].say(text)

    def _markup(self, start: int) -> int:
        """Read what begins with the ``<`` at ``start``; returns where to go on.

        Whatever does not end before the text does swallows the rest, as in a browser; so no
        part of the text is ever read twice.
        """
        text = self.text
        tag = TAG.match(text, start + 1)
        if tag is None:
            if text.startswith("<!--", start):
                return self._after("-->", start + 4)
            if text[start + 1 : start + 2] in ("!", "?", "/"):
                return self._after(">", start + 2)
            self._data("&lt;")
            return start + 1
        name, position = tag[2].lower(), tag.end()
        attributes: dict[str, str | None] = {}
        closed = False
        while text[position : position + 1] != ">":
            match = ATTRIBUTE.match(text, position)
            assert match is not None  # it matches nothing, too
            position = match.end()
            if match[2] is None:
                closed = "/" in match[1]
                break
            quoted = next((v for v in match.group(3, 4, 5) if v is not None), None)
            attributes.setdefault(match[2].lower(), quoted)
        if position >= len(text):
            return len(text)
        position += 1
        if tag[1]:
            self._end(name)
        elif name in RAW or name == "style":
            position = self._raw(name, position)
        elif name in GONE:
            self._leave_out(GONE[name])
        elif NAME.fullmatch(name):
            self._start(name, attributes, closed)
        return position

    def _after(self, mark: str, start: int) -> int:
        found = self.text.find(mark, start)
        return found + len(mark) if found >= 0 else len(self.text)

    def _raw(self, name: str, start: int) -> int:
        found = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(self.text, start)
        end = found.start() if found else len(self.text)
        if name != "style":
            self._leave_out(RAW[name])
        elif PANDAS not in (css := self.text[start:end]):
            # it dresses the output it came with, not the report
            self.styles.append(css)
            self._emit("<style>@scope {\n" + self._css(css).replace("<", "\\3c ") + "\n}</style>")
        return self._after(">", end)

    def _start(self, name: str, attributes: dict[str, str | None], closed: bool) -> None:
        kept = self._attributes(name, attributes)
        if name == "img" and "src" not in kept:
            self._emit(f'<span class="no-picture">{escape(kept.get("alt") or "picture")}</span>')
            return
        if name in ("table", "tr", "td", "th"):
            self._table(name, kept)
        self._emit(_tag(name, kept))
        if name in VOID:
            return
        if closed and (self.open["svg"] or self.open["math"] or name in ("svg", "math")):
            self._emit(f"</{name}>")
            return
        self.stack.append(name)
        self.open[name] += 1

    def _end(self, name: str) -> None:
        if not self.open[name]:
            return
        while True:
            last = self.stack.pop()
            self.open[last] -= 1
            self._emit(f"</{last}>")
            if last == "table":
                self._align(self.tables.pop())
            if last == name:
                return

    def _leave_out(self, what: str) -> None:
        if what:
            self.left_out[what] += 1

    def _attributes(self, element: str, found: dict[str, str | None]) -> dict[str, str | None]:
        kept: dict[str, str | None] = {}
        for name, raw in found.items():
            if name in DROPPED or not NAME.fullmatch(name):
                continue
            if name.startswith("on"):
                self._leave_out("script")
                continue
            text = unescape(raw) if raw is not None and "&" in raw else raw
            if text is not None:
                plain = re.sub(r"[\x00-\x20]", "", text).lower()
                if name in FETCHED and not self._may_point(element, name, plain):
                    continue
                if name == "style":
                    self.styles.append(text)
                if name == "style" or "url(" in plain or "\\" in plain:
                    text = self._css(text)
            kept[name] = text
        return kept

    def _may_point(self, element: str, name: str, plain: str) -> bool:
        if element in ("a", "area") and name in ("href", "xlink:href"):
            scheme = SCHEME.match(plain)
            return scheme is None or scheme[1] in LINKED
        if plain.startswith(("data:", "#")) or not plain:
            return True
        self._leave_out("remote picture" if element in PICTURES else "remote address")
        return False

    def _css(self, css: str) -> str:
        """``css`` without addresses; nothing of it when it hides one behind escapes."""
        plain = CSS_ESCAPE.sub(_unescaped, css)
        if CSS_FETCH.search(plain) or len(CSS_URL.findall(plain)) > len(CSS_URL.findall(css)):
            self._leave_out("remote address")
            return ""
        return CSS_URL.sub(self._css_url, css)

    def _css_url(self, match: re.Match[str]) -> str:
        target = match[1].strip("\"' \t\r\n\f").lower()
        if target.startswith(("data:", "#")):
            return match[0]
        self._leave_out("remote address")
        return "none"

    def _table(self, name: str, attributes: dict[str, str | None]) -> None:
        place = len(self.parts)
        if name == "table":
            self.tables.append(Table(place, attributes))
        elif self.tables:
            if name == "tr":
                self.tables[-1].row()
            else:
                self.tables[-1].cell(Cell(place, name, attributes))

    def _align(self, table: Table) -> None:
        for cell, kind in table.kinds():
            self.parts[cell.place] = _tag(cell.name, _with_class(cell.attributes, kind))
        if table.width > WIDE:
            kind = "wide wider" if table.width > 2 * WIDE else "wide"
            self.parts[table.place] = _tag("table", _with_class(table.attributes, kind))


def _tag(name: str, attributes: dict[str, str | None]) -> str:
    if not attributes:
        return f"<{name}>"
    pairs = (k if v is None else f'{k}="{escape(v)}"' for k, v in attributes.items())
    return f"<{name} {' '.join(pairs)}>"


def _with_class(attributes: dict[str, str | None], name: str) -> dict[str, str | None]:
    return {**attributes, "class": f"{attributes.get('class') or ''} {name}".strip()}


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2]
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0x110000 else "\ufffd"
