"""How findings are written: for people, for programs, for GitHub, for code scanners (SARIF)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .files import File, Notebook, Unreadable, load
from .gate import command
from .rules import Finding, Rule


def text(findings: Sequence[Finding]) -> str:
    """One line a finding; below, once for each rule, why it matters and how to mend it."""
    if not findings:
        return ""
    lines = summary(findings)
    for rule in sorted({finding.rule for finding in findings}, key=lambda rule: rule.id):
        lines += ["", f"{rule.id}: {rule.what}", f"  why:  {rule.why}", f"  mend: {mend(rule)}"]
    files = len({finding.path for finding in findings})
    lines += [
        "",
        f"{_count(len(findings), 'finding')} in {_count(files, 'file')}; an example of "
        f"each rule:  {command()} explain {findings[0].rule.id}",
    ]
    return "\n".join(lines) + "\n"


def mend(rule: Rule) -> str:
    """How to mend it, with the command as it was started."""
    return rule.mend.replace("python -m gates", command())


def summary(findings: Sequence[Finding], said: str = "") -> list[str]:
    """A line for each finding; one for all of a notebook's cells that have the very same."""
    same: dict[tuple[Path, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        line = f"{finding.line or ''}{finding.detail}"  # with either it stands by itself
        key = f"{finding.cell} {line}" if line or not finding.cell else ""
        same[finding.path, f"{finding.rule.id} {finding.message}", key].append(finding)
    lines: list[str] = []
    for (path, message, _), found in same.items():
        cells = ", ".join(str(finding.cell) for finding in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        place = found[0].place if len(found) == 1 else f"{path}, cells {cells}{more}"
        lines.append(f"{place}: {said}{message}")
        lines += [f"    {line}".rstrip() for line in found[0].detail.splitlines()]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def as_json(findings: Sequence[Finding]) -> str:
    return (
        json.dumps([_plain(finding) for finding in findings], indent=1, ensure_ascii=False) + "\n"
    )


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "path": finding.path.as_posix(),
        "cell": finding.cell,
        "line": finding.line,
        "what": finding.message,
        "why": finding.rule.why,
        "mend": mend(finding.rule),
    }


def github(findings: Sequence[Finding]) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    lines = []
    for finding, line in zip(findings, _lines(findings), strict=True):
        where = f"file={_escape(finding.path.as_posix(), ',:')},line={line}"
        body = f"{finding.message} ({finding.place}). {finding.rule.why}. {mend(finding.rule)}"
        lines.append(f"::error {where},title={finding.rule.id}::{_escape(body)}\n")
    return "".join(lines)


def _escape(value: str, more: str = "") -> str:
    for sign in "%\r\n" + more:
        value = value.replace(sign, f"%{ord(sign):02X}")
    return value


def sarif(findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0, which code scanners and editors read."""
    rules = sorted({finding.rule for finding in findings}, key=lambda rule: rule.id)
    driver = {"name": "gates", "rules": [_sarif_rule(rule) for rule in rules]}
    results = [
        {
            "ruleId": finding.rule.id,
            "level": "error",
            "message": {"text": f"{finding.message} ({finding.place}). {mend(finding.rule)}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.path.as_posix()},
                        "region": {"startLine": line},
                    }
                }
            ],
        }
        for finding, line in zip(findings, _lines(findings), strict=True)
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": rule.why},
        "help": {"text": mend(rule)},
    }


def _lines(findings: Sequence[Finding]) -> list[int]:
    """The line of each finding in its file: of a notebook, in the JSON."""
    known: dict[Path, File | None] = {}
    for path in {finding.path for finding in findings}:
        try:
            known[path] = load(path)
        except (OSError, Unreadable):
            known[path] = None
    return [_line(finding, known[finding.path]) for finding in findings]


def _line(finding: Finding, file: File | None) -> int:
    if not (isinstance(file, Notebook) and finding.cell):
        return finding.line or 1
    position = 0
    for cell in file.cells[: finding.cell]:
        sources = cell.source.splitlines(keepends=True)
        wanted = (finding.line or 1) if cell.number == finding.cell else len(sources)
        for line in sources[:wanted]:
            position = max(file.text.find(json.dumps(line, ensure_ascii=False), position), position)
            last = position
            position += 1
        if cell.number == finding.cell and sources:
            return file.text.count("\n", 0, last) + 1
    return 1


FORMATS = {"text": text, "json": as_json, "github": github, "sarif": sarif}
