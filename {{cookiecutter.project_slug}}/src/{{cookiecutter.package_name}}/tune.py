"""Tune a model: ``python -m {{ cookiecutter.package_name }}.tune model=boosting``.

Stopped or killed, the same command goes on where it was. The best settings found are trained as by
``train``, and the score that chose them is put beside what fresh splits give for them.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig

from .config import PROJECT_ROOT, Config, cli, load_config
from .runs import Run, claim, open_run, runs_folder, sha256, write_atomic

if TYPE_CHECKING:
    from .data.examples import Examples
    from .evaluation.crossval import Estimate
    from .training.splits import Split
    from .training.tuning.search import Outcome, Search

SEARCHES = "searches"  # below the runs folder: a file for each search

_prepared: dict[str, tuple[Examples, Split]] = {}  # of this process: trials share their rows


@dataclass(frozen=True)
class Fresh:
    """What other splits of the rows that are not test rows say, with 95 % intervals.

    ``gain`` is by how much the best settings are better than the configuration as it stands, on the
    same folds; positive is better for every metric.
    """

    best: Estimate
    default: Estimate
    gain: Estimate
    folds: int

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` only where the interval leaves out 0, else ``no better``."""
        return "better" if self.gain.low > 0 else "worse" if self.gain.high < 0 else "no better"


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    ``claimed`` is the score that chose the best trial among all on the same validation rows, and so
    is too good; ``fresh`` is what to expect.
    """

    run: str
    folder: Path
    trained: str  # the run of the best settings
    model: str  # fingerprint of their model
    metric: str
    trials: list[Outcome]
    best: Outcome
    claimed: float
    fresh: Fresh
    overrides: list[str]  # what trains the best settings again

    @property
    def optimism(self) -> float:
        """By how much the claim is better than the fresh splits; positive is too good."""
        return _sign(self.metric) * (self.claimed - self.fresh.best.mean)

    def report(self) -> str:
        """The outcome, in a few lines for a terminal."""
        from .evaluation.metrics import title

        states = Counter(each.state for each in self.trials)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        settings = " ".join(self.best.overrides()) or "the configuration as it stands"
        fresh, stands = self.fresh, self.trials[0].score
        gain = None if stands is None else _sign(self.metric) * (self.claimed - stands)
        rows = [
            (title(self.metric), "best settings", "as it stands", "better by"),
            ("claimed by the search", _value(self.claimed), _value(stands), _value(gain, "+")),
            (
                f"on {fresh.folds} fresh splits",
                _estimate(fresh.best),
                _estimate(fresh.default),
                _estimate(fresh.gain, "+"),
            ),
            ("optimism, claimed less fresh", _value(self.optimism, "+"), "", ""),
        ]
        lines = [
            f"{len(self.trials)} trials: {counts}",
            f"best is trial {self.best.number}: {settings}",
            *(f"{name:<30}{one:<28}{two:<28}{three}".rstrip() for name, one, two, three in rows),
            f"On fresh splits the best settings are {fresh.verdict} than the configuration as it "
            "stands.",
            f"to train them again: train {' '.join(self.overrides)}",
            f"run {self.run}, trained as run {self.trained}, model {self.model}",
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
    """Search, train the best settings found as ``train`` does, and judge them on fresh splits.

    Test rows are not read.

    Raises:
        UserError: the space or the data cannot be used as the configuration says, or no trial
            came to a score.
    """
    from threadpoolctl import threadpool_limits

    from .evaluation.metrics import MAIN_METRIC
    from .training.tuning.launch import explore
    from .training.tuning.search import Search
    from .training.tuning.space import read_space
    from .workflow import train

    space = read_space(config)
    with threadpool_limits(1, user_api="blas"), open_run("tune", config) as run:
        examples, _ = _prepare(config)
        for path, rows in examples.inputs.items():
            run.add_input(path, rows, derived=examples.derived)
        metric = MAIN_METRIC[examples.schema.task]
        direction: Literal["minimize", "maximize"]
        direction = "maximize" if _sign(metric) > 0 else "minimize"
        key = _key(config, examples)
        path = runs_folder() / SEARCHES / f"{key}.journal"
        search = Search(path, direction, space, config.tuning, config.seed)
        with claim({f"search {key}": f"the search {path.name}"}, run.id):
            search.prepare()
            trials = explore(search, partial(trial, search), _overrides(config), run.path)
        best = search.best(before=config.tuning.trials)
        assert best is not None and best.score is not None
        own = [each for each in config.overrides if not each.lstrip("+~").startswith("tuning")]
        chosen = load_config([*own, *best.overrides()])
        result = train(chosen)
        run.model = result.fingerprint
        fresh = judge(config, load_config([*config.overrides, *best.overrides()]), metric)
        found = Tuned(
            run.id,
            run.path,
            result.run,
            result.fingerprint,
            metric,
            trials,
            best,
            best.score,
            fresh,
            chosen.overrides,
        )
        _write(run, found, search)
        return found


def judge(default: Config, best: Config, metric: str) -> Fresh:
    """Both configurations on the same folds, which are other splits than the one that chose."""
    import numpy as np

    from .evaluation.crossval import corrected, cross_validate

    values, estimates, ratio = [], [], 1.0
    for config in (best, default):
        examples, _ = _prepare(config)
        found = cross_validate(config, examples, np.arange(len(examples)))
        name = config.model.name
        own = found.scores[(found.scores.model == name) & (found.scores.metric == metric)]
        ratio = float((own.judged / own.learnt).mean())
        values.append(own.value.to_numpy())
        estimates.append(found.estimates[name][metric])
    gain = corrected(_sign(metric) * (values[0] - values[1]), ratio)
    return Fresh(estimates[0], estimates[1], gain, len(values[0]))


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
    model = fit_model(config.model, examples, parts, seed, threads, config.training.device)
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
    import numpy as np

    kept = np.sort(np.concatenate([parts.train, parts.valid]))
    train, valid = (np.searchsorted(kept, rows) for rows in (parts.train, parts.valid))
    frame = examples.frame.iloc[kept].reset_index(drop=True)
    left = replace(parts, train=train, valid=valid, test=np.array([], dtype=np.int64))
    return replace(examples, frame=frame, stored=None), left  # many fits: of the sample alone


def _key(config: Config, examples: Examples) -> str:
    """What names a search by all that its trials depend on: settings, data, code and versions."""
    known = config.to_dict()
    parts: dict[str, Any] = {each: known[each] for each in ("data", "features", "model", "seed")}
    parts["split"], tuning = known["training"]["split"], known["tuning"]
    parts["tuning"] = {k: tuning[k] for k in ("space", "sampler", "pruner", "warmup", "batch")}
    parts["inputs"] = sorted(sha256(path) for path in examples.inputs)
    files = [*sorted(Path(__file__).parent.rglob("*.py")), PROJECT_ROOT / "uv.lock"]
    parts["code"] = [sha256(path) for path in files if path.is_file()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _overrides(config: Config) -> list[str]:
    """The command line of each trial, with a launcher for as many as run at once."""
    from hydra.core.hydra_config import HydraConfig

    given = list(HydraConfig.get().overrides.hydra) if HydraConfig.initialized() else []
    own = [each for each in given if not each.startswith("hydra.mode")]
    if any(each.startswith("hydra/launcher") for each in own) or _at_once(config) == 1:
        return [*config.overrides, *own]
    jobs = _at_once(config)
    return [*config.overrides, *own, "hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"]


def _at_once(config: Config) -> int:
    return min(config.tuning.jobs, config.tuning.batch)


def _sign(metric: str) -> int:
    from .evaluation.metrics import LOWER_IS_BETTER

    return -1 if metric in LOWER_IS_BETTER else 1


def _value(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{value:{sign}.4f}"


def _estimate(each: Estimate, sign: str = "") -> str:
    return f"{each.mean:{sign}.4f} ({each.low:{sign}.4f} to {each.high:{sign}.4f})"


def _write(run: Run, found: Tuned, search: Search) -> None:
    """``trials.csv``, ``tuning.json``, the figures, and the metrics of the manifest."""
    import pandas as pd

    from .evaluation import plots
    from .evaluation.metrics import title

    metric, trials, fresh = found.metric, found.trials, found.fresh
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
    table = pd.DataFrame(rows)
    text = io.StringIO()
    table.to_csv(text, index=False)
    write_atomic(run.path / "trials.csv", text.getvalue())
    estimates = {"best": fresh.best, "default": fresh.default, "gain": fresh.gain}
    outcome = {
        "metric": metric,
        "overrides": found.overrides,
        "claimed": found.claimed,
        "optimism": found.optimism,
        "verdict": fresh.verdict,
        "fresh": {name: asdict(each) for name, each in estimates.items()},
    }
    run.write_json("tuning.json", outcome)
    run.metrics |= {f"claimed.{metric}": found.claimed, f"optimism.{metric}": found.optimism}
    for name, each in estimates.items():
        run.metrics[f"fresh.{name}.{metric}"] = each.mean
        run.intervals[f"fresh.{name}.{metric}"] = (each.low, each.high)
    scores = [each.score for each in trials]
    scored = table[table[metric].notna()]
    log = [each.key for each in search.space if getattr(each.distribution, "log", False)]
    values = {each.key: scored[each.key].tolist() for each in search.space}
    charts = {
        "search": plots.search(scores, _sign(metric) < 0, title(metric)),
        "tried": plots.tried(values, scored[metric].tolist(), log, title(metric)),
    }
    plots.save(charts, run.path / "plots")


if __name__ == "__main__":
    # By its own name, so that other processes find what they are to run.
    from . import tune as module

    cli(module.main)
