"""Which edits of a pair that is out of step can be taken over, and which only a person can judge.

Content decides, never the time of a file: both halves are compared with what they held when they
were last in step, as noted in git's own folder, and with git's HEAD where that is in step.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.files import Unreadable, parse
from . import halves
from .halves import SIDES, Pair
from .merge import Merge, Version, merge
from .stamps import Stamps, digest, revisions


@dataclass(frozen=True)
class Verdict:
    """How a pair is to be brought in step, and whether that is certain or for a person to say."""

    what: str
    merge: Merge
    certain: bool = True
    detail: str = ""


def judge(pair: Pair, stamps: Stamps, side: str | None = None) -> Verdict:
    """Which edits of a pair that is out of step are taken over, and whether that is certain."""
    past = _Past(pair, stamps)
    if not past.states:
        what = "they differ, and no state is known in which they were in step"
        return Verdict(what, all_of(pair, side or "py"), certain=False)
    changed = [version.cells != past.states[0].cells for version in (pair.left, pair.right)]
    if sum(changed) == 1:
        number = changed.index(True)
        name, other = SIDES[number], SIDES[1 - number]
        if past.may_be_restored(number):
            what = f"the .{name} is as it was before they were last in step"
            return Verdict(what, all_of(pair, side or name), certain=False)
        return Verdict(
            f"only the .{name} has changed; the .{other} has to follow", all_of(pair, name)
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
        return Verdict(what, all_of(pair, side or "py"), certain=False)
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


def all_of(pair: Pair, side: str) -> Merge:
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
