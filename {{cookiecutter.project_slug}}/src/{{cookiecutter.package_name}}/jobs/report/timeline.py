"""The picture of a run: when each job ran, and what waited for what.

Bars are plain boxes placed in per cent of the run's time, so they fit a phone as well as a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from ..outcome import SKIPPED, Outcome
from .words import duration, word

MOST_ROWS = 24  # jobs that have a row each; more share rows, as many as ran at once
MOST_BOXES = 16  # jobs of a graph that can be taken in
BOX, GAP, ROW, HIGH = 176, 48, 46, 32  # pixels: a box, the room between columns, a row, a box


def timeline(outcomes: Sequence[Outcome]) -> str:
    """When each job ran (HTML); empty when none did."""
    ran = [outcome for outcome in outcomes if _ran(outcome)]
    if not ran:
        return ""
    total = max(1e-3, *(outcome.begun + outcome.seconds for outcome in ran))
    if len(outcomes) <= MOST_ROWS:
        rows = "".join(_row(outcome, total) for outcome in outcomes)
        return f'<div class="timeline" {_step(total)}>{rows}{_axis(total)}</div>'
    rows = "".join(f'<div class="lane track">{lane}</div>' for lane in _lanes(ran, total))
    return f'<div class="timeline lanes" {_step(total)}>{rows}{_axis(total)}</div>'


def graph(outcomes: Sequence[Outcome]) -> str:
    """Which job needs which (SVG); empty when none does, or when there are too many."""
    needs = {o.job.name: [n for n in o.job.needs if n != o.job.name] for o in outcomes}
    needs = {name: [n for n in found if n in needs] for name, found in needs.items()}
    if not any(needs.values()) or len(needs) > MOST_BOXES:
        return ""
    places = _places(needs)
    parts = [_arrow(places[need], places[name]) for name in needs for need in _direct(name, needs)]
    parts += [_box(outcome, *places[outcome.job.name]) for outcome in outcomes]
    width = max(x for x, _ in places.values()) + BOX + 2
    height = max(y for _, y in places.values()) + HIGH + 2
    return (
        f'<div class="graph"><svg width="{width}" height="{height}" '
        f'viewBox="-1 -1 {width} {height}" role="img" aria-label="Which job needs which">'
        f"{''.join(parts)}</svg></div>"
    )


def _ran(outcome: Outcome) -> bool:
    return outcome.status != SKIPPED and not outcome.reused and outcome.seconds > 0


def _row(outcome: Outcome, total: float) -> str:
    name = escape(outcome.job.name)
    if _ran(outcome):
        took = duration(outcome.seconds)
        track = f'<span class="bar {outcome.status}" style="{_place(outcome, total)}"></span>'
    else:
        took = ""
        said = "did not run" if outcome.status == SKIPPED else word(outcome.status)
        said = "reused" if outcome.reused else said
        track = f'<span class="no-bar">{said}</span>'
    return (
        f'<a class="label" href="{name}.html">{name}</a>'
        f'<span class="track">{track}</span><span class="took">{took}</span>'
    )


def _lanes(ran: Sequence[Outcome], total: float) -> list[str]:
    """Bars in as few rows as do not overlap; a bar has a label where there is room."""
    ends: list[float] = []
    lanes: list[list[str]] = []
    for outcome in sorted(ran, key=lambda outcome: outcome.begun):
        slack = total * 1e-3  # an end and the next start come from two readings of a clock
        free = (i for i, end in enumerate(ends) if end <= outcome.begun + slack)
        lane = next(free, len(lanes))
        if lane == len(lanes):
            lanes.append([])
            ends.append(0.0)
        ends[lane] = outcome.begun + outcome.seconds
        name = escape(outcome.job.name)
        room = 120 * outcome.seconds / total  # characters on a screen of usual width
        label = name if len(name) < room else ""
        lanes[lane].append(
            f'<a class="bar {outcome.status}" style="{_place(outcome, total)}" href="{name}.html" '
            f'title="{name}: {word(outcome.status)}, {duration(outcome.seconds)}">{label}</a>'
        )
    return ["".join(lane) for lane in lanes]


def _place(outcome: Outcome, total: float) -> str:
    return f"left:{100 * outcome.begun / total:.3f}%;width:{100 * outcome.seconds / total:.3f}%"


def _tick(total: float) -> float:
    """A round number of seconds of which three to six fit into ``total``."""
    rough = total / 4
    for unit in (3600.0, 60.0):
        if rough >= unit:
            return next((unit * n for n in (1, 2, 5, 10, 15, 30, 60) if unit * n >= rough), rough)
    power = 10.0 ** math.floor(math.log10(rough))
    return min((n * power for n in (1, 2, 5, 10)), key=lambda step: abs(step - rough))


def _step(total: float) -> str:
    return f'style="--step: {100 * _tick(total) / total:.3f}%"'


def _axis(total: float) -> str:
    tick = _tick(total)
    marks = ""
    for number in range(int(total / tick) + 1):
        seconds = number * tick
        text = "0" if not number else duration(seconds) if seconds >= 60 else f"{seconds:g} s"
        if seconds <= 0.95 * total:
            marks += f'<span style="left:{100 * seconds / total:.3f}%">{text}</span>'
    return f'<span class="axis">{marks}</span>'


def _places(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Left upper corners: a column for each depth, in it the order of what a job needs."""
    depth: dict[str, int] = {}
    for name in needs:  # the plan names each job after what it needs
        depth[name] = 1 + max((depth.get(need, 0) for need in needs[name]), default=-1)
    rows: dict[str, float] = {}
    places: dict[str, tuple[int, int]] = {}
    for level in range(max(depth.values()) + 1):
        column = [name for name in needs if depth[name] == level]
        wanted = {
            name: sum(rows.get(n, 0.0) for n in needs[name]) / max(1, len(needs[name]))
            for name in column
        }
        row = -1.0
        for name in sorted(column, key=lambda name: wanted[name]):
            row = max(row + 1, wanted[name] if level else row + 1)
            rows[name] = row
            places[name] = (level * (BOX + GAP), round(row * ROW))
    return places


def _direct(name: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """What ``name`` needs, less what another of its needs waits for anyway."""

    def all_of(start: str, seen: set[str]) -> set[str]:
        for need in needs[start]:
            if need not in seen:
                seen.add(need)
                all_of(need, seen)
        return seen

    implied = set().union(*(all_of(need, set()) for need in needs[name]))
    return [need for need in needs[name] if need not in implied]


def _arrow(source: tuple[int, int], target: tuple[int, int]) -> str:
    x, y = source[0] + BOX, source[1] + HIGH / 2
    to_x, to_y = target[0] - 5, target[1] + HIGH / 2
    middle = GAP / 2
    return (
        f'<path class="arrow" d="M{x} {y:g}C{x + middle} {y:g} {to_x - middle} {to_y:g} {to_x} '
        f'{to_y:g}"/><path class="head" d="M{to_x + 5} {to_y:g}l-7 -4v8z"/>'
    )


def _box(outcome: Outcome, x: int, y: int) -> str:
    name = outcome.job.name
    short = name if len(name) <= 18 else f"{name[:17]}…"
    kind = f"{outcome.status} reused" if outcome.reused else outcome.status
    return (
        f'<a href="{escape(name)}.html"><g class="box {kind}"><title>{escape(name)}: '
        f"{word(outcome.status)}</title>"
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HIGH}" rx="8"/>'
        f'<circle cx="{x + 15}" cy="{y + HIGH // 2}" r="4.5"/>'
        f'<text x="{x + 28}" y="{y + HIGH // 2 + 4}">{escape(short)}</text></g></a>'
    )
