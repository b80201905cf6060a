"""What speaks to a person: the one exception that does, and the hint for a misspelt word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend; the message says what, where and how.

    Command lines print it without a traceback and exit with :attr:`status`.
    """

    status = 1


def nearest(word: object, known: Iterable[object]) -> str:
    """A hint for a misspelt ``word``, with a leading space; empty when nothing is near."""
    close = difflib.get_close_matches(str(word), [str(each) for each in known], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
