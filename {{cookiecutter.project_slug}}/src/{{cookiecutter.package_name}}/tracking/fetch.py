"""Bring a run back from MLflow, such as that of a champion that was trained elsewhere."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ..config.tracking import TrackingConfig
from ..errors import UserError
from ..runs import list_runs, read_manifest, runs_folder
from ..runs.files import make_folder
from . import store
from .packaged import DATA, MODEL
from .transfer import find


def fetch(run: str, config: TrackingConfig) -> Path:
    """The folder of the run with this id, made from MLflow if it is not here. What was not sent,
    such as predictions, is not in it.

    Raises:
        UserError: MLflow has no such run, or not all of it, or does not answer.
    """
    here = runs_folder() / run
    if here in list_runs():
        return here
    try:
        client = store.connect(config)
        there = find(client, config, run)
        if there is None:
            raise UserError(f"{store.address(config)} has no run '{run}' in '{config.experiment}'.")
        make_folder(runs_folder())
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=runs_folder()) as name:
            folder = Path(client.download_artifacts(there.info.run_id, "", name))
            if (folder / MODEL / DATA).is_dir():
                (folder / MODEL / DATA).rename(folder / DATA)
                shutil.rmtree(folder / MODEL)
                (folder / DATA).rename(folder / MODEL)
            read_manifest(folder)
            folder.rename(here) if folder != Path(name) else shutil.copytree(folder, here)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"run {run} cannot be fetched: {store.in_short(error)}") from error
    return here
