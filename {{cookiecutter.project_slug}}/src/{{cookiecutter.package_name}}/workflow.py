"""The path from a configuration to a judged model, the same for command lines and notebooks."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import features
from .config import BoostingConfig, Config, load_config
from .data.examples import Examples
from .errors import UserError
from .evaluation import plots
from .evaluation.card import RECORDS, Judged, describe, write_card
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
from .evaluation.explain import explain
from .evaluation.ledger import Looks, look, version
from .evaluation.metrics import MAIN_METRIC, number, title
from .evaluation.outcome import WIDTH, outcome
from .evaluation.thresholds import Decision
from .runs import Run, find_run, open_run, read_manifest, sha256
from .runs.files import write_atomic
from .training import seeds
from .training.contract import check_parts
from .training.models import Model, fit_model, load_model, save_model
from .training.splits import Split, split


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
    looks: Looks | None = None  # at these test rows so far
    card: Path | None = None  # the page of the model card

    def score(self, part: Part) -> float:
        """The main metric of the model on the part of the split that was judged."""
        metric = MAIN_METRIC[self.examples.schema.task]
        return self.evaluation.scores[part][self.name][metric]

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
    with _one_blas_thread(), open_run("train", config) as run:
        examples, parts = prepare(config)
        seed = seeds.integer(config.seed, "model")
        settings = config.training
        model = fit_model(config.model, examples, parts, seed, settings.threads, settings.device)
        examples = replace(examples, notes=[*examples.notes, *_learnt(config, examples, model)])
        if model.learnt not in (None, len(parts.train)):
            run.metrics["rows_learnt"] = model.learnt
        save_model(model, run.path / "model")
        run.model = _fingerprint(run.path / "model")
        # What is judged is what was saved, loaded again without anything of this process.
        model = load_model(run.path / "model")
        return _judge(run, config.model.name, config, model, examples, parts, "valid")


def evaluate(config: Config) -> Result:
    """Judge the model of ``config.evaluation.run`` on the test rows of the data it was trained for,
    or of what the command line says instead, and write a new run.

    Raises:
        UserError: there is no such run, the data lacks a feature the model needs, or the model has
            learnt from the rows it would be judged on.
    """
    source = find_run(config.evaluation.run, "train")
    recorded = read_manifest(source)["config"]
    config = load_config([*recorded["overrides"], *config.overrides])
    model = load_model(source / "model")
    with _one_blas_thread(), open_run("evaluate", config) as run:
        examples, parts = prepare(config)
        _check_features(source.name, model, examples)
        _refuse_seen(source.name, recorded, config, examples, parts, "test")
        for file in sorted((source / "model").iterdir()):
            run.add_input(file)
        run.model = _fingerprint(source / "model")
        # Columns as the model knows them; categories it has not seen count as missing.
        examples = replace(examples, schema=model.schema)
        name = recorded["model"]["name"]
        result = _judge(run, name, config, model, examples, parts, "test")
        return replace(result, card=_describe(run, source, result))


def prepare(config: Config) -> tuple[Examples, Split]:
    """The examples of ``config`` and their split, both checked."""
    examples = features.build(config)
    parts = split(examples, config.training.split, config.seed)
    report = check_parts(examples, parts)
    report.raise_if_stopped()
    return replace(examples, notes=[*examples.notes, *report.notes()]), parts


def _learnt(config: Config, examples: Examples, model: Model) -> list[str]:
    """What to tell of the rows that a model has learnt from, where it is not all."""
    stored = examples.stored
    if stored is None or stored.rows == len(examples):
        return []
    name = config.model.name
    if model.learnt is not None:
        rows = f"{model.learnt:,} rows of the {stored.rows:,} in files"
        return [f"{name} learnt from {rows}, the baseline from those of the sample"]
    why = f"model={name} reads no files"
    if name == BoostingConfig.name:
        why = "files are divided by time alone"
    return [f"{name} learnt from the sample alone, not from {stored.rows:,} rows in files: {why}"]


def _judge(
    run: Run,
    name: str,
    config: Config,
    model: Model,
    examples: Examples,
    parts: Split,
    part: Part,
) -> Result:
    others = {}
    if config.evaluation.against is not None:
        against = find_run(config.evaluation.against, "train")
        others[against.name] = load_model(against / "model")
        _check_features(against.name, others[against.name], examples)
        recorded = read_manifest(against)["config"]
        _refuse_seen(against.name, recorded, config, examples, parts, part)
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
    off, decision, looks = None, None, None
    if part == "test":
        looks = look(examples, parts, str(run.model), run.id)
        off = slices(name, examples, parts, found, config)
        write_atomic(run.path / "slices.csv", off.to_csv(index=False, float_format="%.6g").encode())
        if decision := decide(model, name, examples, parts, found, config):
            run.write_json("decision.json", decision.to_dict())
    assert run.model is not None
    made = (name, config, model, examples, parts, found, off, decision, looks)
    return Result(run.id, run.path, run.model, *made)


def _describe(run: Run, source: Path, result: Result) -> Path:
    """Explain the model on the test rows, and write its card; the path of its page."""
    examples, model = result.examples, result.model
    frame = examples.frame.iloc[result.split.test]
    predicted = result.evaluation.predictions["test"][result.name]
    explanation = explain(model, frame, predicted, result.config.seed)
    plots.save(plots.explained(explanation, model.schema), run.path / "plots")
    judged = Judged(
        manifest=read_manifest(run.path),
        trained=read_manifest(source),
        name=result.name,
        fingerprint=result.fingerprint,
        config=result.config,
        examples=examples,
        split=result.split,
        evaluation=result.evaluation,
        explanation=explanation,
        slices=result.slices,
        decision=result.decision,
        looks=result.looks,
        contract=examples.contract,
        span=examples.span,
        version=version(examples, result.split.test),
        pictures=sorted(f"plots/{path.name}" for path in (run.path / "plots").glob("*.png")),
    )
    run.records.add(RECORDS)
    return write_card(describe(judged, result.config.evaluation.card_examples), run.path)


def _refuse_seen(
    run: str,
    recorded: dict[str, Any],
    config: Config,
    examples: Examples,
    judged: Split,
    part: Part,
) -> None:
    """Check that the model of ``run`` has not learnt from the rows it is to be judged on: with
    another seed, split or choice of columns the same rows are divided in another way.

    Raises:
        UserError: it has.
    """
    now = config.to_dict()
    if _divided(now) == _divided(recorded) or _source(now) != _source(recorded):
        return
    sample = [f"training.{name}={now['training'][name] or 'null'}" for name in ("sample", "rows")]
    before, split_then = prepare(load_config([*recorded["overrides"], *sample]))
    if len(before) != len(examples):  # the file has other rows by now
        return
    known = [split_then.train] + [split_then.valid] * (part == "test")
    rows = judged.parts()[part]
    if seen := int(np.isin(rows, np.concatenate(known)).sum()):
        raise UserError(
            f"run {run} has learnt from {seen:,} of the {len(rows):,} rows that it would be judged "
            "on, as seed, training.split, features or data differ. Train it again with the same."
        )


def _divided(config: dict[str, Any]) -> list[Any]:
    """What the division of the rows depends on."""
    return [config["data"], config["features"], config["training"]["split"], config["seed"]]


def _source(config: dict[str, Any]) -> Any:
    data = config["data"]
    return [data.get("path"), data.get("table")] if data["kind"] == "table" else data


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
