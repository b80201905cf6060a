"""Predictions for many rows at once, by a model that was trained and saved."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..config import Config, ShopConfig, load_config
from ..config.scoring import ScoringConfig
from ..data.folders import data_folder
from ..data.sources.base import code_version, digest
from ..errors import UserError
from ..runs import find_run, open_run, read_manifest, sha256
from .store import Store

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Scored:
    """What scoring has left.

    Attributes:
        run: the id of its run.
        model: the fingerprint of the model.
        folder: where the scores lie.
        files: of partitions, in their order.
        rows: in them all.
        predicted: predictions made now; none for partitions that were there.
        seconds: that it took.
        notes: for a person.
    """

    run: str
    model: str
    folder: Path
    files: list[Path]
    rows: int
    predicted: int
    seconds: float
    notes: list[str]

    @property
    def rate(self) -> float:
        """Predictions in a second."""
        return self.predicted / max(self.seconds, 1e-9)

    def report(self) -> str:
        """For a terminal."""
        made = f"{self.predicted:,} predictions in {self.seconds:.1f} s, {self.rate:,.0f} a second"
        files = f"{len(self.files)} file{'s' * (len(self.files) != 1)}"
        return "\n".join(
            [
                *self.notes,
                made if self.predicted else "nothing to do: the scores are there",
                f"{self.rows:,} rows in {files} of {os.path.relpath(self.folder)}",
            ]
        )


def score(config: Config) -> Scored:
    """Score with the model of ``scoring.run`` what it was trained for, or what the command line
    says instead, and write a run that tells of it.

    Raises:
        UserError: there is no such run, its model was changed since, the data lacks a feature the
            model needs or breaks its contract, or the folder holds something else.
    """
    source = find_run(config.stage["scoring"].run, "train")
    recorded = read_manifest(source)
    config = load_config([*recorded["config"]["overrides"], *config.overrides])
    settings: ScoringConfig = config.stage["scoring"]
    _refuse_changed(source, recorded["outputs"])
    began = time.monotonic()
    with open_run("score", config) as run:
        run.model = str(recorded["model"])
        for file in sorted((source / "model").iterdir()):
            run.add_input(file)
        key = _key(config, settings, run.model)
        store = Store(Path(settings.output or data_folder() / "scores" / key[:16]), key)
        if isinstance(config.data, ShopConfig):
            from .shop import score_shop

            filled = score_shop(config.data, settings, config.engine, source / "model", store)
        else:
            from .table import score_table

            filled = score_table(config.data, settings, source / "model", store)
        for path, rows in filled.inputs.items():
            run.add_input(path, rows, derived=isinstance(config.data, ShopConfig))
        files = filled.summary["files"]
        result = Scored(
            run.id,
            run.model,
            store.folder,
            [store.folder / name for name in files],
            sum(each["rows"] for each in files.values()),
            filled.predicted,
            time.monotonic() - began,
            filled.notes,
        )
        run.write_json("scores.json", filled.summary)
        run.records.add("speed.json")
        speed = {
            "predictions": result.predicted,
            "seconds": result.seconds,
            "per_second": result.rate,
        }
        run.write_json("speed.json", {**speed, "folder": str(store.folder)})
        run.metrics["rows"] = result.rows
    return result


def _refuse_changed(source: Path, hashes: dict[str, str]) -> None:
    """Raises: UserError: the model is not the one that was trained."""
    for file in sorted((source / "model").iterdir()):
        if hashes.get(f"model/{file.name}") != sha256(file):
            raise UserError(
                f"{file}: changed since it was trained. Take another run: scoring.run=RUN."
            )


def _key(config: Config, settings: ScoringConfig, model: str) -> str:
    """What is common to all partitions: the model, what is asked, the data's name, this code."""
    import duckdb

    package = _HERE.parent
    code = code_version(_HERE, package / "features", package / "training" / "models")
    asked: dict[str, object] = {"model": model, "code": code, "duckdb": duckdb.__version__}
    if isinstance(config.data, ShopConfig):
        asked |= {"data": asdict(config.data), "as_of": settings.as_of}
        asked |= {"top_k": settings.top_k, "candidates": settings.candidates}
    else:
        data = config.data
        asked |= {"data": [settings.input or data.path, data.table, data.id, data.contract]}
    return digest(asked)


__all__ = ["Scored", "score"]
