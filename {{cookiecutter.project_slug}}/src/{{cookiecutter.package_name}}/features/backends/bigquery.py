"""Features on BigQuery: files go up by load jobs, tables are of a session, rows come by Arrow.

The tests compile its SQL and parse that; nothing here has run against Google Cloud. The first
run is yours: compare its files with those of engine=local, which have to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from ...config import EngineConfig
from ...engines.base import missing
from ...errors import UserError
from .base import Backend

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


class BigqueryBackend(Backend):
    """Ibis keeps what is loaded in a dataset of the session, which Google drops after it."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def table(self, name: str, files: list[Path]) -> Any:
        # One load job for each file, all into one table: the files of a kind share a folder.
        folder = files[0].parent
        several = folder / "shard-*.parquet" if len(files) > 1 else files[0]
        return self._engine.read_parquet(several, table_name=name)

    def store(self, name: str, expression: Any) -> Any:
        return self._engine.create_table(name, expression, temp=True, overwrite=True)

    def rows(self, expression: Any) -> pa.Table:
        return self._engine.to_pyarrow(expression)


@contextmanager
def opened(config: EngineConfig, scratch: Path) -> Iterator[BigqueryBackend]:
    """A session of the Google Cloud project that ``engine.address`` names.

    Raises:
        UserError: the client is not installed, nobody is logged in to Google Cloud, or no project
            is known.
    """
    try:
        import google.auth
        import google.cloud.bigquery  # what Ibis needs
        from google.auth.exceptions import GoogleAuthError
    except ImportError as error:
        raise missing("bigquery") from error
    project, _, dataset = (config.address or "").partition(".")
    try:
        # Ibis would open a browser for who is not logged in, and wait.
        credentials, usual = google.auth.default(scopes=SCOPES)
        if not (project or usual):
            raise UserError("engine.address: name the Google Cloud project to work in.")
        engine = ibis.bigquery.connect(
            project_id=project or usual, dataset_id=dataset, credentials=credentials,
            **config.options,
        )  # fmt: skip
    except ImportError as error:  # Ibis finds what of the group is not there
        raise missing("bigquery") from error
    except GoogleAuthError as error:
        raise UserError(
            f"engine=bigquery: {str(error).rstrip('.')}. Log in with "
            "`gcloud auth application-default login`."
        ) from error
    try:
        yield BigqueryBackend(engine)
    finally:
        engine.disconnect()
