"""The path from a configuration to a judged model, the same for command lines and notebooks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from . import features
from .config import Config, load_config
from .data.examples import Examples
from .errors import UserError
from .evaluation import plots
from .evaluation.evaluate import BASELINE, Evaluation, figures, intervals, write_predictions
from .evaluation.evaluate import evaluate as judge
from .evaluation.metrics import title
from .runs import Run, find_run, open_run, read_manifest, sha256
from .training import seeds
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

    def report(self, part: Literal["valid", "test"]) -> str:
        """The outcome on one part of the split, in a few lines for a terminal."""
        lines = list(self.examples.notes)
        sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in self.split.parts().items())
        schema = self.examples.schema
        lines.append(f"{schema.task} of '{schema.target}', {len(schema.features)} features")
        lines.append(f"{len(self.examples):,} rows ({self.split.how}): {sizes}")
        scores = self.evaluation.scores[part]
        lines.append(f"{part:<20}" + "".join(f"{name:>14}" for name in scores))
        for metric in scores[self.name]:
            row = "".join(f"{found[metric]:>14.4f}" for found in scores.values())
            lines.append(f"{title(metric):<20}{row}")
        return "\n".join(lines)


def train(config: Config) -> Result:
    """Build the examples, split them, fit, judge, and write it all into a new run.

    Raises:
        UserError: the data cannot be used as the configuration says; no run is left behind.
    """
    with _one_blas_thread(), open_run("train", config) as run:
        examples, parts = prepare(config)
        seed = seeds.integer(config.seed, "model")
        model = fit_model(config.model, examples, parts, seed, config.training.threads)
        save_model(model, run.path / "model")
        run.model = _fingerprint(run.path / "model")
        # What is judged is what was saved, loaded again without anything of this process.
        model = load_model(run.path / "model")
        return _judge(run, config.model.name, config, model, examples, parts)


def evaluate(config: Config) -> Result:
    """Judge the model of ``config.evaluation.run`` on the data it was trained for, or on what the
    command line says instead, and write a new run.

    Raises:
        UserError: there is no such run, or the data lacks a feature the model needs.
    """
    source = find_run(config.evaluation.run, "train")
    recorded = read_manifest(source)["config"]
    config = load_config([*recorded["overrides"], *config.overrides])
    model = load_model(source / "model")
    with _one_blas_thread(), open_run("evaluate", config) as run:
        examples, parts = prepare(config)
        needed, there = model.schema.features, examples.schema.features
        if missing := [name for name in needed if there.get(name) != needed[name]]:
            raise UserError(
                f"run {source.name} needs features the data lacks: {', '.join(missing)}."
            )
        for file in sorted((source / "model").iterdir()):
            run.add_input(file)
        run.model = _fingerprint(source / "model")
        # Columns as the model knows them; categories it has not seen count as missing.
        examples = replace(examples, schema=model.schema)
        return _judge(run, recorded["model"]["name"], config, model, examples, parts)


def prepare(config: Config) -> tuple[Examples, Split]:
    """The examples of ``config`` and their split."""
    examples = features.build(config)
    return examples, split(examples, config.training.split, config.seed)


def _judge(
    run: Run, name: str, config: Config, model: Model, examples: Examples, parts: Split
) -> Result:
    found = judge(model, name, examples, parts, config)
    write_predictions(run.path / "predictions.parquet", name, examples, parts, found)
    run.write_json("metrics.json", found.scores)
    plots.save(figures(model, examples, parts, found, config), run.path / "plots")
    for path, rows in examples.inputs.items():
        run.add_input(path, rows, derived=examples.derived)
    run.metrics.update(found.flat())
    run.intervals.update(intervals(name, examples, parts, found, config))
    assert run.model is not None
    return Result(run.id, run.path, run.model, name, config, model, examples, parts, found)


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


__all__ = ["BASELINE", "Result", "evaluate", "prepare", "train"]
