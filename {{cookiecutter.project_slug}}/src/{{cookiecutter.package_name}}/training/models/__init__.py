"""The models by name.

To add one: a module beside these, its settings in ``config/schema.py``, a line here, and
``conf/model/<name>.yaml``.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from ...config import ModelConfig
from ...data.examples import Examples, Schema
from ...errors import UserError
from ...runs.files import write_atomic
from ...runs.run import to_json
from ..splits import Split
from .base import Model

# Imported when needed: a linear model must not wait for the boosting library.
_CLASSES = {
    "boosting": ("boosting", "Boosting"),
    "linear": ("linear", "Linear"),
    "popularity": ("popularity", "Popularity"),
}
_FORMAT = 1


def fit_model(
    config: ModelConfig, examples: Examples, split: Split, seed: int, threads: int
) -> Model:
    """Fit the model ``config`` names on the training rows of ``split``."""
    model: Model = _class(config.name).fit(examples, split, config, seed, threads)
    return model


def save_model(model: Model, folder: Path) -> None:
    """Write ``model`` below ``folder``: ``model.json`` and, where its library has one, a binary."""
    name = next(n for n, (_, cls) in _CLASSES.items() if cls == type(model).__name__)
    model.save(folder)
    content = {
        "format": _FORMAT,
        "name": name,
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a saved model ({error}).") from error
    return model


def _class(name: str) -> Any:
    module, cls = _CLASSES[name]
    return getattr(import_module(f".{module}", __package__), cls)


__all__ = ["Model", "fit_model", "load_model", "save_model"]
