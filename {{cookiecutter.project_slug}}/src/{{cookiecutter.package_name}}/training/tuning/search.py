"""The trials of a search by Optuna: what is tried next, what came of it, and where that is kept.

Akiba et al., "Optuna: A next-generation hyperparameter optimization framework", 2019; what is
proposed comes from the tree-structured Parzen estimator (Bergstra et al., 2011).

A trial has a number, and a batch of trials is proposed together. What is proposed and what is
stopped early depends on the seed, the number and the outcome of the batches before, and on nothing
else: not on which process was faster, and not on whether the search was killed in between.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...config import Config, TuningConfig
from ...errors import UserError
from .. import rounds
from ..seeds import integer
from .space import Parameter, assign

if TYPE_CHECKING:
    import optuna

_NUMBER, _ERROR = "number", "error"  # what a trial is marked with in the file
_LOCKED = 5  # seconds after which nobody is still writing a line: the lock is one of the killed


@dataclass(frozen=True)
class Outcome:
    """What came of a trial. ``score`` is None where there is none; ``rounds`` are those learnt."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    score: float | None
    parameters: dict[str, Any]
    rounds: int
    error: str = ""

    def overrides(self) -> list[str]:
        """What to write on a command line to have its configuration."""
        return assign(self.parameters) if self.number else []


@dataclass(frozen=True)
class Search:
    """A search, in a file of its own; other processes may have the same at the same time."""

    path: Path
    direction: Literal["minimize", "maximize"]
    space: Sequence[Parameter]
    settings: TuningConfig
    seed: int

    def prepare(self) -> None:
        """Make the file, or mend it where a kill has left half a line; nobody else may use it."""
        import optuna

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(0)
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
        storage = self._storage()
        if not storage.get_all_studies():
            optuna.create_study(
                storage=storage, study_name=self.path.stem, direction=self.direction
            )

    def outcomes(self) -> dict[int, Outcome]:
        """What came of the trials so far, by number."""
        return {number: _outcome(number, trial) for number, trial in self._finished().items()}

    def best(self, before: int | None = None) -> Outcome | None:
        """The best of all trials, or of those with a number ``before`` this one."""
        complete = [
            each
            for number, each in sorted(self.outcomes().items())
            if each.state == "complete" and (before is None or number < before)
        ]
        if not complete:
            return None
        sign = self._sign()
        return min(complete, key=lambda each: (sign * (each.score or 0.0), each.number))

    def propose(self, number: int) -> dict[str, Any]:
        """The parameters of trial ``number``; none for the first: the configuration as it is."""
        import optuna

        if number == 0:
            return {}
        seed = integer(self.seed, f"tuning {number}")
        sampler: optuna.samplers.BaseSampler
        if self.settings.sampler == "random":
            sampler = optuna.samplers.RandomSampler(seed)
        else:
            sampler = optuna.samplers.TPESampler(seed=seed)
        study = self._before(number, sampler=sampler)
        asked = study.ask({each.key: each.distribution for each in self.space})
        return {each.key: each.rounded(asked.params[each.key]) for each in self.space}

    def run(self, number: int, config: Config, objective: Callable[[], float]) -> None:
        """Let ``objective`` fit and score the model of ``config``, and keep what came of it.

        An error is an outcome as well. Does nothing where the trial has one already.
        """
        import optuna

        kept = self._kept()
        if number in _by_number(kept):
            return
        values = {each.key: each.of(config) for each in self.space}
        # The configuration as it stands may lie outside; then it teaches nothing about the space.
        inside = {each.key: each for each in self.space if each.holds(values[each.key])}
        study = self._before(number, pruner=self._pruner())
        study.enqueue_trial({key: values[key] for key in inside})
        trial = study.ask({key: each.distribution for key, each in inside.items()})
        sign, score = self._sign(), None
        attributes: dict[str, Any] = {_NUMBER: number, "values": values}

        def hear(step: int, loss: float) -> None:
            trial.report(sign * loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        state = optuna.trial.TrialState.COMPLETE
        try:
            with rounds.listen(hear):
                score = objective()
            if not math.isfinite(score):
                raise UserError(f"the score is {score}")
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        except Exception as error:  # whatever it was, the next trial may do better
            state, score = optuna.trial.TrialState.FAIL, None
            name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            attributes[_ERROR] = f"{name}{error}"
        frozen = study.get_trials(deepcopy=False)[-1]
        kept.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=score,
                params=frozen.params,
                distributions=frozen.distributions,
                user_attrs=attributes,
                intermediate_values=frozen.intermediate_values,
            )
        )

    def _sign(self) -> int:
        return 1 if self.direction == "minimize" else -1

    def _pruner(self) -> optuna.pruners.BasePruner:
        import optuna

        if self.settings.pruner == "none":
            return optuna.pruners.NopPruner()
        return optuna.pruners.MedianPruner(n_warmup_steps=self.settings.warmup)

    def _storage(self) -> optuna.storages.BaseStorage:
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = os.fspath(self.path)
        lock = JournalFileOpenLock(path, grace_period=_LOCKED)
        return optuna.storages.JournalStorage(JournalFileBackend(path, lock_obj=lock))

    def _kept(self) -> optuna.Study:
        """The study in the file."""
        import optuna

        return optuna.load_study(study_name=None, storage=self._storage())

    def _finished(self) -> dict[int, optuna.trial.FrozenTrial]:
        return _by_number(self._kept())

    def _before(self, number: int, **tools: Any) -> optuna.Study:
        """A study in memory with the trials that trial ``number`` may know of, in their order."""
        import optuna

        study = optuna.create_study(direction=self.direction, **tools)
        first = number // self.settings.batch * self.settings.batch
        for found, trial in sorted(self._finished().items()):
            if found < first:
                study.add_trial(trial)
        return study


def _by_number(study: optuna.Study) -> dict[int, optuna.trial.FrozenTrial]:
    """The first trial of each number: a process that outlived a kill may have added it again."""
    found: dict[int, optuna.trial.FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        found.setdefault(trial.user_attrs[_NUMBER], trial)
    return found


def _outcome(number: int, trial: optuna.trial.FrozenTrial) -> Outcome:
    states: dict[str, Any] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    return Outcome(
        number,
        states[trial.state.name],
        trial.value if trial.state.name == "COMPLETE" else None,
        dict(trial.user_attrs["values"]),
        len(trial.intermediate_values),
        trial.user_attrs.get(_ERROR, ""),
    )
