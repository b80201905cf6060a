"""Run the trials of a search, batch by batch, with a launcher of Hydra's.

A launcher composes the configuration of each trial and runs them one after the other (``basic``),
in processes (``joblib``), or on whatever machines another one knows. A sweeper of Hydra's would do
the same; Hydra takes those only from installed plugins, and the one for Optuna can neither stop a
trial early nor go on with a search.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ...config import CONF
from ...errors import UserError
from .search import Outcome, Search
from .space import assign

Task = Callable[[DictConfig], None]


def explore(search: Search, task: Task, overrides: Sequence[str], folder: Path) -> list[Outcome]:
    """Run what is missing of the trials of ``search``; returns what came of all, by number.

    Args:
        task: runs one trial; it is given the trial's configuration, and finds its number in
            ``hydra.job.num``. Must be importable, as other processes run it.
        overrides: the command line, with those of Hydra itself.
        folder: where a launcher may write.

    Raises:
        UserError: no trial came to a score, or the processes of the launcher died.
    """
    settings = search.settings
    began, at_start = time.monotonic(), len(search.outcomes())
    if at_start:
        _say(f"going on with {search.path}: {min(at_start, settings.trials)} trials are there")
    with _launcher(task, [*overrides, f"hydra.sweep.dir={_quoted(folder)}"]) as launch:
        for first in range(0, settings.trials, settings.batch):
            numbers = range(first, min(first + settings.batch, settings.trials))
            best = search.best(before=first)
            if settings.patience and best and first - best.number > settings.patience:
                _say(f"no better trial in {settings.patience}: the search ends")
                break
            if set(numbers) <= set(search.outcomes()):
                continue
            launch([assign(search.propose(number)) for number in numbers], first)
            done = search.outcomes()
            _refuse_failure(search, done)
            _tell(search, done, (time.monotonic() - began) / max(len(done) - at_start, 1))
    found = sorted(search.outcomes().items())
    return [outcome for number, outcome in found if number < settings.trials]


@contextmanager
def _launcher(task: Task, overrides: list[str]) -> Iterator[Callable[[list[list[str]], int], None]]:
    """What runs a list of overrides as trials, with the number of the first."""
    from hydra import initialize_config_dir
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.initialize import get_gh_backup, restore_gh_from_backup
    from hydra.types import HydraContext, RunMode

    before = get_gh_backup()  # a command line that sweeps has Hydra in use already
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            config = hydra.compose_config(
                "config", overrides, run_mode=RunMode.MULTIRUN, with_log_configuration=False
            )
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=HydraContext(hydra.config_loader, Callbacks(config)),
                task_function=task,
                config=config,
            )
            own = list(config.hydra.overrides.task)

            def launch(trials: list[list[str]], first: int) -> None:
                try:
                    done = launcher.launch([[*own, *each] for each in trials], first)
                except BrokenProcessPool as error:
                    raise UserError(
                        "a process of the search was killed, for its memory perhaps: fewer at a "
                        "time (tuning.jobs) need less. The same command goes on where it was."
                    ) from error
                for found in done:
                    _ = found.return_value  # raises what the trial raised

            yield launch
    finally:
        restore_gh_from_backup(before)


def _refuse_failure(search: Search, done: dict[int, Outcome]) -> None:
    if any(each.state != "failed" for each in done.values()):
        return
    reasons = Counter(each.error for each in done.values())
    # Nothing was learnt; whoever has mended the cause starts anew.
    search.path.unlink()
    raise UserError(f"all of the first {len(done)} trials failed: {reasons.most_common(1)[0][0]}")


def _tell(search: Search, done: dict[int, Outcome], seconds: float) -> None:
    trials = search.settings.trials
    count = sum(number < trials for number in done)
    best = search.best(before=trials)
    words = [f"trial {count} of {trials}"]
    if best:
        words.append(f"best {best.score:.4f} (trial {best.number})")
    for state in ("pruned", "failed"):
        if found := sum(each.state == state for each in done.values()):
            words.append(f"{found} {state}")
    if count < trials:
        left = seconds * (trials - count)
        words.append(f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left")
    _say(", ".join(words))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _quoted(value: Any) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
