"""Figures in the house style, each a function from numbers; :func:`save` makes files of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..data.examples import Schema
from ..runs.files import write_atomic
from .explain import Dependence, Explanation, Importance
from .metrics import calibration_table, title
from .thresholds import ALWAYS, NEVER, Decision

INK, GRID = "#1f2933", "#e4e7eb"
COLOURS = ("#2563eb", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#64748b")
_STYLE: Any = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same figure on every machine
    "font.size": 10,
    "text.parse_math": False,  # names and classes are the user's: $ is no formula in them
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=COLOURS),
}


mpl.rcParams.update(_STYLE)


class Chart(Figure):
    """A figure that a notebook shows as it is, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        # No software name: it would change the bytes with every release of Matplotlib.
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def figure(columns: int = 1, width: float = 7.0, height: float = 4.0) -> tuple[Chart, list[Axes]]:
    """An empty chart with ``columns`` axes side by side; sizes in inches."""
    drawn = Chart(figsize=(width, height), layout="constrained")
    return drawn, list(drawn.subplots(1, columns, squeeze=False)[0])


def save(charts: Mapping[str, Chart], folder: Path) -> None:
    """Write each chart as ``<name>.png``; equal charts give equal bytes."""
    for name, drawn in charts.items():
        write_atomic(folder / f"{name}.png", drawn._repr_png_())


def standard(
    target: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    schema: Schema,
    importance: Mapping[str, float],
    bins: int = 10,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, Chart]:
    """The figures of a task: ROC and calibration, confusion, or residuals; and importance.

    ``predictions`` are by model; the first is the model itself, the others are drawn beside it.
    Rows of one of ``groups`` are alike, which widens intervals.
    """
    own = next(iter(predictions.values()))
    drawn: dict[str, Chart] = {}
    if schema.task == "binary":
        drawn["roc"] = roc(target, predictions)
        drawn["calibration"] = calibration(target, predictions, bins, groups)
    elif schema.task == "multiclass":
        drawn["confusion"] = confusion(target, own.argmax(axis=1), schema.classes)
    else:
        drawn["residuals"] = residuals(target, own, schema.target)
    if importance:
        drawn["importance"] = bars(importance, "What the model uses", "share of the total")
    return drawn


