"""What a model scores on rows it has not seen, and how sure that is: repeated cross-validation.

Folds share most of their training rows, so their scores are not independent and the usual standard
error is too small. It is corrected as Nadeau and Bengio do ("Inference for the generalization
error", 2003): the variance of the mean of J scores is s² (1/J + judging rows / learning rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import Config, PopularityConfig
from ..data.examples import Examples
from ..progress import track
from ..training import seeds
from ..training.folds import folds
from ..training.models import fit_model
from ..training.splits import Rows, Split
from . import plots
from .evaluate import BASELINE
from .metrics import LOWER_IS_BETTER, MAIN_METRIC, score, title

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over folds, its corrected standard error, and its 95 % interval."""

    mean: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class CrossValidation:
    """Scores of a model and of the baseline on the same folds.

    Attributes:
        name: of the model.
        scores: a row a fold, model and metric, with how many rows were learnt from and judged.
        estimates: by model and metric; NaN where a metric is undefined in a fold.
        gains: by metric what the model is better by than the baseline, fold by fold, so that more
            is better for every metric. Empty where the model is the baseline.
        how: the folds, for a person.
        task: that of the schema.
    """

    name: str
    scores: pd.DataFrame
    estimates: dict[str, dict[str, Estimate]]
    gains: dict[str, Estimate]
    how: str
    task: str

    def verdict(self, metric: str) -> str:
        """``better``, ``worse`` or ``no better`` than the baseline; the first two are said only
        when the interval of the difference excludes 0."""
        gain = self.gains[metric]
        return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no better"

    def flat(self) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        """Means and intervals by ``folds.<model>.<metric>`` and, of the difference to the
        baseline, ``gain.<model>.<metric>``, for a manifest."""
        named = {
            f"folds.{model}.{metric}": each
            for model, found in self.estimates.items()
            for metric, each in found.items()
        }
        named |= {f"gain.{self.name}.{metric}": each for metric, each in self.gains.items()}
        means = {name: each.mean for name, each in named.items()}
        return means, {name: (each.low, each.high) for name, each in named.items()}

    def report(self) -> str:
        """The outcome in a few lines for a terminal."""
        lines = [self.how, f"{'':<20}{self.name:>29}"]
        if self.gains:
            lines[-1] += f"{BASELINE:>14}{'better by':>31}"
        for metric, own in self.estimates[self.name].items():
            line = f"{title(metric):<20}{own.mean:>10.4f} {_interval(own):>18}"
            if self.gains:
                gain = self.gains[metric]
                line += f"{self.estimates[BASELINE][metric].mean:>14.4f}"
                line += f"{gain.mean:>+12.4f} {_interval(gain):>18}  {self.verdict(metric)}"
            lines.append(line)
        if self.gains:
            main = MAIN_METRIC[self.task]
            lines.append(
                f"by {title(main)}, {self.name} is {self.verdict(main)} than {BASELINE} "
                f"({LEVEL:.0%} interval of the difference, corrected for shared training rows)"
            )
        return "\n".join(lines)


