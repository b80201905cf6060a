"""The models by name, as ``ModelConfig`` of ``config/schema.py`` lists them.

To add one: a module beside these, its settings in ``config/schema.py``, and
``conf/model/<name>.yaml``; docs/extend.md has an example.
"""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from ...config import ModelConfig
from ...config.schema import VARIANTS
from ...data.examples import Examples, Schema
from ...errors import UserError
from ...runs.files import write_atomic
from ...runs.run import to_json
from ..splits import Split
from .base import CodedModel, Model

_FORMAT = 1


def fit_model(
    config: ModelConfig,
    examples: Examples,
    split: Split,
    seed: int,
    threads: int,
    device: str = "auto",
) -> Model:
    """Fit the model ``config`` names on the training rows of ``split``.

    ``device`` is that of ``TrainingConfig``, for models that can learn on a GPU.

    Raises:
        UserError: what the model needs is not there: its library, or the device.
    """
    kind = _class(config.name)
    model: Model = kind.fit(examples, split, config, seed, threads, device)
    return model


def save_model(model: Model, folder: Path) -> None:
    """Write ``model`` below ``folder``: ``model.json`` and, where its library has one, a binary."""
    model.save(folder)
    content = {
        "format": _FORMAT,
        "name": type(model).__module__.rpartition(".")[2],
        "schema": model.schema.to_dict(),
        "state": model.saved(),
    }
    write_atomic(folder / "model.json", to_json(content))


def load_model(folder: Path) -> Model:
    """The model saved in ``folder``. Needs no configuration, no data and no pickle.

    Raises:
        UserError: there is no whole model of a known format.
    """
    path = folder / "model.json"
    try:
        content = json.loads(path.read_text())
        if content["format"] != _FORMAT:
            raise UserError(f"{path}: format {content['format']}, this code reads {_FORMAT}.")
        schema = Schema(**content["schema"])
        model: Model = _class(content["name"]).load(folder, schema, content["state"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a saved model ({error}).") from error
    return model


def _class(name: str) -> Any:
    """The class of a model, from the module of its name: imported when needed, since a linear
    model must not wait for the boosting library."""
    settings = VARIANTS["model"][1][name]
    module = import_module(f".{name}", __package__)
    return getattr(module, settings.__name__.removesuffix("Config"))


__all__ = ["CodedModel", "Model", "fit_model", "load_model", "save_model"]
