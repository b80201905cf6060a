"""NB301-NB304: a notebook and its script say the same, and no edit of either is ever lost.

Both are compared, cell by cell, with what they held when they were last in step (noted in git's
own folder), or else in git's HEAD. What one side changed the other takes over, from both sides at
once if need be; where both changed the same cell nothing is written. File times decide nothing.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import halves, percent
from .files import Notebook, Unreadable, find, parse, source, write
from .gate import Context, Gate
from .halves import SIDES, Pair
from .merge import Merge, Version, merge
from .rules import Finding, Rule
from .stamps import Stamps, digest, git, hashes, revisions

NB301 = Rule(
    "NB301",
    "the .py and the .ipynb are out of step",
    "reviews read the one and jobs run the other",
    "Run `make sync`, or `python -m gates.pairs --fix FILE`: no edit is lost",
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
    "Decide with `python -m gates.pairs --from py FILE` or `--from ipynb FILE`: it wins where both "
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
    "Run `make sync`, or `python -m gates.pairs --fix FILE`",
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
    "'x = !command'; or take the cells of the .py: `python -m gates.pairs --from py FILE`",
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


@dataclass(frozen=True)
class Verdict:
    """How a pair is to be brought in step, and whether that is certain or for a person to say."""

    what: str
    merge: Merge
    certain: bool = True
    detail: str = ""


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
            wanted = halves.texts(pair, _all_of(pair, "ipynb"), mend_header=True)[1]
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
        chosen = _all_of(pair, pair.only or "ipynb")
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
    files = hashes(path)
    stamps.note(path, halves.read(path).right, files)
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


def judge(pair: Pair, stamps: Stamps, side: str | None = None) -> Verdict:
    """Which edits of a pair that is out of step are taken over, and whether that is certain."""
    past = _Past(pair, stamps)
    if not past.states:
        what = "they differ, and nobody knows a state in which they were in step"
        return Verdict(what, _all_of(pair, side or "py"), certain=False)
    changed = [version.cells != past.states[0].cells for version in (pair.left, pair.right)]
    if sum(changed) == 1:
        number = changed.index(True)
        name, other = SIDES[number], SIDES[1 - number]
        if past.may_be_restored(number):
            what = f"the .{name} is as it was before they were last in step"
            return Verdict(what, _all_of(pair, side or name), certain=False)
        return Verdict(
            f"only the .{name} has changed; the .{other} has to follow", _all_of(pair, name)
        )
    prefer = SIDES.index(side or "py")
    merges = [merge(state, pair.left, pair.right, prefer) for state in past.states]
    if clashes := merges[0].clashes:
        numbers = [n + 1 for clash in clashes for n in clash.right or clash.left]
        what = f"both have changed {_cells(numbers)} since they were in step"
        detail = "\n".join(_shown(pair, clash.left, clash.right) for clash in clashes)
        return Verdict(what, merges[0], certain=False, detail=detail)
    results = [pair.contents(found) for found in merges if not found.clashes]
    if any(result != results[0] for result in results):
        what = "both have changed, and it is not certain since when"
        return Verdict(what, _all_of(pair, side or "py"), certain=False)
    return Verdict("both have changed, in different cells, and can be merged", merges[0])


class _Past:
    """What is known of a pair out of step: the last state in step, and what git holds."""

    def __init__(self, pair: Pair, stamps: Stamps) -> None:
        self.pair = pair
        last = stamps.last(pair.path)
        self.texts = revisions(pair.path, last.commit if last else "")
        self.head = [self._in_git("HEAD", number) for number in (0, 1)]
        self.states: list[Version] = [last.version] if last else []
        self.earlier = {digest(last.version), *last.earlier} if last else set()
        if self.head[0] and self.head[1] and self.head[0].cells == self.head[1].cells:
            then = [self.texts.get(("then", side)) for side in SIDES]
            now = [self.texts.get(("HEAD", side)) for side in SIDES]
            # After a pull or a change of branch the commit is what both started from.
            place = 0 if then != now else 1
            self.states.insert(place, self.head[1])

    def _in_git(self, revision: str, number: int) -> Version | None:
        text = self.texts.get((revision, SIDES[number]))
        if text is None:
            return None
        try:
            return halves.of_notebook(parse(text)) if number else halves.of_script(text)
        except Unreadable:
            return None

    def may_be_restored(self, number: int) -> bool:
        """Whether a side is an older state from git, as when half a pair is staged."""
        now = (self.pair.left, self.pair.right)[number]
        staged, committed = self._in_git("index", number), self.head[number]
        if not staged or staged.cells != now.cells:
            return False
        return digest(now) in self.earlier or (committed or Version([])).cells == now.cells


def _all_of(pair: Pair, side: str) -> Merge:
    """One side as it is; its cells keep the ids that the notebook gave them."""
    return merge(pair.right if side == "py" else pair.left, pair.left, pair.right)


def _cells(numbers: list[int]) -> str:
    if not numbers:
        return "the same place"
    return f"cell{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _shown(pair: Pair, left: list[int], right: list[int]) -> str:
    """Both versions of cells that clash, as a diff."""

    def lines(version: Version, numbers: list[int]) -> Iterator[str]:
        for kind, text, more in (version.cells[number] for number in numbers):
            options = [] if kind == "code" else [f"[{kind}]"]
            options += [] if more == "{}" else [more]
            yield " ".join(["# %%", *options])
            yield from text.split("\n")

    def name(path: Path, numbers: list[int]) -> str:
        return f"{path}, {_cells([n + 1 for n in numbers]) if numbers else 'not there'}"

    diff = difflib.unified_diff(
        list(lines(pair.left, left)),
        list(lines(pair.right, right)),
        name(pair.script, left),
        name(pair.path, right),
        lineterm="",
    )
    return "\n".join(diff)


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
        prog="python -m gates.pairs",
        description=main.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="All other options are those of `python -m gates --help`.",
    )
    parser.add_argument("files", nargs="+", help="notebooks or their scripts")
    parser.add_argument("--from", dest="side", choices=SIDES, help="the side that is right")
    parser.add_argument("--fix", action="store_true", help="bring in step where it is certain")
    options = parser.parse_args(arguments)
    stamps = Stamps(Path.cwd())
    for path in find(options.files):
        try:
            for written in bring_in_step(path, stamps, options.side):
                print(f"{written}: brought in step")
        except (OSError, Unreadable) as error:
            parser.error(f"{path}: {error}")
    stamps.save()
    return GATE.main(options.files)


if __name__ == "__main__":
    sys.exit(main())
