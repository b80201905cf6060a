"""Plant each seeded fault in this project, run `make check`, take the fault away again.

Run inside a committed project, with its own interpreter. Prints a line of JSON for each fault:
rule, what, whether `make check` was red and named the rule, and whether the rule was named for the
twin. With ``--first`` one fault for each rule. Hooks that cannot name the rule are left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, ".")

GATES = (".venv/bin/python", "-m", "gates")
# Hooks that never name a rule of notebooks and modules: without them it takes a third of the time.
OTHERS = "configs,imports,mypy,project,versioning"


def say(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout.decode(errors="replace")


def check_with(change: Callable[[Any], None], repository: Any, *command: str) -> tuple[int, str]:
    """What a command says of the project with a change, which is taken back afterwards."""
    try:
        change(repository)
        say("git", "add", "--all")
        return say(*command)
    finally:
        say("git", "reset", "--quiet", "--hard")
        say("git", "clean", "--quiet", "--force", "-d")
        # What pairs remember of the last fault is none of the next one's past.
        shutil.rmtree(".git/gates-pairs", ignore_errors=True)


def main() -> int:
    from tests.gates.faults import FAULTS  # type: ignore[import-not-found]
    from tests.gates.planting import Repository  # type: ignore[import-not-found]

    package = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["gates"]["package"]
    notebook = sorted(Path("notebooks").glob("*.ipynb"))[0]
    repository = Repository(Path.cwd(), notebook, Path("src", package))
    seen: set[str] = set()
    for fault in FAULTS:
        if "--first" in sys.argv and fault.rule in seen:
            continue
        seen.add(fault.rule)
        skipped = OTHERS if fault.rule.startswith(("NB", "ML", "EX")) else "mypy"
        code, said = check_with(fault.red, repository, "env", f"SKIP={skipped}", "make", "check")
        # The rule alone, and nothing mended: what ruff says of a twin is not the question.
        _, twin = check_with(fault.green, repository, *GATES, "--select", fault.rule)
        result = {
            "rule": fault.rule,
            "what": fault.what,
            "red": code != 0 and fault.rule in said,
            "twin": fault.rule in twin,
        }
        if not result["red"]:
            result["said"] = said[-3000:]
        elif result["twin"]:
            result["said"] = twin[-3000:]
        print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
