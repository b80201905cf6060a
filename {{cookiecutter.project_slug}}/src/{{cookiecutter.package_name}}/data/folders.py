"""Where tables that have been read lie, and the rows that were set aside."""

from __future__ import annotations

import os
from pathlib import Path

from ..config import PROJECT_ROOT


def data_folder() -> Path:
    """``data/`` of the project, or what the environment variable ``DATA_DIR`` says."""
    return Path(os.environ.get("DATA_DIR") or PROJECT_ROOT / "data")


def tables_folder() -> Path:
    return data_folder() / "tables"


def quarantine_folder() -> Path:
    return data_folder() / "quarantine"
