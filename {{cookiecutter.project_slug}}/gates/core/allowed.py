"""Findings that are known: allowed in the text with a reason, or listed in the baseline."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .files import File, Notebook, write
from .rules import Finding, Rule

EX701 = Rule(
    "EX701",
    "an exception without a reason",
    "whoever reads it next cannot tell whether it still holds",
    "Say why after the rule: # gates: allow NB205 - the share is mounted on every machine",
    bad='rows = read("/mnt/share/rows.csv")  # gates: allow NB205',
    good='rows = read("/mnt/share/rows.csv")  # gates: allow NB205 - mounted on every machine',
    always=True,
)
EX702 = Rule(
    "EX702",
    "an exception that nothing needs any more",
    "it would hide the next mistake of this kind",
    "Remove the comment",
    bad='rows = read(data / "rows.csv")  # gates: allow NB205 - mounted on every machine',
    good='rows = read(data / "rows.csv")',
    always=True,
)
RULES = (EX701, EX702)

COMMENT = re.compile(
    r"(?:#|<!--)\s*gates:\s*allow\s+"
    r"(?P<rules>[A-Z]{2}\d{3}(?:\s*,\s*[A-Z]{2}\d{3})*)(?P<reason>[^\n]*)"
)


@dataclass(frozen=True)
class Allowance:
    """One comment ``gates: allow``: the rules it names, where it stands, and its reason."""

    rules: frozenset[str]
    reason: str
    cell: int | None
    line: int
    alone: bool  # nothing else stands in its line: it is meant for the next one as well

    def covers(self, finding: Finding) -> bool:
        if finding.rule.id not in self.rules or not self.reason:
            return False
        if finding.cell is None and finding.line is None:
            return True  # a finding of the whole file
        if finding.cell != self.cell:
            return False
        return (
            finding.line is None
            or finding.line == self.line
            or (self.alone and finding.line == self.line + 1)
        )


def allowances(file: File) -> list[Allowance]:
    if "gates:" not in file.text:
        return []
    blocks: list[tuple[int | None, str]] = (
        [(cell.number, cell.source) for cell in file.cells]
        if isinstance(file, Notebook)
        else [(None, file.text)]
    )
    found = []
    for cell, text in blocks:
        for number, line in enumerate(text.split("\n"), start=1):
            for match in COMMENT.finditer(line):
                rules = frozenset(re.split(r"\s*,\s*", match["rules"]))
                reason = match["reason"].replace("-->", "").strip(" \t-–—:()")
                alone = not line[: match.start()].strip()
                found.append(Allowance(rules, reason, cell, number, alone))
    return found


def without_allowed(
    file: File, findings: Iterable[Finding], looked_for: set[str]
) -> Iterator[Finding]:
    """The findings that no comment allows, and what is wrong with the comments themselves.

    Args:
        looked_for: ids of the rules that were checked; of others nothing can be said.
    """
    allowed = allowances(file)
    used: set[Allowance] = set()
    for finding in findings:
        by = [allowance for allowance in allowed if allowance.covers(finding)]
        used.update(by)
        if not by:
            yield finding
    for allowance in allowed:
        if not allowance.reason:
            yield Finding(EX701, file.path, cell=allowance.cell, line=allowance.line)
        elif allowance not in used and allowance.rules <= looked_for:
            what = f"nothing here needs the exception for {', '.join(sorted(allowance.rules))}"
            yield Finding(EX702, file.path, what, allowance.cell, allowance.line)


class Baseline:
    """Findings that were there when the gates were adopted: counted by file, rule and message.

    Places are not part of it, so that moving a cell does not make an old finding a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left: Counter[str] = Counter()
        if path.is_file():
            self.left.update(json.loads(path.read_text(encoding="utf-8"))["findings"])

    def without_known(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            key = fingerprint(finding)
            if self.left[key] > 0:
                self.left[key] -= 1
            else:
                yield finding


def fingerprint(finding: Finding) -> str:
    digest = hashlib.sha256(finding.message.encode()).hexdigest()[:8]
    return f"{finding.path.as_posix()} {finding.rule.id} {digest}"


def write_baseline(path: Path, findings: Iterable[Finding]) -> int:
    """Write the findings as known; returns how many they are."""
    counts = Counter(map(fingerprint, findings))
    content = {"version": 1, "findings": dict(sorted(counts.items()))}
    write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return sum(counts.values())
