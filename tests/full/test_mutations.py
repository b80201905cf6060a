"""Every rule of the gates turns `make check` red on its fault, in a project of all stages."""

import json
import os
from pathlib import Path

import pytest

from conftest import TEMPLATE, Render, run

pytestmark = pytest.mark.full

PAGE = TEMPLATE / "docs" / "gates.md"
INTRODUCTION = """\
# The gates, proved

Each rule with the fault that was planted in a fresh project for it (in its first notebook, its
package or its configuration), what `make check` said, and what the gates said of the twin: the like
of the fault that is right. Hooks that have nothing to do with a rule were left out; with all faults
taken away the whole of `make check` was green.

This page is written by `make gates-page` and compared by the full tests. What a rule means, why it
matters and how to mend it: `python -m gates explain NB201` in a project.

| rule | finds | planted | `make check` | twin |
|---|---|---|---|---|
"""


def planted(result: dict[str, str], finds: dict[str, str]) -> str:
    same = result["what"] == finds[result["rule"]]
    return "the example that `explain` shows" if same else result["what"]


def test_every_fault_turns_make_check_red(render: Render) -> None:
    project = render(package_name="ranker", stage="pipeline")
    run(project, "make setup && git add uv.lock && git commit -qm lock")
    run(project, "make check")
    first = "" if os.environ.get("EVERY_FAULT") else "--first"
    script = Path(__file__).parent / "mutation.py"
    said = run(project, f".venv/bin/python {script} {first}")
    results = [json.loads(line) for line in said.splitlines()]
    missed = [result for result in results if not result["red"] or result["twin"]]
    assert not missed, "\n\n".join(f"{r['rule']} {r['what']}:\n{r.pop('said')}" for r in missed)
    run(project, "make check")

    finds = dict(
        line.split("  ", 1)
        for line in run(project, ".venv/bin/python -m gates explain").splitlines()
        if line[2:5].isdigit()
    )
    assert set(finds) == {result["rule"] for result in results}
    rows = [
        f"| {r['rule']} | {finds[r['rule']]} | {planted(r, finds)} | red | green |\n"
        for r in sorted(results, key=lambda result: result["rule"])
    ]
    page = INTRODUCTION + "".join(rows)
    if os.environ.get("WRITE_PAGE"):
        PAGE.write_text(page, encoding="utf-8")
    if first:
        assert PAGE.read_text(encoding="utf-8") == page, "run `make gates-page`"
