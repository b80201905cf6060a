"""The gate before a champion: an evaluation on test rows that judged both models side by side.

Nothing is judged here. What an ``evaluate`` run found and sealed is read, so that each promotion
can be traced to one, and each look at test rows is counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..evaluation.comparison import Difference
from ..evaluation.evaluate import BASELINE
from ..evaluation.metrics import MAIN_METRIC, number, span, title
from ..runs import ManifestError, list_runs, read_manifest, sha256
from ..runs.manifest import SUCCEEDED
from .versions import Version

COMPARISON = "comparison.json"
PASSES = {"better": ("better",), "no worse": ("better", "no better")}


class Refused(UserError):
    """A model may not become champion; the message says what is missing, and what to run."""


@dataclass(frozen=True)
class Verdict:
    """What an evaluation found about a model and the one it was judged against."""

    evaluation: str  # the run
    against: str
    metric: str
    difference: Difference
    overrides: str  # of the evaluation: on which data, if not on the model's own

    @property
    def sentence(self) -> str:
        """For a person."""
        by = self.difference
        within = f" (95 % {span(by.interval, signed=True)})" if by.interval else ""
        return (
            f"{by.verdict} than {self.against} by {title(self.metric)}: "
            f"{number(by.value, signed=True)}{within}, evaluation {self.evaluation}"
        )

    def tags(self, gate: str) -> dict[str, str]:
        """The reason for a promotion, to be kept with it."""
        return {
            "gate": gate,
            "gate.evaluation": self.evaluation,
            "gate.against": self.against,
            "gate.metric": self.metric,
            "gate.verdict": self.difference.verdict,
            "gate.reason": self.sentence,
            **({"gate.overrides": self.overrides} if self.overrides else {}),
        }


def judge(run: Path, champion: Version | None, gate: str, package: str) -> Verdict:
    """Whether the model of the training run in the folder ``run`` may replace ``champion``, by the
    newest evaluation of the two on the same test rows; without a champion, of it and the baseline.

    Args:
        gate: ``better``, or ``no worse``: the interval of the difference need not leave out 0.
        package: the name for commands that are told.

    Raises:
        Refused: there is no such evaluation, or its verdict is another.
    """
    trained = read_manifest(run)
    fingerprint = trained["model"]
    command = f"python -m {package}.evaluate evaluation.run={run.name}"
    whom = f"the {BASELINE} baseline"
    if champion is not None:
        whom = f"the champion, {champion}"
        command += f" evaluation.against={champion.run}"
        if champion.fingerprint == fingerprint:
            raise Refused(f"run {run.name} has the model that is champion: {champion}.")
        if not any(each.name == champion.run for each in list_runs("train")):
            command = f"python -m {package}.tracking fetch {champion.run} && {command}"
    task = json.loads((run / "model" / "model.json").read_bytes())["schema"]["task"]
    found = _newest(str(fingerprint), BASELINE if champion is None else champion.run, task)
    if found is None:
        raise Refused(
            f"run {run.name} is not promoted: no evaluation has judged its model against {whom}, "
            f"on the same test rows. Run: {command}"
        )
    if found.difference.verdict not in PASSES[gate]:
        raise Refused(
            f"run {run.name} is not promoted: it has to be {gate} than {whom}, and is "
            f"{found.sentence}."
        )
    return found


def _newest(fingerprint: str, against: str, task: str) -> Verdict | None:
    for folder in list_runs("evaluate"):
        try:
            manifest = read_manifest(folder)
        except ManifestError:
            continue  # torn or edited: nothing it says counts
        if manifest["status"] == SUCCEEDED and manifest["model"] == fingerprint:
            verdict = _verdict(folder, manifest, against, MAIN_METRIC[task])
            if verdict is not None:
                return verdict
    return None


def _verdict(
    folder: Path, manifest: Mapping[str, Any], against: str, metric: str
) -> Verdict | None:
    path = folder / COMPARISON
    if not path.is_file() or sha256(path) != manifest["outputs"].get(COMPARISON):
        return None  # not what the evaluation wrote
    judged = json.loads(path.read_bytes()).get("test", {})
    if metric not in judged.get(against, {}):
        return None
    overrides = [o for o in manifest["config"]["overrides"] if not o.startswith("evaluation.")]
    difference = Difference(**judged[against][metric])
    return Verdict(folder.name, against, metric, difference, " ".join(overrides))
