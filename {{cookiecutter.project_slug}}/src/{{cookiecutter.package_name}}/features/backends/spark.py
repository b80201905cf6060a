"""Features on Spark SQL: threads of this machine, or the cluster at ``engine.address``.

Spark reads the Parquet files of the shop itself, so they lie where all its machines find them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from ...config import EngineConfig
from ...engines.spark import session
from .base import Backend, named


class SparkBackend(Backend):
    """What is stored are Parquet files below ``scratch``."""

    def __init__(self, spark: Any, scratch: Path) -> None:
        self._spark, self._scratch = spark, scratch

    def table(self, name: str, files: list[Path]) -> Any:
        read = self._spark.read.parquet(*(file.resolve().as_uri() for file in files))
        read.createOrReplaceTempView(name)
        return named(name, pq.read_schema(files[0]))

    def store(self, name: str, expression: Any) -> Any:
        folder = self._scratch / name
        rows = self._sql(expression)
        if "user" in rows.columns:  # a file has a range of users: the others are not read for it
            rows = rows.repartitionByRange("user").sortWithinPartitions("user")
        rows.write.parquet(folder.resolve().as_uri())
        self._spark.read.schema(rows.schema).parquet(
            folder.resolve().as_uri()
        ).createOrReplaceTempView(name)
        return ibis.table(expression.schema(), name=name)

    def rows(self, expression: Any) -> pa.Table:
        return self._sql(expression).toArrow()

    def _sql(self, expression: Any) -> Any:
        return self._spark.sql(ibis.pyspark.compile(expression))


@contextmanager
def opened(config: EngineConfig, scratch: Path) -> Iterator[SparkBackend]:
    """Spark for the length of the block.

    Raises:
        UserError: Spark or Java is not there, or the cluster cannot be reached.
    """
    yield SparkBackend(session(config), scratch)
