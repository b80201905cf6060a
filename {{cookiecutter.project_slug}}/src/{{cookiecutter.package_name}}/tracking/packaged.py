"""A saved model as MLflow knows it: its own files as they are, with a signature beside them.

No pickle: MLflow loads it by :mod:`.loader`, which is code of this package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.examples import Schema

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

MODEL = "model"  # below a run, here and in MLflow
DATA = "data"  # below the model in MLflow: the files as they were saved


def signature(schema: Schema) -> ModelSignature:
    """The columns a model needs and what it gives back, from the schema of its examples.

    Any value may be missing, since a model has to live with that.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, TensorSpec
    from mlflow.types import Schema as Columns

    types = {"numeric": DataType.double, "categorical": DataType.string}
    inputs: list[Any] = [ColSpec(types[kind], name) for name, kind in schema.features.items()]
    shape = (-1, len(schema.classes)) if schema.task == "multiclass" else (-1,)
    return ModelSignature(Columns(inputs), Columns([TensorSpec(np.dtype(np.float64), shape)]))


def describe(model: Path, folder: Path, run: str, manifest: dict[str, Any]) -> None:
    """Write the file ``MLmodel`` for the saved model in the folder ``model`` into ``folder``."""
    from mlflow import pyfunc
    from mlflow.models import Model

    schema = Schema(**json.loads((model / "model.json").read_bytes())["schema"])
    made = Model(
        artifact_path=MODEL,
        run_id=run,
        signature=signature(schema),
        utc_time_created=manifest["ended"],  # the same bytes, however often it is sent
        model_uuid=None,
        metadata={
            "fingerprint": manifest["model"],
            "run": manifest["id"],
            "task": schema.task,
            "target": schema.target,
            "classes": schema.classes,
        },
    )
    loader = f"{__package__}.loader"
    pyfunc.add_to_model(made, loader_module=loader, data=DATA)
    made.save(str(folder / "MLmodel"))
