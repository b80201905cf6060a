"""Send one run, whole, and only once however often it is sent.

A run is found again by the tag ``run.id``. All that is written to it is a function of its folder,
so that what a killed sender or server left half done is completed by sending it again.
"""

from __future__ import annotations

import csv
import math
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import PROJECT_ROOT
from ..config.tracking import TrackingConfig
from ..runs import ManifestError, read_manifest, runs_folder, sha256
from ..runs.manifest import MANIFEST
from . import content, outbox, store
from .packaged import DATA, MODEL, describe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PARENT = "mlflow.parentRunId"
_BATCH = {"params": 100, "tags": 100, "metrics": 1000}
_TRIAL = ("trial", "state", "rounds", "error")


def send(client: MlflowClient, config: TrackingConfig, run: Path) -> str:
    """Send the run in the folder ``run``; its id in MLflow.

    Raises:
        UserError: its manifest cannot be trusted, or the experiment was deleted.
        MlflowException: the store did not answer, or refused it.
    """
    return _Transfer(client, config).send(run)


def find(client: MlflowClient, config: TrackingConfig, run: str) -> Run | None:
    """The run with the id ``run`` in MLflow."""
    return _Transfer(client, config).find(run)


class _Transfer:
    def __init__(self, client: MlflowClient, config: TrackingConfig) -> None:
        self._client = client
        self._config = config
        self._experiment = store.experiment(client, config)

    def send(self, folder: Path) -> str:
        manifest = read_manifest(folder)
        above = outbox.note(folder).get("parent") or manifest.get("parent")
        seal = str(manifest.get("seal") or manifest["ended"])
        there = self.find(manifest["id"])
        if there and there.data.tags.get(content.WHOLE) == seal:
            return str(there.info.run_id)
        tags = content.tags(manifest, above)
        if above:
            tags[_PARENT] = self._parent(above, manifest)
        began = content.milliseconds(manifest["started"])
        # Nobody knows when a killed run ended.
        ended = content.milliseconds(manifest["ended"] or manifest["started"])
        number = there.info.run_id if there else self._create(began, tags)
        measured = [(name, value, 0) for name, value in content.metrics(manifest).items()]
        measured += _history(folder)
        self._log(number, ended, content.parameters(manifest), tags, measured)
        self._files(number, folder, manifest)
        if manifest["kind"] == "tune":
            self._trials(number, folder, manifest)
        self._end(number, content.status(manifest), ended)
        self._client.set_tag(number, content.WHOLE, seal)
        self._settle_doubles(manifest["id"], number)
        return number

    def find(self, run: str) -> Run | None:
        """The one that has all of it, if several are there."""
        found = self._search(f"tags.`{content.RUN}` = '{run}'")
        found.sort(key=lambda e: (content.WHOLE not in e.data.tags, e.info.run_id))
        return found[0] if found else None

    def _search(self, what: str) -> list[Run]:
        found: list[Run] = []
        page = None
        while True:
            part = self._client.search_runs([self._experiment], what, page_token=page)
            found += part
            page = part.token
            if not page:
                return found

    def _create(self, began: int, tags: Mapping[str, str]) -> str:
        # The tag that it is found by is there from the first moment.
        made = self._client.create_run(self._experiment, began, dict(tags), tags["mlflow.runName"])
        return str(made.info.run_id)

    def _parent(self, run: str, child: Mapping[str, Any]) -> str:
        """The id in MLflow of the run ``run``, which is a part of nothing yet if it is not there:
        its own turn to be sent comes when it has ended. A sweep is no run, and has no more."""
        there = self.find(run)
        ended = content.milliseconds(child["ended"] or child["started"])
        folder, is_sweep = runs_folder() / run, "-sweep-" in run
        if there is None:
            tags = {content.RUN: run, "mlflow.runName": run, "mlflow.source.type": "LOCAL"}
            began = child["started"]
            if is_sweep:
                tags |= {"run.kind": "sweep", "mlflow.source.name": " ".join(child["command"])}
            else:
                try:
                    known = read_manifest(folder)
                    tags |= content.tags(known)
                    began = known["started"]
                except ManifestError:
                    pass  # it may be on another machine
            number = self._create(content.milliseconds(began), tags)
        else:
            number = str(there.info.run_id)
            ended = max(ended, there.info.end_time or 0)
        if is_sweep:
            self._end(number, "FINISHED", ended)
        return number

    def _end(self, number: str, status: str, when: int) -> None:
        self._client.set_terminated(number, status, when)

    def _log(
        self,
        number: str,
        when: int,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        measured: Iterable[tuple[str, float, int]],
    ) -> None:
        """What is there already is written once more with the same values, which changes nothing:
        hence one time for all metrics, the end of the run."""
        from mlflow.entities import Metric, Param, RunTag

        everything: dict[str, list[Any]] = {
            "tags": [RunTag(key, value) for key, value in tags.items()],
            "params": [Param(key, value) for key, value in parameters.items()],
            "metrics": [Metric(name, value, when, step) for name, value, step in measured],
        }
        for what, entities in everything.items():
            for part in _parts(entities, _BATCH[what]):
                batch: dict[str, Any] = {what: part}
                self._client.log_batch(number, **batch)

    def _files(self, number: str, folder: Path, manifest: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory(prefix="tracking-") as name:
            staged = Path(name)
            for path, file in _sent_files(folder, manifest, self._config.leave_out):
                (staged / path).parent.mkdir(parents=True, exist_ok=True)
                (staged / path).symlink_to(file)
            lock = _lock(manifest)
            if lock is not None:
                (staged / "uv.lock").write_bytes(lock)
            if (staged / MODEL / DATA / "model.json").is_file():
                describe(folder / MODEL, staged / MODEL, number, manifest)
            self._client.log_artifacts(number, str(staged))

    def _trials(self, number: str, folder: Path, manifest: Mapping[str, Any]) -> None:
        """The trials of a search as runs of their own below it."""
        table = folder / "trials.csv"
        if not table.is_file():
            return
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        there = {
            each.data.tags.get(content.RUN): each
            for each in self._search(f"tags.`{_PARENT}` = '{number}'")
        }
        began = content.milliseconds(manifest["started"])
        ended = content.milliseconds(manifest["ended"])
        for row in rows:
            run = f"{manifest['id']}/{row['trial']}"
            known = there.get(run)
            if known is not None and content.WHOLE in known.data.tags:
                continue
            tags = {
                content.RUN: run,
                "run.kind": "trial",
                "run.status": row["state"],
                "mlflow.runName": f"trial {row['trial']}",
                _PARENT: number,
            }
            if row["error"]:
                tags["run.cause"] = content.cut(row["error"], content.TAG)
            each = str(known.info.run_id) if known else self._create(began, tags)
            metric = next(name for name in row if name not in _TRIAL)
            names = [name for name in row if name not in (*_TRIAL, metric)]
            valid = content.valid_names(names)
            parameters = {valid[name]: row[name] for name in names if row[name] != ""}
            measured = [(metric, float(row[metric]), 0)] if row[metric] else []
            self._log(each, ended, parameters, {}, measured)
            status = "FAILED" if row["state"] == "failed" else "FINISHED"
            self._end(each, status, ended)
            self._client.set_tag(each, content.WHOLE, row["trial"])

    def _settle_doubles(self, run: str, kept: str) -> None:
        """A request that timed out may have been done all the same, and so was done twice."""
        for each in self._search(f"tags.`{content.RUN}` = '{run}'"):
            if each.info.run_id != kept:
                self._client.delete_run(each.info.run_id)


def _sent_files(
    folder: Path, manifest: Mapping[str, Any], leave_out: Iterable[str]
) -> Iterator[tuple[str, Path]]:
    """The files of a run that are sent, and the paths they get."""
    yield MANIFEST, (folder / MANIFEST).resolve()
    for name in (*manifest["outputs"], *(manifest.get("records") or {})):
        if (folder / name).is_file() and not any(fnmatchcase(name, each) for each in leave_out):
            inside = name.removeprefix(f"{MODEL}/")
            path = f"{MODEL}/{DATA}/{inside}" if inside != name else name
            yield path, (folder / name).resolve()


def _lock(manifest: Mapping[str, Any]) -> bytes | None:
    """The lock file that the run was made with, if it is still to be had."""
    wanted, path = manifest["environment"]["lock_sha256"], PROJECT_ROOT / "uv.lock"
    if wanted is None:
        return None
    if path.is_file() and sha256(path) == wanted:
        return path.read_bytes()
    import hashlib

    found = subprocess.run(
        ["git", "show", f"{manifest['git']['commit']}:./uv.lock"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        check=False,
    ).stdout
    return found if hashlib.sha256(found).hexdigest() == wanted else None


def _history(folder: Path) -> list[tuple[str, float, int]]:
    """The losses after each round of a model that learnt in rounds."""
    if not (folder / MODEL / "model.json").is_file():
        return []
    from ..training.models import load_model

    return [
        (f"loss.{part}", float(loss), step)
        for part, losses in load_model(folder / MODEL).history().items()
        for step, loss in enumerate(losses)
        if math.isfinite(loss)
    ]


def _parts(entities: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(entities), size):
        yield entities[first : first + size]
