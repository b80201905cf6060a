"""Which store a command line means."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import load_config
from ..config.tracking import TrackingConfig
from ..errors import UserError
from ..runs import ManifestError, list_runs, read_manifest
from . import outbox


def settings(overrides: Sequence[str] = ()) -> TrackingConfig:
    """What ``overrides`` say, the configuration, or else what the newest run that was tracked says.

    Raises:
        UserError: none of them names a store.
    """
    config = load_config([*overrides]).stage["tracking"]
    assert isinstance(config, TrackingConfig)
    if config.name != "none":
        return config
    for run in list_runs() if not overrides else []:
        try:
            own = outbox.settings(read_manifest(run))
        except ManifestError:
            continue
        if own is not None:
            return own
    raise UserError(
        "no store is named. Give --set tracking=mlflow, or make it the default in conf/config.yaml."
    )


def options(arguments: Sequence[str]) -> list[str]:
    """``KEY=VALUE``, as every command of the project takes it, for a parser that has ``--set``."""
    found: list[str] = []
    for each in arguments:
        given = "=" in each and not each.startswith("-") and found[-1:] != ["--set"]
        found += ["--set", each] if given else [each]
    return found