def roc(target: NDArray[np.float64], predictions: Mapping[str, NDArray[np.float64]]) -> Chart:
    from sklearn.metrics import roc_auc_score, roc_curve

    drawn, (ax,) = figure(width=5.4, height=4.6)
    for number, (name, predicted) in enumerate(predictions.items()):
        x, y, _ = roc_curve(target, predicted)
        label = f"{name}, area {roc_auc_score(target, predicted):.3f}"
        kept = np.append(np.arange(0, len(x) - 1, 1 + len(x) // 2000), len(x) - 1)
        ax.plot(x[kept], y[kept], label=label, color=COLOURS[number], linewidth=2)
    ax.plot([0, 1], [0, 1], color="#9aa5b1", linestyle=":", label="chance")
    ax.set(title="ROC curve", xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(loc="lower right")
    return drawn


def calibration(
    target: NDArray[np.float64],
    predictions: Mapping[str, NDArray[np.float64]],
    bins: int,
    groups: NDArray[np.int64] | None = None,
) -> Chart:
    """Observed share against prediction, with 95 % intervals of the shares."""
    drawn, (ax,) = figure(width=5.4, height=4.6)
    highest = 0.0
    for number, (name, predicted) in enumerate(predictions.items()):
        table = calibration_table(target.astype(np.int64), predicted, bins, groups)
        highest = max(highest, table.predicted.max(), table.observed.max())
        half = 1.96 * table.error
        ax.errorbar(
            table.predicted,
            table.observed,
            # No share is below 0 or above 1.
            [np.minimum(half, table.observed), np.minimum(half, 1 - table.observed)],
            fmt="o-",
            label=name,
            color=COLOURS[number],
            elinewidth=1,
            capsize=2,
        )
    ax.plot([0, highest], [0, highest], color="#9aa5b1", linestyle=":", label="perfect")
    ax.set(title="Calibration", xlabel="predicted probability", ylabel="observed share")
    ax.legend(loc="upper left")
    return drawn


def residuals(target: NDArray[np.float64], predicted: NDArray[np.float64], name: str) -> Chart:
    drawn, (left, right) = figure(2, width=9.5, height=4.2)
    left.scatter(target, predicted, s=9, alpha=0.35, linewidths=0)
    low = min(float(target.min()), float(predicted.min()))
    high = max(float(target.max()), float(predicted.max()))
    left.plot([low, high], [low, high], color="#9aa5b1", linestyle=":")
    left.set(title="Predicted against true", xlabel=f"true {name}", ylabel=f"predicted {name}")
    right.hist(target - predicted, bins=50)
    right.axvline(0, color=INK, linewidth=1)
    right.set(title="Residuals", xlabel="true minus predicted", ylabel="rows")
    return drawn


def confusion(
    target: NDArray[np.float64], chosen: NDArray[np.int64], classes: Sequence[str]
) -> Chart:
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (target.astype(np.int64), chosen), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(9.0, 3.0 + 0.5 * len(classes))
    drawn, (ax,) = figure(width=size + 0.8, height=size)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.grid(visible=False)
    if len(classes) <= 12:
        for (i, j), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else INK
            ax.text(j, i, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes, rotation=45, ha="right")
    ax.set_yticks(ticks, classes)
    ax.set(title="Where each class goes", xlabel="predicted", ylabel="true")
    return drawn


def bars(
    values: Mapping[str, float], heading: str, axis: str, most: int = 15, colour: str = COLOURS[0]
) -> Chart:
    """Horizontal bars, the longest on top."""
    top = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:most][::-1]
    drawn, (ax,) = figure(height=0.8 + 0.28 * max(len(top), 3))
    ax.barh([_short(name) for name, _ in top], [value for _, value in top], color=colour)
    ax.grid(visible=False, axis="y")
    ax.set(title=heading, xlabel=axis)
    return drawn


def compare(
    scores: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, str],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> Chart:
    """Small bars side by side: one axis a metric (name -> title), one bar a model, with its
    interval where there is one."""
    drawn, axes = figure(len(metrics), width=2.6 * len(metrics) + 0.6, height=3.0)
    for ax, (metric, name) in zip(axes, metrics.items(), strict=True):
        values = [found[metric] for found in scores.values()]
        off = None
        if intervals and all(metric in intervals.get(name, {}) for name in scores):
            bounds = np.array([intervals[name][metric] for name in scores]).T
            off = np.maximum([values - bounds[0], bounds[1] - values], 0)
        shown = ax.bar(
            list(scores),
            values,
            color=COLOURS[: len(values)],
            width=0.6,
            yerr=off,
            error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 3},
        )
        ax.bar_label(shown, fmt="%.3f", padding=2, fontsize=9)
        ax.set_ylim(top=max([*values, *(bounds[1] if off is not None else []), 1e-9]) * 1.15)
        ax.grid(visible=False)
        ax.spines["left"].set_visible(False)
        ax.set_yticks([])
        ax.set(title=name)
    return drawn


def forest(table: pd.DataFrame, metric: str, overall: float | None = None) -> Chart:
    """A line a slice, as :func:`.slices.find_slices` gives them: ``metric`` with its interval, and
    the true minus the predicted average with its own; what is a finding is in another colour."""
    lines = table[::-1]
    drawn, (left, right) = figure(2, width=9.5, height=1.2 + 0.3 * max(len(lines), 2))
    labels = [
        f"{_short(name)} ({rows:,})" for name, rows in zip(lines.slice, lines.rows, strict=True)
    ]
    colours = [COLOURS[3] if words else COLOURS[0] for words in lines.finding]
    for ax, name, low, high in (
        (left, "metric", "low", "high"),
        (right, "off", "off_low", "off_high"),
    ):
        for y, colour in enumerate(colours):
            value, bounds = lines[name].iloc[y], (lines[low].iloc[y], lines[high].iloc[y])
            ax.plot(bounds, [y, y], color=colour, linewidth=2)
            ax.plot([value], [y], "o", color=colour)
        ax.grid(visible=False, axis="y")
        ax.set_ylim(-0.6, len(lines) - 0.4)
    left.set_yticks(range(len(lines)), labels)
    right.set_yticks(range(len(lines)), [""] * len(lines))
    if overall is not None:
        left.axvline(overall, color=INK, linestyle=":", linewidth=1)
    right.axvline(0, color=INK, linestyle=":", linewidth=1)
    left.set(title=f"{metric} by slice (rows)")
    right.set(title="True minus predicted average")
    return drawn


def costs(decision: Decision) -> Chart:
    """What a row costs by the threshold, with the chosen one, and always and never acting."""
    thresholds, values = decision.curve
    drawn, (ax,) = figure(width=6.4, height=3.8)
    step = 1 + len(thresholds) // 2000  # more points than pixels only cost time
    ax.plot(thresholds[::step], values[::step], linewidth=2)
    chosen = f"chosen: {decision.threshold:.3f}"
    ax.axvline(decision.threshold, color=INK, linestyle=":", linewidth=1, label=chosen)
    for number, rule in enumerate((ALWAYS, NEVER), 1):
        ax.axhline(decision.cost[rule], color=COLOURS[number], linestyle="--", label=rule)
    ax.set(title="Cost by threshold", xlabel="act from this probability on", ylabel="cost of a row")
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.legend()
    return drawn


def learning_curve(history: Mapping[str, Sequence[float]]) -> Chart:
    drawn, (ax,) = figure(height=3.6)
    for name, losses in history.items():
        ax.plot(range(1, len(losses) + 1), losses, label=f"{name} rows", linewidth=2)
    valid = np.asarray(history["valid"])
    best = int(valid.argmin())
    ax.axvline(best + 1, color="#9aa5b1", linestyle=":", label=f"kept: {best + 1} rounds")
    ax.set(title="Learning curve", xlabel="round", ylabel="loss")
    ax.legend()
    return drawn


def over_time(values: pd.Series, heading: str, axis: str) -> Chart:
    """A line over the days that index ``values``."""
    drawn, (ax,) = figure(width=8.0, height=3.2)
    ax.plot(values.index, values, linewidth=2)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))
    ax.set(title=heading, xlabel="day", ylabel=axis)
    ax.set_ylim(bottom=0)
    return drawn


