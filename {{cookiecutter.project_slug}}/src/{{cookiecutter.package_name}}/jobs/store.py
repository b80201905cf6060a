"""Results of jobs, kept under their keys: what makes a job fresh, and what a broken-off run left.

A result is a folder that is put in its place by one rename, so it is whole or absent. A run's
folder shares the files with it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..runs import read_manifest, sha256, to_json, write_atomic
from .freshness import Key
from .outcome import SUCCEEDED, Outcome
from .parameters import plain
from .spec import Job
from .summary import Summary

RECORD, NOTEBOOK, SUMMARY, PAGE, OUTPUTS = (
    "result.json",
    "executed.ipynb",
    "summary.json",
    "page.html",
    "outputs",
)


@dataclass(frozen=True)
class Result:
    """A kept result; ``record`` says which run made it, from what."""

    folder: Path
    record: Mapping[str, Any]

    def outcome(self, job: Job, why: str) -> Outcome:
        """As the outcome of ``job``, which need not run."""
        found = self.record
        return Outcome(
            job,
            status=SUCCEEDED,
            seconds=found["seconds"],
            memory=found["memory"],
            reused=found["run"],
            why=why,
            parameters=dict(found["parameters"]),
            title=found["title"],
            summary=Summary(**found["summary"]),
            outputs=dict(found["outputs"]),
            runs=list(found["runs"]),
        )

    def damage(self, runs: Path) -> str:
        """What is no longer as it was kept; empty when all is."""
        whole = {
            NOTEBOOK: self.record["notebook_sha256"],
            SUMMARY: self.record.get("summary_sha256"),
            **{f"{OUTPUTS}/{name}": digest for name, digest in self.record["outputs"].items()},
        }
        for name, digest in whole.items():
            path = self.folder / name
            if not path.is_file() or sha256(path) != digest:
                return f"its kept {name} is missing or was changed"
        for run in self.record["runs"]:
            try:
                status = read_manifest(runs / run)["status"]
            except UserError:
                return f"run {run}, which it made, is gone"
            if status != SUCCEEDED:
                return f"run {run}, which it made, {status}"
        return ""


class Results:
    """The results below ``<runs>/.results``."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.folder = runs / ".results"

    def look(self, job: Job, key: Key) -> tuple[Result | None, str]:
        """The result that stands for ``job``, if it need not run, and why it must or need not."""
        kept = self._all.get(job.name, [])
        if not kept:
            return None, "it has not run yet"
        if job.forced:
            return None, "asked for"
        same = next((r for r in kept if r.record["key"] == key.hash), None)
        if same is None:
            return None, key.difference(kept[0].record["parts"])
        if damage := same.damage(self.runs):
            return None, damage
        return same, "nothing changed"

    def place(self, key: Key) -> Path:
        return self.folder / f"{key.job}-{key.hash}"

    def lack(self, plan: Sequence[Job], keys: Mapping[str, Key]) -> list[Job]:
        """The jobs that will run, as far as that shows without looking into what is kept."""
        return [job for job in plan if job.forced or not self.place(keys[job.name]).is_dir()]

    def survey(
        self, plan: Sequence[Job], keys: Mapping[str, Key]
    ) -> dict[str, tuple[Result | None, str]]:
        """For each job, in the order of ``plan``: the result that stands, if any, and why."""
        found: dict[str, tuple[Result | None, str]] = {}
        for job in plan:
            again = [need for need in job.needs if found[need][0] is None]
            if again:
                found[job.name] = None, f"{', '.join(again)} runs before it"
            else:
                found[job.name] = self.look(job, keys[job.name])
        return found

    def keep(
        self, key: Key, outcome: Outcome, scratch: Path, run: str, spoilt: bool = False
    ) -> Result:
        """Keep what a job that succeeded left in ``scratch``: notebook, page and outputs.

        A ``spoilt`` result, one whose sources changed under it, never makes the job fresh.
        """
        summary = to_json(asdict(outcome.summary))
        record = {
            "job": key.job,
            "key": "" if spoilt else key.hash,
            "parts": key.parts,
            "run": run,
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "seconds": outcome.seconds,
            "memory": outcome.memory,
            "title": outcome.title,
            "audience": outcome.job.audience,
            "parameters": {name: plain(each) for name, each in outcome.parameters.items()},
            "summary": asdict(outcome.summary),
            "outputs": outcome.outputs,
            "runs": outcome.runs,
            "notebook_sha256": sha256(scratch / NOTEBOOK),
            "summary_sha256": hashlib.sha256(summary.encode()).hexdigest(),
            "script_sha256": outcome.job.script_sha256,
        }
        # No waiting for the disk: what a power cut tears does not fit its hash, and runs again.
        write_atomic(scratch / SUMMARY, summary, synced=False)
        write_atomic(scratch / RECORD, to_json(record), synced=False)
        final = self.place(key)
        old = scratch.with_name(f"{scratch.name}.old")
        final.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            final.rename(old)
        scratch.rename(final)
        shutil.rmtree(old, ignore_errors=True)
        return Result(final, record)

    @cached_property
    def _all(self) -> dict[str, list[Result]]:
        """Every kept result by its job, the newest first."""
        found: dict[str, list[Result]] = {}
        for path in self.folder.glob(f"*/{RECORD}"):
            with suppress(OSError, ValueError, KeyError):
                record = json.loads(path.read_bytes())
                found.setdefault(record["job"], []).append(Result(path.parent, record))
        for kept in found.values():
            kept.sort(key=lambda result: str(result.record["made"]), reverse=True)
        return found


def share(source: Path, target: Path) -> None:
    """Put ``source`` at ``target`` as well, without a copy where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        shutil.copyfile(source, beside)
    beside.replace(target)
