"""The index of a run: how it went, when each job ran, what went wrong, what each job found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from ...runs import Run, read_manifest
from ..outcome import FAILED, INTERRUPTED, KILLED, SKIPPED, SUCCEEDED, TIMED_OUT, Outcome
from .timeline import MOST_ROWS, graph, timeline
from .words import (
    badge,
    duration,
    effort,
    facts,
    files,
    headlines,
    inline,
    origin,
    sentence,
    started,
    took,
    word,
    write,
)

WRONG = (FAILED, TIMED_OUT, KILLED, INTERRUPTED)


def write_index(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Write ``index.html``: every job with its status and what it found, failures first."""
    counts = Counter(outcome.status for outcome in outcomes)
    wrong = [outcome for outcome in outcomes if outcome.status in WRONG]
    rest = [outcome for outcome in outcomes if outcome.status not in WRONG]
    title = f"{counts[SUCCEEDED]} of {len(outcomes)} jobs succeeded"
    write(
        run.path / "index.html",
        "index.html",
        title=title,
        status=_status(counts, len(outcomes)),
        facts=_facts(outcomes, counts),
        wrong=_section("What went wrong", [_card(run, o) for o in wrong]) if wrong else "",
        picture=_picture(outcomes),
        jobs=_jobs(run, rest, "The other jobs" if wrong else "Jobs"),
        run=_run_facts(run),
    )


def _status(counts: Counter[str], size: int) -> str:
    """How the run went: as bad as the worst of its jobs."""
    if counts[SUCCEEDED] == size:
        return badge(SUCCEEDED)
    order = (INTERRUPTED, FAILED, TIMED_OUT, KILLED)
    found = next((status for status in order if counts[status]), None)
    if found is None:
        found = INTERRUPTED if counts[SKIPPED] else "running"
    return badge(FAILED if found in WRONG and found != INTERRUPTED else found)


def _facts(outcomes: Sequence[Outcome], counts: Counter[str]) -> str:
    total = max((o.begun + o.seconds for o in outcomes if not o.reused), default=0.0)
    reused = sum(bool(outcome.reused) for outcome in outcomes)
    order = (*WRONG, SKIPPED, *counts)  # the rest are statuses of a run that goes on
    others = [
        f"{counts[s]} {word(s)}" for s in dict.fromkeys(order) if counts[s] and s != SUCCEEDED
    ]
    if reused == len(outcomes):
        return facts("nothing had changed, so no job had to run")
    return facts(
        f"{duration(total)} in all" if total else "",
        *others,
        f"{reused} reused" if reused else "",
    )


def _picture(outcomes: Sequence[Outcome]) -> str:
    parts = [timeline(outcomes), graph(outcomes)]
    if not any(parts):
        return ""
    lanes = ""
    if parts[0] and len(outcomes) > MOST_ROWS:
        lanes = '<p class="quiet">Each bar is a job; jobs below each other ran at once.</p>'
    return f'<section class="picture"><h2>The run</h2>{lanes}{"".join(parts)}</section>'


def _jobs(run: Run, outcomes: Sequence[Outcome], heading: str) -> str:
    if len(outcomes) <= MOST_ROWS:
        return _section(heading, [_card(run, outcome) for outcome in outcomes])
    rows = "".join(_table_row(outcome) for outcome in outcomes)
    head = "".join(f"<th>{name}</th>" for name in ("Job", "Status"))
    head += "".join(f'<th class="number">{name}</th>' for name in ("Took", "Memory"))
    head = f"<tr>{head}<th>What it found</th></tr>"
    table = f'<table class="jobs"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return _section(heading, [f'<div class="html">{table}</div>'])


def _section(heading: str, blocks: Sequence[str]) -> str:
    return f"<section><h2>{heading}</h2>{''.join(blocks)}</section>" if blocks else ""


def _card(run: Run, outcome: Outcome) -> str:
    job = outcome.job
    name = escape(job.name)
    found = headlines(outcome)
    if outcome.status != SUCCEEDED:
        found += f'<p class="cause">{sentence(outcome.cause)}</p>' if outcome.cause else ""
        if job.audience == "technical":
            found += (
                f'<p class="frame">at <code>{escape(outcome.frame)}</code></p>'
                if outcome.frame
                else ""
            )
            if outcome.detail:
                detail = f"<pre>{escape(outcome.detail)}</pre>"
                found += (
                    f"<details><summary>The end of the traceback or log</summary>{detail}</details>"
                )
    known = name if outcome.title else ""
    return (
        f'<article class="job {outcome.status}" id="{name}"><h3><a href="{name}.html">'
        f"{inline(outcome.title or job.name)}</a>{badge(outcome.status)}</h3>"
        f'<p class="facts">{facts(known, took(outcome), *effort(outcome), origin(outcome))}</p>'
        f"{found}{files(run, outcome)}</article>"
    )


def _table_row(outcome: Outcome) -> str:
    name = escape(outcome.job.name)
    lines = outcome.summary.headlines
    found = inline(lines[0]) if lines else sentence(outcome.cause)
    memory = effort(outcome)[1]
    return (
        f'<tr id="{name}"><td><a href="{name}.html">{name}</a></td><td>{badge(outcome.status)}</td>'
        f'<td class="number">{"reused" if outcome.reused else took(outcome)}</td>'
        f'<td class="number">{memory}</td><td>{found}</td></tr>'
    )


def _run_facts(run: Run) -> str:
    head = read_manifest(run.path)
    git = head["git"]
    commit = (git["commit"] or "not committed")[:10] + (" with changes" if git["dirty"] else "")
    rows = {
        "Run": run.id,
        "Started": started(run),
        "Command": " ".join(head["command"]),
        "Commit": commit,
        "Python": head["environment"]["python"],
    }
    return "".join(f"<dt>{name}</dt><dd>{escape(str(text))}</dd>" for name, text in rows.items())
