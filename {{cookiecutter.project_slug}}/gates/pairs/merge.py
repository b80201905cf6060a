"""Three-way merge of a notebook's two halves, cell by cell.

Each side is compared with the last version that both had. What only one side changed is taken from
it; where both changed the same cell, or put cells in the same place, only a person can say.

Places are numbered: 2k is the gap before cell k of that version, 2k + 1 the cell itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

Content = tuple[str, str, str]  # type, text and metadata of a cell
ALIKE = 0.5  # share of words that an edited cell has in common with what it was
MOVED = 0.8  # share of its words that a cell still has that was moved and edited
MOST = 10_000  # pairs of cells to compare by their words


@dataclass(frozen=True)
class Version:
    """The cells of a notebook or of a script, which has no ids."""

    cells: list[Content]
    ids: list[str] = field(default_factory=list)

    def id(self, number: int) -> str | None:
        return self.ids[number] if self.ids else None


@dataclass(frozen=True)
class Taken:
    """A cell of the result: from the left (0) or the right (1), and its number there.

    ``twin`` is the same cell on the right, whose id, attachments and outputs it keeps.
    """

    side: int
    number: int
    twin: int | None


@dataclass(frozen=True)
class Clash:
    """Places next to each other that both sides changed: the numbers of the cells there."""

    left: list[int]
    right: list[int]


@dataclass(frozen=True)
class Merge:
    taken: list[Taken]
    clashes: list[Clash]


def merge(base: Version, left: Version, right: Version, prefer: int = 0) -> Merge:
    """Merge what both sides made of ``base``; ``prefer`` is the side that wins where they clash."""
    sides = (_Side(base, left), _Side(base, right))
    clashing = _clashes(base, sides)
    taken: list[Taken] = []
    for place in range(2 * len(base.cells) + 1):
        states = [side.state(place) for side in sides]
        if place in clashing:
            chosen = prefer
        elif place % 2:
            chosen = 0 if states[1] == [base.cells[place // 2]] != states[0] else 1
        else:
            chosen = 0 if not states[1] else 1
        taken += (
            Taken(chosen, number, number if chosen else sides[1].now(sides[0].was.get(number)))
            for number in sides[chosen].numbers(place)
        )
    return Merge(taken, list(_grouped(clashing, sides)))


class _Side:
    """What one side made of the base."""

    def __init__(self, base: Version, new: Version) -> None:
        self.new = new
        self.kept: dict[int, int] = {}  # cell of the base: the same cell here
        self.added: dict[int, list[int]] = {}  # gap of the base: the cells put there
        self.moved: dict[int, int] = {}  # cell of the base: where it is now, out of order
        self.together: list[set[int]] = []  # places that one change touches
        self.kept.update(_same_cells(base, new))
        last_old, last_new = -1, -1
        for old, number in [*sorted(self.kept.items()), (len(base.cells), len(new.cells))]:
            if number > last_new + 1:
                self.added[last_old + 1] = list(range(last_new + 1, number))
                self.together.append(set(range(2 * last_old + 2, 2 * old + 1)))
            last_old, last_new = old, number
        self._find_moved(base)
        self.was = {now: old for old, now in [*self.kept.items(), *self.moved.items()]}

    def _find_moved(self, base: Version) -> None:
        gone = [k for k in range(len(base.cells)) if k not in self.kept]
        gaps = {number: gap for gap, numbers in self.added.items() for number in numbers}
        if len(gone) * len(gaps) > MOST:
            return
        for least in (1.0, MOVED):  # first those that nobody edited as well
            for old in gone:
                for number, gap in gaps.items() if old not in self.moved else ():
                    if _part_kept(base, self.new, old, number) >= least:
                        self.moved[old] = number
                        self.together.append({2 * old + 1, 2 * gap})
                        del gaps[number]
                        break

    def numbers(self, place: int) -> list[int]:
        """The cells that stand at a place."""
        if place % 2:
            return [self.kept[place // 2]] if place // 2 in self.kept else []
        return self.added.get(place // 2, [])

    def state(self, place: int) -> list[Content]:
        return [self.new.cells[number] for number in self.numbers(place)]

    def now(self, old: int | None) -> int | None:
        """Where a cell of the base is, wherever that may be."""
        return None if old is None else self.kept.get(old, self.moved.get(old))


def _clashes(base: Version, sides: tuple[_Side, _Side]) -> set[int]:
    found: set[int] = set()
    for place in range(2 * len(base.cells) + 1):
        left, right = (side.state(place) for side in sides)
        if place % 2:
            number = place // 2
            original = [base.cells[number]]
            if left == right:
                moved = [side.moved.get(number) for side in sides]
                if not left and moved != [None, None] and not _moved_alike(number, sides):
                    found.add(place)
            elif original not in (left, right):
                found.add(place)
        elif left != right:
            if left and right:
                found.add(place)
            for one, other in (sides, sides[::-1]):
                beside = [k for k in (place // 2 - 1, place // 2) if 0 <= k < len(base.cells)]
                gone = {2 * k + 1 for k in beside if k not in other.kept}
                if one.state(place) and gone:
                    found |= {place} | gone
    changes = [change for side in sides for change in side.together]
    while grown := {place for change in changes if change & found for place in change} - found:
        found |= grown
    return found


def _moved_alike(number: int, sides: tuple[_Side, _Side]) -> bool:
    gaps = []
    for side in sides:
        now = side.moved.get(number)
        gaps.append(next((gap for gap, numbers in side.added.items() if now in numbers), None))
    return gaps[0] == gaps[1]


def _grouped(clashing: set[int], sides: tuple[_Side, _Side]) -> Iterator[Clash]:
    group: list[int] = []
    for place in sorted(clashing):
        if group and place > group[-1] + 1:
            yield _clash(group, sides)
            group = []
        group.append(place)
    if group:
        yield _clash(group, sides)


def _clash(places: list[int], sides: tuple[_Side, _Side]) -> Clash:
    left, right = ([n for place in places for n in side.numbers(place)] for side in sides)
    return Clash(left, right)


def _same_cells(base: Version, new: Version) -> Iterator[tuple[int, int]]:
    """Cells of both that are the same one, in order: equal, or else edited."""
    matcher = SequenceMatcher(None, base.cells, new.cells, autojunk=False)
    blocks = matcher.get_opcodes()
    for kind, i1, i2, j1, j2 in blocks:
        if kind == "equal":
            yield from zip(range(i1, i2), range(j1, j2), strict=True)
    others = [block for block in blocks if block[0] != "equal"]
    gone = {cell[:2] for _, i1, i2, _, _ in others for cell in base.cells[i1:i2]}
    moved = {cell[:2] for _, _, _, j1, j2 in others for cell in new.cells[j1:j2]} & gone
    for _, i1, i2, j1, j2 in others:
        yield from _edited(base, new, range(i1, i2), range(j1, j2), moved)


def _edited(
    base: Version, new: Version, old: range, now: range, moved: set[tuple[str, str]]
) -> list[tuple[int, int]]:
    """The pairs, in order, that are most alike in all: a common subsequence of most weight.

    Args:
        moved: type and text of cells that are on both sides, here or elsewhere.
    """
    if not old or not now or len(old) * len(now) > MOST:
        return []
    least = 0 if len(old) == len(now) == 1 else ALIKE
    words = {cell: _words(cell) for cell in base.cells[old.start : old.stop]}
    words |= {cell: _words(cell) for cell in new.cells[now.start : now.stop]}

    def likeness(i: int, j: int) -> float:
        """The share of words in common; 2 for the same id, -1 for certainly not the same."""
        before, after = base.cells[i], new.cells[j]
        if base.id(i) is not None and base.id(i) == new.id(j):
            return 2
        if before[0] != after[0] or base.id(i) in new.ids or new.id(j) in base.ids:
            return -1
        if before[:2] == after[:2]:
            return 1.5
        if before[:2] in moved or after[:2] in moved:
            return -1
        total = words[before].total() + words[after].total()
        return 2 * (words[before] & words[after]).total() / (total or 1)

    best: list[tuple[float, list[tuple[int, int]]]] = [(0, [])] * (len(now) + 1)
    for i in old:
        row = best[:1]
        for n, j in enumerate(now):
            found = [row[-1], best[n + 1]]
            if (alike := likeness(i, j)) >= least:
                weight, pairs = best[n]
                found.append((weight + alike + 0.01, [*pairs, (i, j)]))
            row.append(max(found, key=lambda each: each[0]))
        best = row
    return best[-1][1]


def _part_kept(base: Version, new: Version, old: int, number: int) -> float:
    """How much of a cell that is gone from its place stands in another; 1 for all of it."""
    before, after = base.cells[old], new.cells[number]
    if base.id(old) is not None and base.id(old) == new.id(number):
        return 1
    if before[:2] == after[:2]:
        return 1
    words = _words(before)
    return 0.99 * (words & _words(after)).total() / (words.total() or 1)


def _words(cell: Content) -> Counter[str]:
    return Counter(re.findall(r"\w+|[^\w\s]", cell[1]))
