"""Search for better settings: ``python -m {{ cookiecutter.package_name }}.tune model=boosting tuning.trials=30``.

Stopped or killed, the same command goes on where it was. The best settings are then trained as by
``train``, and the score that chose them is put beside what fresh splits give for them.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from omegaconf import DictConfig

from .config import PROJECT_ROOT, Config, cli, load_config
from .data.examples import Examples
from .errors import UserError
from .runs import Run, claim, open_run, runs_folder, sha256, write_atomic
from .training.splits import Split
from .training.tuning.launch import explore
from .training.tuning.search import Outcome, Search
from .training.tuning.space import read_space

_prepared: dict[str, tuple[Examples, Split]] = {}  # of this process: trials share their rows


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    ``claimed`` is the score that chose the best trial, on the validation rows that all trials were
    chosen by: it was looked for, and so it is too good. ``fresh`` are scores on other splits of the
    rows that are not test rows, of the best settings and of the configuration as it stands.
    """

    run: str
    trained: str  # the run of the best settings
    fingerprint: str  # of their model
    metric: str
    trials: list[Outcome]
    best: Outcome
    claimed: float
    fresh: Fresh
    overrides: list[str]  # what trains the best settings again

    @property
    def optimism(self) -> float:
        """By how much the claim is better than the fresh splits; positive is too good."""
        gap = self.claimed - self.fresh.best.value
        return -gap if self.metric in LOWER_IS_BETTER else gap

    def report(self) -> str:
        """The outcome, in a few lines for a terminal."""
        states = Counter(each.state for each in self.trials)
        name, first = title(self.metric), self.trials[0]
        stands = "none" if first.score is None else f"{first.score:.4f}"
        lines = [
            f"{len(self.trials)} trials: {', '.join(f'{n} {state}' for state, n in states.items())}",
            f"best is trial {self.best.number}: "
            + (" ".join(self.best.overrides()) or "the configuration as it stands"),
            f"{name:<34}{'best':>9}  {'':<18}{'as it stands':>12}",
            f"{'claimed (chosen by these rows)':<34}{self.claimed:>9.4f}  {'':<18}{stands:>12}",
            f"{f'fresh ({self.fresh.how})':<34}{self.fresh.best}  {self.fresh.default}",
            f"{'optimism: claimed minus fresh':<34}{self.optimism:>+9.4f}",
            self.fresh.sentence(name),
            f"run {self.run}, trained as run {self.trained}, model {self.fingerprint}",
        ]
        return "\n".join(lines)


def main(config: Config) -> None:
    """Search as ``config`` says, and print what was found and what to make of it."""
    if config.dry_run:
        print(config.to_yaml())
        return
    try:
        tuned = tune(config)
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        raise
    print(tuned.report())


def tune(config: Config) -> Tuned:
    """Search, train with the best settings found, and judge both on fresh splits.

    Raises:
        UserError: the space or the data cannot be used as the configuration says, or no trial
            came to a score.
    """
    from threadpoolctl import threadpool_limits

    from .evaluation.metrics import LOWER_IS_BETTER, MAIN_METRIC
    from .workflow import train

    space = read_space(config)
    with threadpool_limits(1, user_api="blas"), open_run("tune", config) as run:
        examples, parts = _prepare(config)
        metric = MAIN_METRIC[examples.schema.task]
        direction: Literal["minimize", "maximize"]
        direction = "minimize" if metric in LOWER_IS_BETTER else "maximize"
        for path, rows in examples.inputs.items():
            run.add_input(path, rows, derived=examples.derived)
        key = _key(config, examples)
        path = runs_folder() / "searches" / f"{key}.journal"
        search = Search(path, direction, space, config.tuning, config.seed)
        with claim({f"search {key}": f"the search {path.name}"}, run.id):
            search.prepare()
            trials = explore(search, partial(trial, search), _overrides(config), run.path)
        best = search.best(before=config.tuning.trials)
        assert best is not None and best.score is not None
        own = [each for each in config.overrides if not each.lstrip("+~").startswith("tuning")]
        result = train(load_config([*own, *best.overrides()]))
        run.model = result.fingerprint
        run.metrics[f"claimed.{metric}"] = best.score
        _write(run, metric, trials, best)
        return Tuned(run.id, result.run, metric, trials, best, best.score)


