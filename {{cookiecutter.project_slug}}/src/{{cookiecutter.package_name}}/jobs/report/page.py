"""The page of one job: what it found, what it cost, and the notebook as its reader wants it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from ...runs import Run
from ..outcome import SKIPPED, SUCCEEDED, Outcome
from .cells import Body, read_body
from .words import (
    badge,
    bare,
    effort,
    facts,
    files,
    headlines,
    inline,
    origin,
    sentence,
    started,
    took,
    value,
    word,
    write,
)

LONG = 5  # headings from which on a table of contents helps


def write_page(run: Run, outcome: Outcome, notebook: Mapping[str, Any] | None) -> None:
    """Write ``<job>.html``; ``notebook`` is the executed one, None when there is none."""
    job = outcome.job
    technical = job.audience == "technical"
    heading = outcome.title or job.name
    body = read_body(notebook, outcome) if notebook else Body()
    aside = [escape(job.name), took(outcome)]
    if technical:
        after = f"after {escape(', '.join(job.needs))}" if job.needs else ""
        aside += [*effort(outcome), after]
    write(
        run.path / f"{job.name}.html",
        "page.html",
        body.blocks,
        title=bare(heading),
        heading=inline(heading),
        badge=badge(outcome.status),
        audience=escape(job.audience),
        facts=facts(*aside),
        origin=_origin(outcome),
        failure=_failure(outcome, body, technical),
        summary=_summary(outcome),
        files=_files(run, outcome, notebook is not None and technical),
        parameters=_parameters(outcome, technical),
        contents=_contents(body) if technical else "",
        run=f"{escape(run.id)}, {started(run)}",
    )


def _origin(outcome: Outcome) -> str:
    said = origin(outcome)
    return f'<p class="facts"><span>{_capital(said)}</span></p>' if said else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _failure(outcome: Outcome, body: Body, technical: bool) -> str:
    if outcome.status == SUCCEEDED:
        return ""
    kind = "quiet-failure" if outcome.status == SKIPPED else "failure"
    lines = [f'<p class="cause">{sentence(outcome.cause or word(outcome.status))}</p>']
    if outcome.status == SKIPPED:
        lines.append("<p>This job did not run, so there is nothing to read here.</p>")
    elif not technical:
        lines.append("<p>This report is not complete: do not rely on what it shows.</p>")
    if technical and outcome.frame:
        lines.append(f'<p class="frame">at <code>{escape(outcome.frame)}</code></p>')
    if technical and body.error:
        lines.append(
            f'<p class="jump"><a href="#{body.error}">To the cell and its traceback</a></p>'
        )
    elif technical and outcome.detail:
        lines.append(f"<pre>{escape(outcome.detail)}</pre>")
    return f'<section class="{kind}">{"".join(lines)}</section>'


def _summary(outcome: Outcome) -> str:
    lines = headlines(outcome)
    return f'<section class="summary"><h2>Executive summary</h2>{lines}</section>' if lines else ""


def _files(run: Run, outcome: Outcome, with_notebook: bool) -> str:
    links = files(run, outcome)
    name = outcome.job.name
    if with_notebook and (run.path / f"{name}.ipynb").is_file():
        links += (
            f'<ul class="files"><li><a href="{quote(name)}.ipynb" download>{escape(name)}.ipynb</a>'
            ' <span class="quiet">the executed notebook</span></li></ul>'
        )
    return f'<section class="downloads"><h2>Files</h2>{links}</section>' if links else ""


def _parameters(outcome: Outcome, technical: bool) -> str:
    """Given values in sight, defaults folded; all folded for whom the code does not matter."""
    given, default = "", ""
    kept = 0
    for name, parameter in outcome.job.declared.items():
        chosen = outcome.parameters or outcome.job.parameters  # not resolved when it did not run
        text = escape(value(chosen.get(name, parameter.default)))
        row = f"<tr><th>{escape(name)}</th><td><code>{text}</code></td></tr>"
        if name in chosen:
            given += row
        else:
            default += row
            kept += 1
    parts = f"<table>{given}</table>" if given else ""
    if default:
        folded = f"<summary>{kept} at {'their defaults' if kept > 1 else 'its default'}</summary>"
        table = f"<table>{default}</table>"
        parts += f"<details>{folded}{table}</details>" if technical else table
    if not parts:
        return ""
    if technical:
        return f'<section class="parameters"><h2>Parameters</h2>{parts}</section>'
    return f'<details class="parameters"><summary>Parameters</summary>{parts}</details>'


def _contents(body: Body) -> str:
    if len(body.sections) < LONG:
        return ""
    items = "".join(
        f'<li><a href="#{section.id}">{section.title}</a></li>' for section in body.sections
    )
    return f'<nav class="contents" aria-label="Contents"><p>Contents</p><ol>{items}</ol></nav>'
