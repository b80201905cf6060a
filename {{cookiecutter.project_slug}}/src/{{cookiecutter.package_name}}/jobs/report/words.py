"""What every page says in the same way: statuses, durations, sizes, values, inline Markdown."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from ...runs import Run, atomic_path, read_manifest
from ..outcome import FAILED, INTERRUPTED, KILLED, SKIPPED, SUCCEEDED, TIMED_OUT, Outcome
from ..spec import Reference

ASSETS = Path(__file__).parents[1] / "assets"
STYLES = (Path(__file__).parents[2] / "assets" / "page.css", ASSETS / "report.css")
SIGNS = {SUCCEEDED: "✓", FAILED: "✕", KILLED: "✕", TIMED_OUT: "!", INTERRUPTED: "!", SKIPPED: "–"}
LONGEST_VALUE = 400  # characters of a parameter's value


def write(path: Path, template: str, body: Iterable[str] = (), **parts: str) -> None:
    """Write ``assets/<template>`` with its parts (HTML) to ``path``, whole or not at all.

    ``body`` goes out piece by piece, so that pictures are not copied once more for the whole page.
    """
    css = "\n".join(style.read_text(encoding="utf-8") for style in STYLES)
    before, _, after = (ASSETS / template).read_text(encoding="utf-8").partition("$body")
    with (
        atomic_path(path, synced=False) as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):
        file.write(Template(before).substitute(parts, css=css))
        file.writelines(f"{block}\n" for block in body)
        file.write(Template(after).substitute(parts, css=css))


def badge(status: str) -> str:
    label = f"{SIGNS.get(status, '•')} {word(status).capitalize()}"
    return f'<span class="badge {status}">{label}</span>'


def word(status: str) -> str:
    """``status`` as a person writes it."""
    return status.replace("_", " ")


def duration(seconds: float) -> str:
    """``5.4 s``, ``3 min 12 s``, ``4 min`` or ``2 h 05 min``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"


def size(count: int) -> str:
    """A number of bytes as ``812 B``, ``1.4 kB`` or ``23 MB``."""
    if count < 1000:
        return f"{count} B"
    number, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if number >= 999.5:
            number, unit = number / 1000, larger
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"


def sentence(text: str) -> str:
    """``text`` with a capital where it begins with a word (HTML)."""
    first = text.partition(" ")[0].rstrip(",:")
    return escape(text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text)


def started(run: Run) -> str:
    """When the run began, to the minute."""
    return read_manifest(run.path)["started"][:16].replace("T", " ") + " UTC"


def facts(*pieces: str) -> str:
    """A line of short facts (HTML each); empty ones are left out."""
    return "".join(f"<span>{piece}</span>" for piece in pieces if piece)


def took(outcome: Outcome) -> str:
    """The time of a job that ran; empty otherwise."""
    return duration(outcome.seconds) if outcome.seconds and not outcome.reused else ""


def effort(outcome: Outcome) -> tuple[str, str]:
    """Attempts and memory of a job that ran; empty where there is nothing to say."""
    if outcome.reused:
        return "", ""
    return (
        f"{outcome.attempts} attempts" if outcome.attempts > 1 else "",
        f"{outcome.memory:,} MiB" if outcome.memory else "",
    )


def origin(outcome: Outcome) -> str:
    """Why the job ran, or from which run its result was taken over (HTML)."""
    why = escape(outcome.why)
    if outcome.reused:
        return f"reused from <code>{escape(outcome.reused)}</code>" + (f": {why}" if why else "")
    return f"ran because {why}" if why else ""


def headlines(outcome: Outcome) -> str:
    """The executive summary as a list (HTML); empty when there is none."""
    lines = "".join(f"<li>{inline(line)}</li>" for line in outcome.summary.headlines)
    return f"<ul>{lines}</ul>" if lines else ""


def files(run: Run, outcome: Outcome) -> str:
    """Links to the declared outputs of a job (HTML)."""
    links = []
    for name, digest in outcome.outputs.items():
        path = f"{outcome.job.name}/{name}"
        found = run.path / path
        weight = (
            f' <span class="quiet">{size(found.stat().st_size)}</span>' if found.is_file() else ""
        )
        links.append(
            f'<li><a href="{quote(path)}" download title="SHA-256 {escape(digest)}">'
            f"{escape(name)}</a>{weight}</li>"
        )
    return f'<ul class="files">{"".join(links)}</ul>' if links else ""


def value(given: Any) -> str:
    """A parameter's value as a person reads it (plain text)."""
    if isinstance(given, Reference):
        return f"{given.job}.{given.value}"
    if isinstance(given, str):
        text = given or '""'
    elif given is None or isinstance(given, bool):
        text = str(given).lower()
    elif isinstance(given, (datetime.date, datetime.datetime)):
        text = given.isoformat()
    elif isinstance(given, (list, tuple)):
        text = ", ".join(map(value, given)) or "[]"
    elif isinstance(given, dict):
        text = ", ".join(f"{name}: {value(each)}" for name, each in given.items()) or "{ }"
    else:
        text = str(given)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def inline(text: str) -> str:
    """Inline Markdown as HTML."""
    if not re.search(r"[^\w\s.,:;()%/=?+'-]", text):
        return escape(text)  # nothing to render: spares an unchanged run the import
    return str(markdown().renderInline(text))


def bare(text: str) -> str:
    """Inline Markdown as plain text for an attribute or a title, escaped."""
    return escape(re.sub(r"[*`]", "", text))


@cache
def markdown(html: bool = False) -> Any:
    """A renderer; HTML is let through where a person wrote it, not where data may have got in."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": html}).enable(["table", "strikethrough"])