def trial(search: Search, cfg: DictConfig) -> None:
    """Run one trial of ``search``, the one that Hydra's launcher numbers; in any process."""
    from hydra.core.hydra_config import HydraConfig
    from threadpoolctl import threadpool_limits

    from .config.load import parse

    hydra = HydraConfig.get()
    config = parse(cfg, list(hydra.overrides.task))
    with threadpool_limits(1, user_api="blas"):
        search.run(int(hydra.job.num), config, partial(validate, config))


def validate(config: Config) -> float:
    """The main metric on the validation rows, of a model fitted on the training rows.

    The test rows are not there at all. No baseline, no interval, no figure: a trial needs none.
    """
    from .evaluation.metrics import MAIN_METRIC, score
    from .training import seeds
    from .training.models import fit_model

    examples, parts = _prepare(config)
    seed = seeds.integer(config.seed, "model")
    threads = max(1, config.training.threads // _at_once(config))
    model = fit_model(config.model, examples, parts, seed, threads)
    frame = examples.frame.iloc[parts.valid]
    schema = replace(examples.schema, ranking=None)  # the main metric is none of ranking
    return score(frame, model.predict(frame), schema)[MAIN_METRIC[schema.task]]


def _prepare(config: Config) -> tuple[Examples, Split]:
    """The training and validation rows of ``config``, kept in this process for the next trial."""
    from .workflow import prepare

    known = config.to_dict()
    key = json.dumps([known[each] for each in ("data", "features", "training", "seed")])
    if key not in _prepared:
        _prepared.clear()  # one at a time: a table may be large
        _prepared[key] = _without_test(*prepare(config))
    return _prepared[key]


def _without_test(examples: Examples, parts: Split) -> tuple[Examples, Split]:
    kept = np.sort(np.concatenate([parts.train, parts.valid]))
    frame = examples.frame.iloc[kept].reset_index(drop=True)
    train, valid = (np.searchsorted(kept, rows) for rows in (parts.train, parts.valid))
    return replace(examples, frame=frame), replace(
        parts, train=train, valid=valid, test=np.array([], dtype=np.int64)
    )


def _key(config: Config, examples: Examples) -> str:
    """What names a search by all that its trials depend on: settings, data, code and versions."""
    known = config.to_dict()
    parts = {each: known[each] for each in ("data", "features", "model", "seed")}
    parts["split"] = known["training"]["split"]
    tuning = known["tuning"]
    parts["tuning"] = {k: tuning[k] for k in ("space", "sampler", "pruner", "warmup", "batch")}
    parts["inputs"] = sorted(sha256(path) for path in examples.inputs)
    code = Path(__file__).parent
    files = [*sorted(code.rglob("*.py")), PROJECT_ROOT / "uv.lock"]
    parts["code"] = [sha256(path) for path in files if path.is_file()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _overrides(config: Config) -> list[str]:
    """The command line of each trial, with a launcher for as many as run at once."""
    from hydra.core.hydra_config import HydraConfig

    given = HydraConfig.get().overrides.hydra if HydraConfig.initialized() else []
    own = [each for each in given if not each.startswith("hydra.mode")]
    if any(each.startswith("hydra/launcher") for each in own) or _at_once(config) == 1:
        return [*config.overrides, *own]
    jobs = _at_once(config)
    return [*config.overrides, *own, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def _at_once(config: Config) -> int:
    return min(config.tuning.jobs, config.tuning.batch)


def _write(run: Run, metric: str, trials: Sequence[Outcome], best: Outcome) -> None:
    import pandas as pd

    rows = [
        {
            "trial": each.number,
            "state": each.state,
            metric: each.score,
            "rounds": each.rounds,
            **each.parameters,
            "error": each.error,
        }
        for each in trials
    ]
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False)
    write_atomic(run.path / "trials.csv", text.getvalue())


if __name__ == "__main__":
    # By its own name, so that other processes find what they are to run.
    from . import tune as module

    cli(module.main)