def target_by(shares: Mapping[str, pd.Series], heading: str, average: float) -> Chart:
    """The target's average by value, one axis a column, with the overall average as a line."""
    drawn, axes = figure(len(shares), width=4.4 * len(shares) + 0.6, height=3.8)
    for ax, (name, found) in zip(axes, shares.items(), strict=True):
        ax.barh([_label(value) for value in found.index][::-1], found.to_numpy()[::-1])
        ax.axvline(average, color=INK, linestyle=":", linewidth=1)
        ax.grid(visible=False, axis="y")
        ax.set(title=f"{heading} by {_short(name)}")
    return drawn


def histogram(values: pd.Series, heading: str, axis: str) -> Chart:
    drawn, (ax,) = figure(height=3.4)
    ax.hist(values.dropna(), bins=60)
    ax.set(title=heading, xlabel=axis, ylabel="rows")
    return drawn


def explained(found: Explanation, schema: Schema) -> dict[str, Chart]:
    """The figures of an explanation: ``permutation``, and ``dependence_1``, … by strength."""
    if not found.importance:
        return {}
    axis = {"regression": f"predicted {_short(schema.target)}", "multiclass": "probability"}
    binary = f"probability of {_short(schema.classes[1])}" if schema.task == "binary" else ""
    drawn = {"permutation": shuffled(found.importance, title(found.metric))}
    for number, each in enumerate(found.dependence, start=1):
        drawn[f"dependence_{number}"] = dependence(each, axis.get(schema.task, binary))
    return drawn


def shuffled(found: Sequence[Importance], metric: str, most: int = 15) -> Chart:
    """Permutation importance with its intervals, the strongest on top."""
    top = list(found[:most])[::-1]
    drawn, (ax,) = figure(height=1.0 + 0.3 * max(len(top), 3))
    places = np.arange(len(top))
    values = np.array([each.value for each in top])
    ax.barh(places, values, color=COLOURS[0], height=0.62)
    for place, each in zip(places, top, strict=True):
        ax.plot([each.low, each.high], [place, place], color=INK, linewidth=1.4)
    ax.axvline(0, color="#9aa5b1", linewidth=1)
    ax.set_yticks(places, [_short(each.feature) for each in top])
    ax.grid(visible=False, axis="y")
    ax.set(
        title="What the model needs",
        xlabel=f"how much worse {metric} gets without it, with 95 % interval",
    )
    return drawn


