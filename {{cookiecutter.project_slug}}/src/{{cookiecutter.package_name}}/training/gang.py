"""Boosting in several processes: each learns from its own files, and they agree on every split.

The ranks add up their histograms by XGBoost's own collective (Rabit), whose tracker runs beside
rank 0. Chen and Guestrin, "XGBoost: A scalable tree boosting system", 2016. The model depends on
how many ranks there are, as sums of floats do, and not on the engine that runs them.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import EngineConfig
from ..engines import Gang, open_engine
from ..errors import UserError

BOOTSTRAP = 120  # seconds in which all ranks have to meet

Batches = Callable[[list[Path]], Any]  # an xgboost.DataIter over the rows of files


@dataclass(frozen=True)
class Job:
    """What is to be learnt, for every rank; can be pickled.

    Attributes:
        files: the rows to learn from; a rank has every n-th.
        watched: the rows that say when to stop, the same way.
        batches: makes numbers of the rows of some ``files``, with their target.
        watched_batches: the same of ``watched``.
        parameters: of XGBoost, ``nthread`` (of a rank) and one ``eval_metric`` among them.
        rounds: trees to grow, at most.
        early_stopping: rounds without a better loss on ``watched`` after which to stop.
    """

    files: list[Path]
    watched: list[Path]
    batches: Batches
    watched_batches: Batches
    parameters: dict[str, Any]
    rounds: int
    early_stopping: int


@dataclass(frozen=True)
class Fitted:
    """A booster in XGBoost's own format (UBJSON), up to its best round, and its losses by round."""

    booster: bytes
    history: dict[str, list[float]]  # train, valid


def fit_gang(engine: EngineConfig, job: Job, ranks: int) -> Fitted:
    """Learn ``job`` with ``ranks`` processes of ``engine``.

    The same bytes on every engine; another number of ranks gives another model, equally good.
    When a rank dies, all begin again.

    Raises:
        UserError: there are fewer files than ranks, or the engine failed; see :mod:`..engines`.
    """
    fewest = min(len(job.files), len(job.watched))
    if ranks > fewest:
        raise UserError(
            f"training.ranks={ranks}: the rows lie in {fewest} files, and a rank needs one of its "
            "own. Use fewer ranks, or smaller files (data.shard_users)."
        )
    with open_engine(engine) as opened:
        fitted = opened.gang(fit_rank, job, ranks)[0]
    assert fitted is not None
    return fitted


def fit_rank(gang: Gang, job: Job) -> Fitted | None:
    """What one rank does; the first returns the model that all have."""
    import xgboost as xgb

    from .models.boosting import grow

    def mine(files: list[Path]) -> list[Path]:
        return files[gang.rank :: gang.size]

    common = {"enable_categorical": True, "nthread": job.parameters["nthread"]}
    with xgb.config_context(verbosity=1), together(gang):
        # The bins are made of the rows of all ranks.
        matrix = xgb.QuantileDMatrix(job.batches(mine(job.files)), **common)
        watched = xgb.QuantileDMatrix(job.watched_batches(mine(job.watched)), ref=matrix, **common)
        found = grow(job.parameters, matrix, watched, job.rounds, job.early_stopping)
    if gang.rank > 0:
        return None
    booster, history = found
    return Fitted(bytes(booster.save_raw("ubj")), history)


@contextmanager
def together(gang: Gang) -> Iterator[None]:
    """Let XGBoost add up over all ranks for the length of the block."""
    from xgboost import collective
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    tracker = None
    if gang.rank == 0:
        tracker = RabitTracker(
            n_workers=gang.size,
            host_ip=gang.host,
            port=gang.port,
            sortby="task",  # a rank is what we say it is: sums have an order
            timeout=BOOTSTRAP,
        )
        tracker.start()
    end = time.monotonic() + BOOTSTRAP
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                collective.init(
                    dmlc_communicator="rabit",
                    dmlc_tracker_uri=gang.host,
                    dmlc_tracker_port=gang.port,
                    dmlc_task_id=f"{gang.rank:05d}",
                    dmlc_retry=1,
                )
            break
        except XGBoostError:  # the tracker is not up yet; the library waits longer each time
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
    try:
        yield
        collective.finalize()
        if tracker is not None:
            tracker.wait_for(BOOTSTRAP)  # it is there until the last rank has taken its leave
    except BaseException:
        with contextlib.suppress(XGBoostError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            collective.finalize()
        raise
    finally:
        if tracker is not None:
            with contextlib.suppress(XGBoostError):  # what went wrong, the ranks have said
                tracker.free()
