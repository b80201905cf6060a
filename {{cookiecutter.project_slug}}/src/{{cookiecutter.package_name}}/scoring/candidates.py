"""Which items are considered for a user: the cheap first stage of a recommender of two stages.

Half of them are the items that were clicked most, whoever clicked. The others come from what the
user likes: categories by the user's click rate in them, and of each the items clicked most. Counts
decide and nothing is drawn, so the same past gives the same candidates. Two stages are described by
Covington, Adams and Sargin, "Deep neural networks for YouTube recommendations", 2016.

What is no candidate cannot be recommended, so the measure of this stage is recall: of what users
clicked after ``as_of``, the share that was among their candidates. It rises with ``candidates`` and
so does the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Retrieval:
    """What retrieval knows of the items, the same for all users.

    Attributes:
        size: candidates of a user.
        head: the items clicked most, shape ``(about size / 2,)``.
        shelves: categories, the most clicked first.
        tails: of each such category its other items, the most clicked first, one after another.
        starts: where the items of each begin in ``tails``.
        lengths: how many items of each are taken at most.
    """

    size: int
    head: Ints
    shelves: Ints
    tails: Ints
    starts: Ints
    lengths: Ints

    def candidates(self, shown: Ints, clicks: Ints) -> Ints:
        """Items of each user in rising order, all different: shape ``(users, size)``.

        Args:
            shown: how often items of a category were shown to a user, ``(users, categories)``.
            clicks: how often such were clicked.
        """
        users, wanted = len(shown), self.size - len(self.head)
        rate = ((clicks + 1) / (shown + 12))[:, self.shelves]
        order = np.argsort(-rate, axis=1, kind="stable")  # of equals, what all click most
        until = np.cumsum(self.lengths[order], axis=1)
        found = np.empty((users, self.size), dtype=np.int64)
        found[:, : len(self.head)] = self.head
        everyone = np.arange(users)
        for place in range(wanted):
            # The category in which this place falls, and how far into it.
            nth = (until <= place).sum(axis=1)
            shelf = order[everyone, nth]
            into = place - (until[everyone, nth] - self.lengths[shelf])
            found[:, len(self.head) + place] = self.tails[self.starts[shelf] + into]
        found.sort(axis=1)
        return found


def retrieval(shelf: Ints, clicks: Ints, size: int) -> Retrieval:
    """Made ready for the items ``0, 1, …`` of the categories ``shelf``, clicked so often.

    There are no more candidates than items.
    """
    count, size = len(shelf), min(size, len(shelf))
    by_clicks = np.lexsort((np.arange(count), -clicks))
    head, rest = by_clicks[: (size + 1) // 2], by_clicks[(size + 1) // 2 :]
    kinds = int(shelf.max()) + 1
    popular = np.bincount(shelf, weights=clicks, minlength=kinds)
    shelves = np.lexsort((np.arange(kinds), -popular))
    tails = [rest[shelf[rest] == each] for each in shelves]
    there = np.array([len(each) for each in tails])
    most, wanted = -(-(size - len(head)) // 2), size - len(head)
    while np.minimum(there, most).sum() < wanted:  # few categories, or most of them small
        most += 1
    starts = np.cumsum(there) - there
    found = np.concatenate(tails) if tails else rest
    return Retrieval(size, head, shelves, found, starts, np.minimum(there, most))
