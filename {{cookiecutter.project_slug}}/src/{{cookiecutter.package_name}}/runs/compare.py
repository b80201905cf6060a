"""``runs compare [RUN…]``: the metrics of several runs with their intervals, as table and picture.

Runs are named by what differs between their configurations, not by their ids.
"""

from __future__ import annotations

import argparse
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest
from . import facts as shown
from .files import runs_folder, write_atomic
from .manifest import read_manifest
from .run import find_run, list_runs

LAST = 10
_INK, _GRID, _OWN, _BASE = "#1f2933", "#e4e7eb", "#2563eb", "#f59e0b"
_COLUMNS, _MANY = 3, 12  # panels beside each other in the picture; all, from so many runs on
# The key that decides which others a section of the configuration has.
_DECIDERS = {"model": "model.name", "data": "data.kind"}
# Keys that say how or where something ran, and move no result.
_NO_MATTER = ("overrides", "jobs.", "training.threads", "data.shard_users", "evaluation.run")


@dataclass
class Score:
    """One metric of a run's own model, its interval, and what the baselines beside it got."""

    value: float
    interval: tuple[float, float] | None
    baselines: dict[str, float] = field(default_factory=dict)


@dataclass
class Row:
    """A run as it is compared."""

    manifest: Mapping[str, Any]
    label: str = ""
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.manifest["id"])


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="ids or folders; a jobs run stands for its runs"
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="this metric alone; test.NAME is that on the test rows"
    )
    parser.add_argument(
        "--last", type=int, default=LAST, metavar="N", help=f"without RUN: this many ({LAST})"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the picture (runs/compare.png)")


def main(args: argparse.Namespace) -> int:
    """Print the table and write the picture.

    Raises:
        UserError: no run has a metric, or none has the one that was asked for.
    """
    rows = compared(_chosen(args.runs, args.last), args.metric)
    _print(rows)
    path = args.out or runs_folder() / "compare.png"
    if path.suffix.lower() != ".png":
        raise UserError(f"--out {path}: the picture is a .png file.")
    write_atomic(path, draw(rows))
    print(f"picture: {path}")
    return 0


def compared(manifests: Sequence[Mapping[str, Any]], metric: str | None = None) -> list[Row]:
    """The runs in the order given, with labels and the scores to show.

    Scores are those on validation rows, which are for choosing; on test rows when ``metric`` begins
    with ``test.``, or when all the runs are evaluations.

    Raises:
        UserError: no run has such a metric.
    """
    known = {part for each in manifests for part in _parts(each)}
    part = "test" if all(each["kind"] == "evaluate" for each in manifests) else "valid"
    first, _, rest = (metric or "").partition(".")
    if rest and first in known:
        part, metric = first, rest
    rows = [Row(each, label) for each, label in zip(manifests, labels(manifests), strict=True)]
    for row in rows:
        row.scores = _scores(row.manifest, part)
    there = list(dict.fromkeys(name for row in rows for name in row.scores))
    if metric is not None:
        if metric not in there:
            raise UserError(
                f"--metric {metric}: no run has it on {part} rows. "
                f"They have: {', '.join(there) or 'none'}.{nearest(metric, there)}"
            )
        for row in rows:
            row.scores = {name: each for name, each in row.scores.items() if name == metric}
    rows = [row for row in rows if row.scores]
    if not rows:
        raise UserError(f"no run to compare has metrics on {part} rows.")
    for row in rows:
        row.scores = {f"{part}.{name}": row.scores[name] for name in there if name in row.scores}
    return rows


def _chosen(names: Sequence[str], last: int) -> list[Mapping[str, Any]]:
    if last < 1:
        raise UserError(f"--last {last}: must be 1 or more.")
    everything = _all()
    if not names:
        done = [each for each in everything if each["kind"] == "train" and _useful(each)]
        if not done:
            raise UserError(f"{runs_folder()} has no training run that succeeded.")
        return done[-last:]
    found: list[Mapping[str, Any]] = []
    for name in names:
        manifest = read_manifest(find_run(name))
        if manifest["kind"] == "jobs":
            below = [each for each in everything if each.get("parent") == manifest["id"]]
            below = [each for each in below if _useful(each)]
            if not below:
                raise UserError(f"jobs run {manifest['id']} has made no runs with metrics.")
            found += below
        else:
            found.append(manifest)
    return list({each["id"]: each for each in found}.values())


def _all() -> list[Mapping[str, Any]]:
    """The manifests of all runs that can be read, the oldest first."""
    found: list[Mapping[str, Any]] = []
    for folder in reversed(list_runs()):
        try:
            found.append(read_manifest(folder))
        except UserError:  # torn or edited: `list` tells of it
            continue
    return found


def _useful(manifest: Mapping[str, Any]) -> bool:
    return manifest["status"] == "succeeded" and bool(manifest["metrics"])


def _parts(manifest: Mapping[str, Any]) -> set[str]:
    return {name.split(".")[0] for name in manifest["metrics"]}


def _scores(manifest: Mapping[str, Any], part: str) -> dict[str, Score]:
    """From names such as ``valid.boosting.roc_auc``."""
    own = str(manifest["config"].get("model", {}).get("name"))
    found: dict[str, Score] = {}
    others: list[tuple[str, str, float]] = []
    for name, value in manifest["metrics"].items():
        of, _, rest = name.partition(".")
        model, _, metric = rest.partition(".")
        if of != part or not metric or value is None:  # None: undefined for these rows
            continue
        if model == own:
            interval = manifest.get("intervals", {}).get(name)
            known = interval is not None and None not in interval
            found[metric] = Score(value, (interval[0], interval[1]) if known else None)
        else:
            others.append((metric, model, value))
    for metric, model, value in others:
        if metric in found:
            found[metric].baselines[model] = value
    return found


# --- names ------------------------------------------------------------------------------------


def labels(manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each run: what its configuration has of its own, such as ``model=linear seed=7``.

    Where configurations are equal, code, inputs and packages that differ are named; runs that are
    equal in all that are told apart by the end of their id.
    """
    # The space of a search is none of a run's own settings, and goes with the model.
    own = [{k: v for k, v in each["config"].items() if k != "tuning"} for each in manifests]
    configs = [shown.flat(each) for each in own]
    facts = _settings(configs)
    for name, read in (("code", _code), ("lock", _lock), ("inputs", _inputs)):
        values = [read(each) for each in manifests]
        if len(set(values)) > 1 and _repeated(facts):
            for fact, value in zip(facts, values, strict=True):
                fact[name] = value
    short = _short_names({name for fact in facts for name in fact})
    words = [" ".join(f"{short[name]}={value}" for name, value in fact.items()) for fact in facts]
    counted = Counter(words)
    rest = "as most" if any(words) else "run"
    return [
        text if text and counted[text] == 1 else f"{text or rest} ({each['id'].split('-')[-1]})"
        for text, each in zip(words, manifests, strict=True)
    ]


def _settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """For each configuration its values of the keys that differ, but for what most have in common.

    Settings of a section are compared between those that chose the same there: a linear model lacks
    the settings of boosted trees.
    """
    keys = list(dict.fromkeys(key for config in configs for key in config))
    # What was chosen comes first, and the seed last.
    keys.sort(key=lambda key: (key == "seed", key not in _DECIDERS.values()))
    facts: list[dict[str, str]] = [{} for _ in configs]
    for key in keys:
        if key.startswith(_NO_MATTER):
            continue
        decider = _DECIDERS.get(key.split(".")[0])
        chosen = key == decider
        alike: dict[str, list[int]] = {}
        for number, config in enumerate(configs):
            if key in config or chosen or decider is None:
                choice = "" if chosen or decider is None else str(config.get(decider))
                alike.setdefault(choice, []).append(number)
        for numbers in alike.values():
            values = {number: _value(configs[number].get(key)) for number in numbers}
            counted = Counter(values.values())
            if len(counted) == 1:
                continue
            common = next((v for v, n in counted.items() if n * 2 > len(numbers)), None)
            for number, value in values.items():
                if chosen or value != common:
                    facts[number][key.removesuffix(".name").removesuffix(".kind")] = value
    return facts


def _short_names(names: set[str]) -> dict[str, str]:
    """The last word of each dotted name, or as many words as tell it from the others."""
    short = {}
    for name in names:
        words = name.split(".")
        for count in range(1, len(words) + 1):
            end = ".".join(words[-count:])
            if sum(other == end or other.endswith(f".{end}") for other in names) == 1:
                break
        short[name] = end
    return short


def _repeated(facts: Sequence[Mapping[str, str]]) -> bool:
    return len({tuple(fact.items()) for fact in facts}) < len(facts)


def _code(manifest: Mapping[str, Any]) -> str:
    git = manifest["git"]
    if git["commit"] is None:
        return "unknown"
    return git["commit"][:7] + (
        f"+{str(git['diff_sha256'] or 'changed')[:7]}" if git["dirty"] else ""
    )


def _lock(manifest: Mapping[str, Any]) -> str:
    return str(manifest["environment"]["lock_sha256"])[:7]


def _inputs(manifest: Mapping[str, Any]) -> str:
    import hashlib

    hashes = sorted(entry["sha256"] for entry in manifest["inputs"].values())
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:7]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, str) and "/" in value:
        return Path(value).name
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


# --- the table --------------------------------------------------------------------------------


def _print(rows: Sequence[Row]) -> None:
    from rich.markup import escape

    metrics = list(dict.fromkeys(name for row in rows for name in row.scores))
    table = shown.table("run", *(_heading(name) for name in metrics))
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for row in rows:
        table.add_row(escape(row.label), *(_cell(row.scores.get(name)) for name in metrics))
    for model, values in _baselines(rows).items():
        cells = [f"{values[metric]:.4f}" if metric in values else "" for metric in metrics]
        table.add_row(f"{model} (baseline)", *cells, style="dim")
    shown.console().print(table)
    if any(score.interval for row in rows for score in row.scores.values()):
        print("±: half of the 95 % interval")


def _heading(name: str) -> str:
    """``valid.average_precision`` in three lines, for a narrow column."""
    part, _, metric = name.partition(".")
    return f"{part}\n{metric.replace('_', f'_{chr(10)}', 1) if len(metric) > 9 else metric}"


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    if score.interval is None:
        return f"{score.value:.4f}"
    low, high = score.interval
    return f"{score.value:.4f}\n±{(high - low) / 2:.4f}"


def _baselines(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Baselines that are the same beside every run, by their name: a line of their own."""
    found: dict[str, dict[str, set[float]]] = {}
    for row in rows:
        for metric, score in row.scores.items():
            for model, value in score.baselines.items():
                found.setdefault(model, {}).setdefault(metric, set()).add(value)
    return {
        model: {metric: value for metric, (value, *more) in values.items() if not more}
        for model, values in found.items()
    }


# --- the picture ------------------------------------------------------------------------------


def draw(rows: Sequence[Row]) -> bytes:
    """A panel a metric, a line a run: its value, its interval, and the baseline's value."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.lines import Line2D

    metrics = list(dict.fromkeys(name for row in rows for name in row.scores))
    names = [_wrapped(row.label) for row in rows]
    lines = [name.count("\n") + 1 for name in names]
    # Lines of text from the top: a run takes as many as its name, and some air.
    place = [sum(lines[:n]) + 0.6 * n + (lines[n] - 1) / 2 for n in range(len(rows))]
    span = (place[-1] + lines[-1] / 2 + 0.5, -1.0)
    bands = math.ceil(len(metrics) / (_COLUMNS if len(rows) <= _MANY else 6))
    columns = math.ceil(len(metrics) / bands)
    longest = max(len(line) for name in names for line in name.split("\n"))
    height = bands * (0.19 * (sum(lines) + 0.6 * len(rows)) + 1.0) + 0.5
    style: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with mpl.rc_context(style):
        width = 0.075 * longest + 3.1 * columns + 0.4
        space = ConstrainedLayoutEngine(hspace=0.04, wspace=0.04)
        figure = Figure(figsize=(width, height), dpi=130, layout=space)
        grid = figure.subplots(bands, columns, squeeze=False)
        for number, ax in enumerate(grid.flat):
            if number >= len(metrics):
                ax.set_visible(False)
                continue
            _panel(ax, rows, metrics[number], place, span)
            ax.set_yticks(place, names if number % columns == 0 else [""] * len(rows))
        handles = [
            Line2D([], [], color=_OWN, marker="o", label="run, with its 95 % interval"),
        ]
        if baselines := sorted({m for r in rows for s in r.scores.values() for m in s.baselines}):
            label = f"baseline ({', '.join(baselines)}) on the same rows"
            mark = Line2D([], [], color=_BASE, linestyle="", marker="|", label=label)
            mark.set(markersize=11, markeredgewidth=2)
            handles.append(mark)
        figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    return buffer.getvalue()


def _panel(
    ax: Any, rows: Sequence[Row], metric: str, place: Sequence[float], span: tuple[float, float]
) -> None:
    for row, y in zip(rows, place, strict=True):
        score = row.scores.get(metric)
        if score is None:
            continue
        if score.interval:
            ax.hlines(y, *score.interval, color=_OWN, linewidth=2, alpha=0.45)
        ax.plot(score.value, y, "o", color=_OWN, markersize=5, zorder=3)
        for value in score.baselines.values():
            ax.plot(value, y, "|", color=_BASE, markersize=11, markeredgewidth=2, zorder=2)
    ax.set_title(metric, loc="left", fontsize=10, fontweight="bold")
    ax.set_ylim(*span)
    ax.margins(x=0.08)
    ax.locator_params(axis="x", nbins=4)
    ax.grid(axis="x", color=_GRID)
    ax.grid(axis="y", color=_GRID, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color("#9aa5b1")


def _wrapped(label: str, width: int = 40) -> str:
    """In lines of whole settings, so that a long name does not push the panels aside."""
    lines = [""]
    for word in label.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(line if len(line) <= width + 10 else line[: width + 9] + "…" for line in lines)
