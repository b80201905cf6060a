"""The path from a configuration to a judged model, the same for command lines and notebooks."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from . import features
from .config import Config, load_config
from .data.examples import Examples
from .errors import UserError
from .evaluation import plots
from .evaluation.comparison import sentence
from .evaluation.evaluate import (
    BASELINE,
    Evaluation,
    Part,
    decide,
    figures,
    slices,
    write_predictions,
)
from .evaluation.evaluate import evaluate as judge
from .evaluation.metrics import MAIN_METRIC, number, title
from .evaluation.outcome import WIDTH, outcome
from .evaluation.thresholds import Decision
from .runs import Run, find_run, open_run, read_manifest, sha256
from .runs.files import write_atomic
from .training import seeds
from .training.models import Model, fit_model, load_model, save_model
from .training.splits import Split, split

_COLUMNS = ("exclude", "keep")  # settings of the data that leave its rows as they are


@dataclass(frozen=True)
class Result:
    """A judged model and everything it was judged with."""

    run: str
    folder: Path
    fingerprint: str  # of the model: equal models have equal ones, whatever run they are of
    name: str
    config: Config
    model: Model
    examples: Examples
    split: Split
    evaluation: Evaluation
    slices: pd.DataFrame | None = None  # of the test rows, when it was evaluated
    decision: Decision | None = None  # the same, for two classes

    def report(self, part: Part) -> str:
        """The outcome on the part of the split that was judged, for a terminal of 100 columns."""
        lines = list(self.examples.notes)
        sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in self.split.parts().items())
        schema = self.examples.schema
        lines.append(f"{schema.task} of '{schema.target}', {len(schema.features)} features")
        lines.append(f"{len(self.examples):,} rows ({self.split.how}): {sizes}")
        lines += outcome(self.evaluation, part, self.name)
        if self.decision and schema.ranking is None:
            lines += textwrap.wrap(self.decision.sentence().replace("**", ""), WIDTH)
        if self.slices is not None and len(found := self.slices[self.slices.finding != ""]):
            worst = zip(found.slice, found.rows, found.finding, strict=True)
            said = [f"{name} ({rows:,} rows): {words}" for name, rows, words in worst]
            lines += said[:3] + [f"and {len(said) - 3} more in slices.csv"] * (len(said) > 3)
        return "\n".join(lines)

    def verdict(self, part: Part, other: str = BASELINE) -> str:
        """Whether the model is better than ``other`` by the main metric, a sentence in Markdown."""
        scores = self.evaluation.scores[part]
        metric = MAIN_METRIC[self.examples.schema.task]
        if other == self.name:
            return (
                f"**{self.name}** is the baseline: {title(metric)} {number(scores[other][metric])}."
            )
        values = scores[self.name][metric], scores[other][metric]
        by = self.evaluation.differences[part][other][metric]
        whom = f"the {other} baseline" if other == BASELINE else other
        return sentence(metric, self.name, whom, values, by)


def train(config: Config) -> Result:
    """Build the examples, split them, fit, judge on the validation rows, and write it all into a
    new run. Test rows are for :func:`evaluate`: whoever looks at them after each change fits them.

    Raises:
        UserError: the data cannot be used as the configuration says; no run is left behind.
    """
    against = _against(config, config.to_dict())
    with _one_blas_thread(), open_run("train", config) as run:
        examples, parts = prepare(config)
        seed = seeds.integer(config.seed, "model")
        model = fit_model(config.model, examples, parts, seed, config.training.threads)
        save_model(model, run.path / "model")
        run.model = _fingerprint(run.path / "model")
        # What is judged is what was saved, loaded again without anything of this process.
        model = load_model(run.path / "model")
        return _judge(run, config.model.name, config, model, examples, parts, "valid", against)


def evaluate(config: Config) -> Result:
    """Judge the model of ``config.evaluation.run`` on the test rows of the data it was trained for,
    or of what the command line says instead, and write a new run.

    Raises:
        UserError: there is no such run, or the data lacks a feature the model needs.
    """
    source = find_run(config.evaluation.run, "train")
    recorded = read_manifest(source)["config"]
    config = load_config([*recorded["overrides"], *config.overrides])
    model = load_model(source / "model")
    against = _against(config, recorded)
    with _one_blas_thread(), open_run("evaluate", config) as run:
        examples, parts = prepare(config)
        _check_features(source.name, model, examples)
        for file in sorted((source / "model").iterdir()):
            run.add_input(file)
        run.model = _fingerprint(source / "model")
        # Columns as the model knows them; categories it has not seen count as missing.
        examples = replace(examples, schema=model.schema)
        name = recorded["model"]["name"]
        return _judge(run, name, config, model, examples, parts, "test", against)


def prepare(config: Config) -> tuple[Examples, Split]:
    """The examples of ``config`` and their split."""
    examples = features.build(config)
    return examples, split(examples, config.training.split, config.seed)


def _judge(
    run: Run,
    name: str,
    config: Config,
    model: Model,
    examples: Examples,
    parts: Split,
    part: Part,
    against: Path | None,
) -> Result:
    others = {}
    if against is not None:
        others[against.name] = load_model(against / "model")
        _check_features(against.name, others[against.name], examples)
        for file in sorted((against / "model").iterdir()):
            run.add_input(file)
    found = judge(model, name, examples, parts, config, part, others)
    write_predictions(run.path / "predictions.parquet", name, examples, parts, found)
    run.write_json("metrics.json", found.scores)
    run.write_json("comparison.json", found.to_dict())
    plots.save(figures(model, examples, parts, found, config), run.path / "plots")
    for path, rows in examples.inputs.items():
        run.add_input(path, rows, derived=examples.derived)
    run.metrics.update(found.flat())
    run.intervals.update(found.flat_intervals())
    off, decision = None, None
    if part == "test":
        off = slices(name, examples, parts, found, config)
        write_atomic(run.path / "slices.csv", off.to_csv(index=False, float_format="%.6g").encode())
        if decision := decide(model, name, examples, parts, found, config):
            run.write_json("decision.json", decision.to_dict())
    assert run.model is not None
    made = (name, config, model, examples, parts, found, off, decision)
    return Result(run.id, run.path, run.model, *made)


def _against(config: Config, recorded: dict[str, Any]) -> Path | None:
    """The run that ``evaluation.against`` names, if its model has not learnt from rows that the
    model of the configuration ``recorded`` is judged on.

    Raises:
        UserError: there is no such run, or its rows were split in another way.
    """
    if config.evaluation.against is None:
        return None
    folder = find_run(config.evaluation.against, "train")
    other = read_manifest(folder)["config"]
    differs = [
        key
        for key, get in {
            "data": lambda c: {k: v for k, v in c["data"].items() if k not in _COLUMNS},
            "training.split": lambda c: c["training"]["split"],
            "seed": lambda c: c["seed"],
        }.items()
        if get(other) != get(recorded)
    ]
    if differs:
        raise UserError(
            f"evaluation.against: run {folder.name} differs in {' and '.join(differs)}, so it may "
            "have learnt from rows that it would be judged on. Train it again with the same."
        )
    return folder


def _check_features(run: str, model: Model, examples: Examples) -> None:
    """Raises: UserError: the examples lack a feature that the model needs."""
    needed, there = model.schema.features, examples.schema.features
    if missing := [name for name in needed if there.get(name) != needed[name]]:
        raise UserError(f"run {run} needs features the data lacks: {', '.join(missing)}.")


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Sums in another order have other last digits, so BLAS gets one thread wherever it runs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def _fingerprint(model: Path) -> str:
    """What names a saved model by its content: 12 hexadecimal digits."""
    files = {path.name: sha256(path) for path in sorted(model.iterdir())}
    return hashlib.sha256(repr(files).encode()).hexdigest()[:12]


__all__ = ["BASELINE", "Part", "Result", "evaluate", "prepare", "train"]
