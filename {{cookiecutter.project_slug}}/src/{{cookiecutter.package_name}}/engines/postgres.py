"""PostgreSQL computes what is SQL; all else runs in processes of this machine."""

from __future__ import annotations

from .local import LocalEngine


class PostgresEngine(LocalEngine):
    """The tables and features are in ``features/backends/postgres.py``."""
