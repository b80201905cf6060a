"""Ray: a cluster of several processes on this machine, or the one at ``engine.address``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..config import EngineConfig
from ..errors import UserError
from ..progress import track
from .base import (
    ATTEMPTS,
    GRACE,
    Engine,
    Gang,
    Outcome,
    R,
    T,
    attempt,
    environment,
    free_port,
    lost,
    missing,
    reach,
    value,
    values,
)

STORE = 128  # MiB for objects that wait: parts hand files on, not rows
PATIENCE = 60.0  # seconds to wait for room for a gang

_running: EngineConfig | None = None  # what the cluster of this process was started for


class RayEngine(Engine):
    """See :class:`~.base.Engine`. ``engine.options`` are those of ``ray.init``.

    A cluster takes seconds to start: it stays until this process ends.
    """

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        global _running
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Below `uv run` Ray would pack this folder and start its workers by way of uv, elsewhere.
        os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes long
        try:
            import ray
        except ImportError as error:
            raise missing("ray") from error
        self._ray = ray
        if ray.is_initialized() and _running == config:
            return
        ray.shutdown()
        settings: dict[str, Any] = {"address": config.address, "log_to_driver": False}
        if config.address is None:
            settings |= {"address": "local", "num_cpus": config.workers, "include_dashboard": False}
            settings["object_store_memory"] = STORE << 20
        else:
            reach(config.address, "HOST:6379 or ray://HOST:10001")
        settings |= {"logging_level": "ERROR", "runtime_env": {"env_vars": environment()}}
        try:
            ray.init(**{**settings, **config.options})
        except Exception as error:  # it raises just that when its processes do not start
            hint = " Does it ask for a token (RAY_AUTH_TOKEN)?" if config.address else ""
            raise UserError(f"engine=ray could not begin: {_first_line(error)}.{hint}") from error
        _running = config

    def map(self, function: Callable[[T], R], items: Sequence[T], what: str) -> list[R]:
        found = {
            index: value(outcome)
            for index, outcome in track(self._map(function, items, what), what, len(items))
        }
        return [found[index] for index in range(len(items))]

    def _map(
        self, function: Callable[[T], R], items: Sequence[T], what: str
    ) -> Iterator[tuple[int, Outcome]]:
        """The outcomes as they come, each with the number of its item."""
        ray = self._ray
        task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(attempt)
        left = {task.remote(function, item): index for index, item in enumerate(items)}
        try:
            while left:
                for done in ray.wait(list(left))[0]:
                    index = left.pop(done)
                    try:
                        yield index, ray.get(done)
                    except ray.exceptions.RayError as error:
                        raise lost(what, items[index], _first_line(error)) from error
        finally:
            for each in left:
                ray.cancel(each, force=True)

    def gang(self, function: Callable[[Gang, T], R], item: T, size: int) -> list[R]:
        reason = ""
        for _ in range(ATTEMPTS):
            ranks = self._ranks(size)
            try:
                outcomes, reason = self._together(ranks, function, item)
            finally:
                for rank in ranks:
                    self._ray.kill(rank)
            if (found := values(outcomes, size)) is not None:
                return found
        raise lost("a gang", item, reason)

    def _ranks(self, size: int) -> list[Any]:
        """A process for each rank, all at the same time."""
        ray = self._ray
        ranks = [ray.remote(num_cpus=1)(_Rank).remote() for _ in range(size)]
        ready, waiting = ray.wait(
            [r.address.remote() for r in ranks], num_returns=size, timeout=PATIENCE
        )
        if waiting:
            for rank in ranks:
                ray.kill(rank)
            raise UserError(
                f"the cluster has no room for {size} ranks at a time, only for {len(ready)}, and "
                f"none came free in {PATIENCE:.0f} s: fewer (training.ranks), or a larger cluster."
            )
        return ranks

    def _together(
        self, ranks: list[Any], function: Callable[[Gang, T], R], item: T
    ) -> tuple[dict[int, Outcome], str]:
        """The outcomes of the ranks that did not die, and how the last that did has ended."""
        ray, outcomes, reason = self._ray, dict[int, Outcome](), ""
        try:
            host, port = ray.get(ranks[0].address.remote())
        except ray.exceptions.RayError as error:
            return outcomes, _first_line(error)
        left = {
            each.run.remote(function, Gang(rank, len(ranks), host, port), item): rank
            for rank, each in enumerate(ranks)
        }
        patience: float | None = None
        while left and (ready := ray.wait(list(left), timeout=patience)[0]):
            rank = left.pop(ready[0])
            try:
                outcomes[rank] = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                reason = _first_line(error)
            if rank not in outcomes or outcomes[rank][1] is not None:
                patience = GRACE
        return outcomes, reason


class _Rank:
    """Keeps a place for a rank of a gang."""

    def address(self) -> tuple[str, int]:
        import ray

        return ray.util.get_node_ip_address(), free_port()

    def run(self, function: Callable[..., Any], gang: Gang, item: Any) -> Outcome:
        return attempt(function, gang, item)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
