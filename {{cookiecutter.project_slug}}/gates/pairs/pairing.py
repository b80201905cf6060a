"""NB301-NB304: a notebook and its script say the same, and no edit of either is ever lost.

Both are compared, cell by cell, with what they held when they were last in step (noted in git's
own folder) or in git's HEAD. What one side changed the other takes over, in both directions at once
if need be; where both changed the same cell nothing is written. File times decide nothing.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.files import Notebook, Unreadable, find, source, write
from ..core.gate import Context, Gate, command
from ..core.rules import Finding, Rule
from ..core.settings import load
from . import halves, percent
from .halves import SIDES, Pair
from .merge import Version
from .stamps import Stamps, git, hashes
from .verdicts import all_of, judge

NB301 = Rule(
    "NB301",
    "the .py and the .ipynb are out of step",
    "reviews read the one and jobs run the other",
    "Run `make sync`, or `python -m gates --fix FILE`: no edit is lost",
    bad="""\
01_clicks.py:     clicks = rows[rows.event == "click"]
01_clicks.ipynb:  clicks = rows""",
    good="""\
01_clicks.py:     clicks = rows[rows.event == "click"]
01_clicks.ipynb:  clicks = rows[rows.event == "click"]""",
)
NB302 = Rule(
    "NB302",
    "the .py and the .ipynb differ, and only a person can say which is right",
    "whichever followed the other, an edit could be lost",
    "Decide with `python -m gates pairs --from py FILE` or `--from ipynb FILE`: it wins where both "
    "changed, other edits of both are kept. Is one of them not staged, `git add` both first",
    bad="""\
both said:        users: int = 1000
01_clicks.py:     users: int = 5000
01_clicks.ipynb:  users: int = 200""",
    good="""\
both said:        users: int = 1000
01_clicks.py:     users: int = 5000
01_clicks.ipynb:  users: int = 1000   <- only one was changed: this one follows""",
)
NB303 = Rule(
    "NB303",
    "the header of the .py is not in the project's form",
    "versions of tools in it would change with every machine",
    "Run `make sync`, or `python -m gates --fix FILE`",
    bad="""\
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6""",
    good="""\
#       format_name: percent""",
    story=True,
)
NB304 = Rule(
    "NB304",
    "a cell that the .py cannot hold as it is",
    "read back from there it would be split, joined with the next or changed: nothing is written, "
    "so that it cannot be lost",
    "Write it otherwise: no line that begins like '# %%', no string without an end, no indented "
    "'x = !command'; or take the cells of the .py: `python -m gates pairs --from py FILE`",
    bad="""\
a cell of 01_clicks.ipynb:
    print("first half")
    # %% second half   <- in the .py, this begins another cell""",
    good="""\
a cell of 01_clicks.ipynb:
    print("first half")
    # second half""",
)
RULES = (NB301, NB302, NB303, NB304)

MISSING = "missing"


def check(path: Path, context: Context) -> Iterator[Finding]:
    """Findings for the pair of the notebook ``path``; of the two files one may be missing."""
    found = _look(path, context)
    if found and not git(path.parent, "check-ignore", path.name, path.with_suffix(".py").name):
        yield found


def fix(path: Path, context: Context) -> bool:
    return bool(bring_in_step(path, context.stamps, mend_header=context.settings.wants(NB303)))


def _look(path: Path, context: Context) -> Finding | None:
    files, script = hashes(path), path.with_suffix(".py")
    if context.stamps.unchanged(path, files) or not _is_pair(path, context):
        return None
    if MISSING in files:
        there, absent = (path, script) if files[0] == MISSING else (script, path)
        return Finding(NB301, there, f"{absent.name} is missing")
    pair = halves.read(path)
    if pair.unfit:
        return Finding(NB304, path, cell=pair.unfit, detail=_brought_back(pair, pair.unfit))
    mend_header = context.settings.wants(NB303)
    if pair.left.cells == pair.right.cells:
        if mend_header and not pair.text.startswith(percent.HEADER):
            wanted = halves.texts(pair, all_of(pair, "ipynb"), mend_header=True)[1]
            if wanted != pair.text:
                return Finding(NB303, script)
        context.stamps.note(path, pair.right, files)
        return None
    verdict = judge(pair, context.stamps)
    if not verdict.certain:
        clashes = verdict.merge.clashes
        cell = clashes[0].right[0] + 1 if clashes and clashes[0].right else None
        return Finding(NB302, path, verdict.what, cell, detail=verdict.detail)
    if halves.texts(pair, verdict.merge, mend_header=mend_header)[1] is None:
        return Finding(NB304, script)
    return Finding(NB301, script, verdict.what)