def dependence(found: Dependence, axis: str) -> Chart:
    """Partial dependence: the mean in bold, single rows thin behind it."""
    drawn, (ax,) = figure(width=4.8, height=3.5)
    many = len(found.curves) > 1
    if found.kind == "categorical":
        places = np.arange(len(found.values))[::-1]
        labels = [_short(str(value), 24) for value in found.values]
        for number, (name, means) in enumerate(found.curves.items()):
            ax.plot(means, places, "o", color=COLOURS[number], label=_short(name), zorder=3)
        for line in found.lines:
            ax.plot(line, places, "|", color="#9aa5b1", markersize=9, alpha=0.7)
        ax.set_yticks(places, labels)
        ax.set_ylim(-0.6, len(places) - 0.4)
        ax.grid(visible=False, axis="y")
        ax.set_xlabel(axis)
    else:
        grid = np.array(found.values, dtype=np.float64)
        for line in found.lines:
            ax.plot(grid, line, color="#9aa5b1", linewidth=0.8, alpha=0.6)
        for number, (name, means) in enumerate(found.curves.items()):
            ax.plot(grid, means, color=COLOURS[number], linewidth=2.4, label=_short(name))
        if len(grid) <= 10 and np.all(grid % 1 == 0):
            ax.set_xticks(grid, [f"{value:g}" for value in grid])
        # A short stroke for each point of the grid, which lie as densely as the values.
        ax.plot(grid, np.zeros(len(grid)), "|", color=INK, transform=ax.get_xaxis_transform())
        ax.set_ylabel(axis)
    if many:
        ax.legend(fontsize=8)
    ax.set_title(_short(found.feature, 40))
    return drawn


def search(scores: Sequence[float | None], lower: bool, name: str) -> Chart:
    """Trials in their order: their scores, the best so far (the lowest where ``lower`` is better),
    and below them those without a score."""
    drawn, (ax,) = figure(width=8.0, height=3.8)
    values = np.array([np.nan if score is None else score for score in scores])
    ax.plot(values, "o", label="trial", markersize=5)
    best = (np.fmin if lower else np.fmax).accumulate(values)
    ax.step(range(len(best)), best, where="post", label="best so far", color=COLOURS[1])
    if stopped := [number for number, score in enumerate(scores) if score is None]:
        at_bottom = ax.get_xaxis_transform()
        label = "stopped early or failed"
        ax.plot(
            stopped, [0.02] * len(stopped), "x", transform=at_bottom, color=COLOURS[5], label=label
        )
    ax.set(title="Search", xlabel="trial (0: the configuration as it stands)", ylabel=name)
    ax.legend()
    return drawn


def tried(
    values: Mapping[str, Sequence[Any]], scores: Sequence[float], log: Sequence[str], name: str
) -> Chart:
    """The score of each trial by the value of each parameter, later trials darker; one axis a
    parameter, those of ``log`` with a logarithmic scale."""
    columns = min(3, len(values))
    rows = -(-len(values) // columns)
    size = (3.2 * columns + 0.6, 2.7 * rows)
    drawn = Chart(figsize=size, layout="constrained")
    axes = list(drawn.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for ax, (key, found) in zip(axes, values.items(), strict=False):
        shown = [each if isinstance(each, (int, float)) else _short(str(each)) for each in found]
        ax.scatter(
            shown, scores, c=range(len(scores)), cmap="Blues", edgecolors=INK, linewidths=0.4
        )
        if key in log:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=6))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(xlabel=key)
    for ax in axes[len(values) :]:
        ax.set_visible(False)
    for ax in axes[::columns]:
        ax.set_ylabel(name)
    axes[0].set_title("What was tried")
    return drawn


def _label(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"from {value:%Y-%m-%d}"
    return f"{value:g}" if isinstance(value, float) else _short(str(value))


def _short(text: str, most: int = 28) -> str:
    """A name that is the user's, on one line and cut."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
