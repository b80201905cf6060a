"""HTML reports: a page for each job and an index for the run.

Each page is one file: styles and figures inside, no scripts, nothing fetched from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..runs import Run, read_manifest, write_atomic
from .outcome import FAILED, INJECTED, SKIPPED, SUCCEEDED, TIMED_OUT, Outcome, plain_text
from .summary import MIME

ASSETS = Path(__file__).with_name("assets")
BADGES = {SUCCEEDED: "✓", FAILED: "✕", TIMED_OUT: "✕", SKIPPED: "–"}
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")


def write_page(run: Run, outcome: Outcome, notebook: Mapping[str, Any] | None) -> None:
    """Write ``<job>.html``; ``notebook`` is the executed one, None when there is none."""
    name = outcome.job.name
    heading = outcome.title or name
    write_atomic(
        run.path / f"{name}.html",
        _page(
            "page.html",
            title=_plain(heading),
            heading=_inline(heading),
            badge=_badge(outcome.status),
            facts=_facts(outcome),
            failure=_failure(outcome),
            summary=_summary(outcome),
            parameters=_parameters(outcome),
            body="\n".join(_cells(notebook, outcome)) if notebook else "",
            run=escape(run.id),
        ),
    )


def write_index(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Write ``index.html``: every job with its status and what it found."""
    good = sum(outcome.status == SUCCEEDED for outcome in outcomes)
    write_atomic(
        run.path / "index.html",
        _page(
            "index.html",
            title=f"{good} of {len(outcomes)} jobs succeeded",
            jobs="\n".join(_card(outcome) for outcome in outcomes),
            facts=_run_facts(run),
        ),
    )


def _page(name: str, **parts: str) -> str:
    template = Template((ASSETS / name).read_text(encoding="utf-8"))
    return template.substitute(parts, css=(ASSETS / "report.css").read_text(encoding="utf-8"))


def _card(outcome: Outcome) -> str:
    name = escape(outcome.job.name)
    findings = _summary_list(outcome) or f'<p class="quiet">{escape(outcome.cause)}</p>'
    return (
        f'<article class="job {outcome.status}"><h2><a href="{name}.html">'
        f"{_inline(outcome.title or outcome.job.name)}</a>{_badge(outcome.status)}</h2>"
        f'<p class="facts"><span>{name}</span>{_seconds(outcome)}</p>{findings}</article>'
    )


def _badge(status: str) -> str:
    label = f"{BADGES.get(status, '!')} {status.replace('_', ' ').capitalize()}"
    return f'<span class="badge {status}">{label}</span>'


def _seconds(outcome: Outcome) -> str:
    if not outcome.seconds:
        return ""
    minutes, seconds = divmod(outcome.seconds, 60)
    return f"<span>{f'{minutes:.0f} min ' if minutes else ''}{seconds:.1f} s</span>"


def _facts(outcome: Outcome) -> str:
    job = outcome.job
    needs = f"<span>after {escape(', '.join(job.needs))}</span>" if job.needs else ""
    return f"<span>{escape(job.name)}</span>{_seconds(outcome)}{needs}"


def _run_facts(run: Run) -> str:
    head = read_manifest(run.path)
    git = head["git"]
    commit = (git["commit"] or "not committed")[:10] + (" with changes" if git["dirty"] else "")
    rows = {
        "Run": run.id,
        "Started": head["started"][:19].replace("T", " ") + " UTC",
        "Command": " ".join(head["command"]),
        "Commit": commit,
        "Python": head["environment"]["python"],
    }
    return "".join(f"<dt>{name}</dt><dd>{escape(str(text))}</dd>" for name, text in rows.items())


def _failure(outcome: Outcome) -> str:
    if outcome.status == SUCCEEDED:
        return ""
    detail = f"<pre>{escape(outcome.detail)}</pre>" if outcome.detail else ""
    return f'<section class="failure"><p>{escape(outcome.cause)}</p>{detail}</section>'


