"""Spark: threads of this machine with Python workers, or the cluster at ``engine.address``."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ..config import EngineConfig
from ..errors import UserError
from .base import (
    ATTEMPTS,
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

PATIENCE = 60  # seconds to wait for executors, and for room for a gang

_running: EngineConfig | None = None  # what the session of this process was started for


class SparkEngine(Engine):
    """See :class:`~.base.Engine`. ``engine.options`` are settings of Spark's own.

    A session takes seconds to start: it stays until this process ends.
    """

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._context = session(config).sparkContext

    def map(self, function: Callable[[T], R], items: Sequence[T], what: str) -> list[R]:
        if not items:
            return []
        self._context.setJobDescription(what)
        parts = self._context.parallelize(items, len(items))  # a task with attempts of its own each
        try:
            outcomes = parts.map(partial(attempt, function)).collect()
        except _failure() as error:
            found = re.search(r"Task (\d+) in stage", str(error))
            raise lost(what, items[int(found[1])] if found else items, _reason(error)) from error
        return [value(outcome) for outcome in outcomes]

    def gang(self, function: Callable[[Gang, T], R], item: T, size: int) -> list[R]:
        ranks = self._context.parallelize(range(size), size).barrier()
        for left in reversed(range(ATTEMPTS)):  # Spark does not begin such a stage again
            try:
                outcomes = ranks.mapPartitions(partial(_rank, function, item)).collect()
                break
            except _failure() as error:
                if "SPARK-24819" in str(error):
                    raise UserError(
                        f"the cluster has no room for {size} ranks at a time, and none came free "
                        f"in {PATIENCE} s: fewer (training.ranks), or a larger cluster."
                    ) from error
                if not left:
                    raise lost("a gang", item, _reason(error)) from error
        found = values(dict(enumerate(outcomes)), size)
        assert found is not None  # Spark gives the outcomes of all ranks, or fails
        return found


def session(config: EngineConfig) -> Any:
    """The Spark session of this process, at the cluster of ``config``.

    Raises:
        UserError: Spark or Java is not installed, or the cluster cannot be reached.
    """
    global _running
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise missing("spark") from error
    if config.address:
        reach(config.address, "spark://HOST:7077")
    active = SparkSession.getActiveSession()
    if active is not None and _running == config:
        return active
    if active is not None:
        active.stop()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings: dict[str, Any] = {
        "spark.master": config.address or f"local[{config.workers},{ATTEMPTS}]",
        "spark.task.maxFailures": ATTEMPTS,
        "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "5s",
        "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": PATIENCE // 5,
        "spark.driver.memory": f"{max(config.memory, 512)}m",
        "spark.ui.enabled": False,
        "spark.ui.showConsoleProgress": sys.stderr.isatty(),
        "spark.log.level": "ERROR" if config.address else "OFF",  # errors reach us by themselves
    }
    if (config.address or "local").startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    settings |= {f"spark.executorEnv.{name}": each for name, each in environment().items()}
    builder = SparkSession.builder.appName(__package__.partition(".")[0])
    for name, each in (settings | config.options).items():
        builder = builder.config(name, str(each).lower() if isinstance(each, bool) else str(each))
    try:
        made = builder.getOrCreate()
    except PySparkException as error:
        raise UserError(
            f"engine=spark could not begin: {_reason(error)}. It needs Java 17 or 21: "
            "`java -version` says which there is."
        ) from error
    except _failure() as error:
        raise UserError(f"engine=spark could not begin: {_reason(error)}") from error
    _running = config
    if str(config.address).startswith("spark:"):
        _await_executors(made, str(config.address))
    return made


def _await_executors(made: Any, address: str) -> None:
    """Spark itself would wait without end for a worker to come.

    Raises:
        UserError: none came.
    """
    end = time.monotonic() + PATIENCE
    while made.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 2:  # one is the driver
        if time.monotonic() > end:
            made.stop()
            raise UserError(
                f"engine.address={address}: the cluster gave no worker in {PATIENCE} s. It has "
                "none, or none with the memory and cores that are asked for (engine.options)."
            )
        time.sleep(0.2)


def _rank(function: Callable[..., Any], item: Any, ranks: Iterable[int]) -> Iterator[Outcome]:
    """One rank, in its worker; the first says where the others find it."""
    from pyspark import BarrierTaskContext

    context = BarrierTaskContext.get()
    addresses = [info.address.rpartition(":")[0] for info in context.getTaskInfos()]
    host = socket.gethostbyname(addresses[0])
    port = int(context.allGather(str(free_port()))[0])
    for rank in ranks:
        yield attempt(function, Gang(rank, len(addresses), host, port), item)


def _failure() -> type[Exception]:
    from py4j.protocol import Py4JError

    return Py4JError


def _reason(error: Exception) -> str:
    """What Spark says of a failed task, without Java's traceback."""
    text = str(getattr(error, "java_exception", None) or error)
    found = re.search(r"most recent failure: (.*)|finally failed.*?: (.*)", text)
    line = next(filter(None, found.groups())) if found else text.strip().splitlines()[0]
    return line[:200]
