"""The connection to MLflow: the embedded store, or a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..config.tracking import TrackingConfig
from ..errors import UserError
from ..runs.files import make_folder
from . import outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"
_CAUSES = (
    "Read timed out",
    "Connection refused",
    "Connection aborted",
    "Connection reset",
    "Name or service not known",
    "Max retries exceeded",
)


def address(config: TrackingConfig) -> str:
    """The address as MLflow writes it."""
    return config.uri or f"sqlite:///{outbox.folder() / DATABASE}"


def connect(config: TrackingConfig) -> MlflowClient:
    """A client of the store that ``config`` names. Nothing is asked of a server yet.

    Raises:
        UserError: MLflow is not installed, or the runs folder cannot be written.
    """
    # Read when MLflow is imported. A request that is made again by itself could be done twice.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(config.timeout)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        import mlflow
    except ImportError as error:
        raise UserError(
            f'MLflow is not installed ({error.name}): add "mlflow" to default-groups in '
            "pyproject.toml, then make setup."
        ) from error
    import logging

    logging.getLogger("alembic").setLevel(logging.ERROR)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    make_folder(outbox.folder())
    uri = address(config)
    mlflow.set_tracking_uri(uri)  # for what takes no client, such as the loading of a model
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(uri, uri)


def experiment(client: MlflowClient, config: TrackingConfig) -> str:
    """The id of the experiment, which is made if it is not there.

    Raises:
        UserError: it was deleted in MLflow.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(config.experiment)
    if found is None:
        place = None if config.uri else (outbox.folder() / ARTIFACTS).as_uri()
        try:
            return str(client.create_experiment(config.experiment, place))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(config.experiment)
    assert found is not None
    if found.lifecycle_stage != "active":
        raise UserError(
            f"the experiment '{config.experiment}' was deleted in MLflow. Restore it there "
            f"(mlflow experiments restore -x {found.experiment_id}), or name another: "
            "tracking.experiment."
        )
    return str(found.experiment_id)


def is_refusal(error: BaseException) -> bool:
    """Whether a store got a request and would not have it; else it may be another time."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        code = int(error.get_http_status_code())
        return 400 <= code < 500 and code not in (401, 403, 407, 408, 429)
    return not isinstance(error, OSError)


def is_of_the_store(error: BaseException) -> bool:
    """Whether MLflow itself says so, and not the code that calls it."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException)


def in_short(error: BaseException) -> str:
    """What a person is told of an error of MLflow's: they are long."""
    text = " ".join(str(error).split()) or type(error).__name__
    for cause in _CAUSES:
        if cause in text:
            return cause.lower()
    return text if len(text) <= 200 else text[:199] + "…"