def _summary(outcome: Outcome) -> str:
    lines = _summary_list(outcome)
    return f'<section class="summary"><h2>Executive summary</h2>{lines}</section>' if lines else ""


def _summary_list(outcome: Outcome) -> str:
    lines = "".join(f"<li>{_inline(line)}</li>" for line in outcome.summary.headlines)
    return f"<ul>{lines}</ul>" if lines else ""


def _parameters(outcome: Outcome) -> str:
    declared = outcome.job.declared
    if not declared:
        return ""
    rows = ""
    for name, parameter in declared.items():
        value = escape(repr(outcome.parameters.get(name, parameter.default)))
        origin = "given" if name in outcome.parameters else "default"
        rows += f"<tr><th>{name}</th><td><code>{value}</code></td><td>{origin}</td></tr>"
    table = f"<table>{rows}</table>"
    return f'<details class="parameters"><summary>Parameters</summary>{table}</details>'


def _cells(notebook: Mapping[str, Any], outcome: Outcome) -> Iterator[str]:
    """The cells as HTML; title, summary and parameters stand above already."""
    technical = outcome.job.audience == "technical"
    above = [r"Parameters\s*"]
    if outcome.summary.headlines:
        above.append(r"Executive summary\b.*?")
    if not technical:
        above.append(r"Imports\b.*?")
    sections = re.compile(rf"^## ({'|'.join(above)})(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    heading = ""
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if {"parameters", INJECTED} & set(cell["metadata"].get("tags", [])):
            continue
        if cell["cell_type"] == "markdown":
            found = re.findall(r"^#+\s+(.+?)\s*$", source, re.MULTILINE)
            heading = found[-1] if found else heading
            if number == 0:
                source = re.sub(r"\A\s*#\s[^\n]*\n?", "", source)
            if source := sections.sub("", source).strip():
                yield f'<div class="text">{_markdown(html=True).render(source)}</div>'
        elif cell["cell_type"] == "code":
            if technical and source.strip():
                yield f'<div class="code">{_highlight(source)}</div>'
            for output in cell["outputs"]:
                yield _output(output, _plain(heading), technical)


def _output(output: Mapping[str, Any], heading: str, technical: bool) -> str:
    kind = output["output_type"]
    if kind == "stream":
        if output["name"] == "stderr" and not technical:
            return ""
        text = escape(plain_text("".join(output["text"])))
        return f'<pre class="output {output["name"]}">{text}</pre>'
    if kind == "error":
        text = escape(plain_text("\n".join(output["traceback"])))
        return f'<pre class="output error">{text}</pre>'
    data = {mime: "".join(d) if isinstance(d, list) else d for mime, d in output["data"].items()}
    if MIME in data:  # it stands on top
        return ""
    for mime in IMAGES:
        if mime in data:
            picture = data[mime].replace("\n", "")
            if mime.endswith("xml"):
                import base64

                picture = base64.b64encode(data[mime].encode()).decode()
            alt = escape(f"Figure: {heading}")
            return f'<figure><img alt="{alt}" src="data:{mime};base64,{picture}"></figure>'
    if "text/html" in data:
        return f'<div class="output html">{data["text/html"]}</div>'
    if "text/markdown" in data:
        return f'<div class="text">{_markdown().render(data["text/markdown"])}</div>'
    return f'<pre class="output">{escape(plain_text(data.get("text/plain", "")))}</pre>'


@cache
def _markdown(html: bool = False) -> Any:
    """A renderer; HTML is let through where a person wrote it, not where data may have got in."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": html}).enable(["table", "strikethrough"])


def _inline(text: str) -> str:
    return str(_markdown().renderInline(text))


def _plain(text: str) -> str:
    return escape(re.sub(r"[*`]", "", text))


def _highlight(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(source, PythonLexer(), HtmlFormatter(cssclass="source")))