def cross_validate(config: Config, examples: Examples, rows: Rows) -> CrossValidation:
    """Fit the model of ``config`` and the baseline on each fold of ``rows``, and score both on the
    rows the fold holds back. No other rows are read, so give those that are not for testing.

    The same numbers for any ``training.threads``: folds follow each other, each with seeds of its
    own, and the model uses the threads.

    Raises:
        UserError: the rows are too few for ``evaluation.folds``.
    """
    from threadpoolctl import threadpool_limits

    wanted = config.evaluation
    parts = folds(examples, rows, config.training.split, wanted.folds, wanted.repeats, config.seed)
    name = config.model.name
    found = []
    with threadpool_limits(1, user_api="blas"):  # sums in another order have other last digits
        for number, part in track(list(enumerate(parts)), f"cross-validating {name}"):
            judged = examples.frame.iloc[part.test]
            for label, scored in _scores(config, examples, part, number, judged).items():
                for metric, value in scored.items():
                    fold = {"fold": number % wanted.folds, "repeat": number // wanted.folds}
                    sizes = {"learnt": len(part.train) + len(part.valid), "judged": len(judged)}
                    found.append(fold | sizes | {"model": label, "metric": metric, "value": value})
    return _summarised(name, pd.DataFrame(found), _how(examples, parts, rows), examples)


def corrected(values: Sequence[float] | NDArray[np.float64], ratio: float) -> Estimate:
    """Mean of the scores of folds with the interval of Nadeau and Bengio.

    ``ratio`` is that of judging to learning rows. One score alone has no interval: all is possible.
    """
    from scipy.special import stdtrit

    scores = np.asarray(values, dtype=np.float64)
    mean = float(np.mean(scores))
    if len(scores) < 2:
        return Estimate(mean, float("inf"), -float("inf"), float("inf"))
    error = float(np.sqrt((1 / len(scores) + ratio) * np.var(scores, ddof=1)))
    reach = float(stdtrit(len(scores) - 1, (1 + LEVEL) / 2)) * error
    return Estimate(mean, error, mean - reach, mean + reach)


def figure(found: CrossValidation) -> plots.Chart:
    """The main metric in each fold, model and baseline, with the means and their intervals."""
    metric = MAIN_METRIC[found.task]
    drawn, (ax,) = plots.figure(width=6.4, height=1.6 + 0.6 * len(found.estimates))
    for place, (label, estimates) in enumerate(found.estimates.items()):
        own = found.scores[(found.scores.model == label) & (found.scores.metric == metric)]
        each, colour = estimates[metric], plots.COLOURS[place]
        ax.scatter(own.value, [place] * len(own), color=colour, alpha=0.35, s=24, linewidths=0)
        ax.plot([each.low, each.high], [place - 0.2] * 2, color=colour, linewidth=2)
        ax.scatter([each.mean], [place - 0.2], color=colour, s=40)
    ax.set_yticks(range(len(found.estimates)), list(found.estimates))
    ax.set_ylim(len(found.estimates) - 0.5, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set(title=f"{title(metric)} by fold, mean and interval", xlabel=title(metric))
    return drawn


def _scores(
    config: Config, examples: Examples, part: Split, number: int, judged: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Metrics by model on the judged rows of one fold."""
    seed = seeds.integer(config.seed, f"model of fold {number}")
    how = config.training
    model = fit_model(config.model, examples, part, seed, how.threads, how.device)
    models = {config.model.name: model}
    if config.model.name != BASELINE:
        models[BASELINE] = fit_model(PopularityConfig(), examples, part, 0, 1)
    wanted = config.evaluation
    return {
        label: score(judged, each.predict(judged), examples.schema, wanted.top_k, wanted.bins)
        for label, each in models.items()
    }


def _summarised(name: str, scores: pd.DataFrame, how: str, examples: Examples) -> CrossValidation:
    sizes = scores.drop_duplicates(["repeat", "fold"])
    ratio = float((sizes.judged / sizes.learnt).mean())
    columns = scores.groupby(["model", "metric"], sort=False).value
    values: dict[Any, NDArray[np.float64]] = {key: each.to_numpy() for key, each in columns}
    estimates: dict[str, dict[str, Estimate]] = {}
    for (model, metric), each in values.items():
        estimates.setdefault(model, {})[metric] = corrected(each, ratio)
    gains = {}
    if name != BASELINE:
        for metric in estimates[name]:
            sign = -1 if metric in LOWER_IS_BETTER else 1
            more = sign * (values[name, metric] - values[BASELINE, metric])
            gains[metric] = corrected(more, ratio)
    return CrossValidation(name, scores, estimates, gains, how, examples.schema.task)


def _how(examples: Examples, parts: Sequence[Split], rows: Rows) -> str:
    kind = parts[0].how.split(", ")[-1].partition(":")[0]
    return (
        f"{len(parts)} folds of {len(rows):,} rows, {kind}; "
        f"the other {len(examples) - len(rows):,} rows are not looked at"
    )


def _interval(each: Estimate) -> str:
    return f"[{each.low:.4f}, {each.high:.4f}]"