def _is_pair(path: Path, context: Context) -> bool:
    """Whether both halves belong together: in the project always, elsewhere if they say so."""
    script = path.with_suffix(".py")
    if not script.is_file() and not Notebook(path).is_python:
        return False  # jupytext writes other languages to files of other endings
    if context.settings.layout == "project":
        return True
    head = halves.split(script.read_text(errors="replace"))[0] if script.is_file() else ""
    if (halves.format_of(head) or "percent") != "percent":
        return False
    declared = re.search(r"^# +formats: (.*)$", head, re.MULTILINE)
    if (declared and _both(declared[1])) or _both(_configured(context.root.resolve())):
        return True
    if not path.is_file() or b'"formats"' not in path.read_bytes():
        return False
    metadata = Notebook(path).raw.get("metadata", {}).get("jupytext", {})
    return isinstance(metadata, dict) and _both(metadata.get("formats"))


def _both(formats: Any) -> bool:
    """Whether jupytext's formats, such as 'ipynb,py:percent', mean both files side by side."""
    parts = {part.strip() for part in formats.split(",")} if isinstance(formats, str) else set()
    return "ipynb" in parts and bool(parts & {"py:percent", "auto:percent"})


@lru_cache
def _configured(root: Path) -> Any:
    for name in ("jupytext.toml", "pyproject.toml"):
        try:
            found = tomllib.loads((root / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if name == "pyproject.toml":
            found = found.get("tool", {}).get("jupytext", {})
        if "formats" in found:
            return found["formats"]
    return None


def bring_in_step(
    path: Path, stamps: Stamps, side: str | None = None, *, mend_header: bool = True
) -> list[Path]:
    """Bring a pair in step where that is certain; elsewhere ``side`` (py or ipynb) decides.

    The notebook is written first: should it stop before the script is, the next run finds all
    edits in the notebook, and the script follows.

    Returns:
        The files that were written.
    """
    files = hashes(path)
    if stamps.unchanged(path, files):
        return []
    pair = _read(path, files, stamps, side)
    if pair.unfit:
        return []
    if pair.only or pair.left.cells == pair.right.cells:
        chosen = all_of(pair, pair.only or "ipynb")
    else:
        verdict = judge(pair, stamps, side)
        if not (verdict.certain or side):
            return []
        chosen = verdict.merge
    notebook, script = halves.texts(pair, chosen, mend_header=mend_header)
    if script is None or hashes(path) != files:  # or somebody saves it at this very moment
        return []
    written = [path] if notebook is not None and write(path, notebook) else []
    if script != pair.text and write(pair.script, script):
        written.append(pair.script)
    files, after = hashes(path), halves.read(path)
    if after.left.cells == after.right.cells:
        stamps.note(path, after.right, files)
    return written


def _read(path: Path, files: list[str], stamps: Stamps, side: str | None) -> Pair:
    if files[0] == MISSING:
        return halves.of_notebook_alone(path)
    if files[1] != MISSING:
        try:
            pair = halves.read(path)
        except Unreadable:
            if side != "py":
                raise
        else:
            if not (pair.unfit and side == "py"):
                return pair
    last = stamps.last(path)
    return halves.of_script_alone(path, last.version if last else Version([]))


def _brought_back(pair: Pair, number: int) -> str:
    """What would become of a cell that the script cannot hold, as a diff."""
    mine = source(pair.raw["cells"][number - 1])
    back = pair.right.cells[number - 1][1] if number <= len(pair.right.cells) else ""
    names = f"{pair.path}, cell {number}", "as the .py would bring it back"
    return "\n".join(
        difflib.unified_diff(mine.split("\n"), back.split("\n"), *names, lineterm="", n=1)
    )


GATE = Gate(RULES, on_path=check, fix=fix)


def main(argv: Sequence[str] | None = None) -> int:
    """Check pairs; with --fix, bring them in step where that is certain.

    With --from py or --from ipynb it is done in any case: where both sides changed the same cell,
    or it is not certain which was changed, the named side is right; all other edits of both are
    kept. To drop every edit of one side, delete that file and run --fix.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not any(
        argument.startswith("--from") or argument in ("-h", "--help") for argument in arguments
    ):
        return GATE.main(arguments)
    parser = argparse.ArgumentParser(
        prog=f"{command()} pairs",
        description=main.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"All other options are those of `{command()} --help`.",
    )
    parser.add_argument("files", nargs="+", help="notebooks or their scripts")
    parser.add_argument("--from", dest="side", choices=SIDES, help="the side that is right")
    parser.add_argument("--fix", action="store_true", help="bring in step where it is certain")
    options = parser.parse_args(arguments)
    context = Context(Path.cwd(), load(Path.cwd()))
    mend_header = context.settings.wants(NB303)
    for path in find(options.files):
        try:
            written = bring_in_step(path, context.stamps, options.side, mend_header=mend_header)
        except (OSError, Unreadable) as error:
            parser.error(f"{path}: {error}")
        for name in written:
            print(f"{name}: brought in step")
    context.close()
    return GATE.main(options.files)
