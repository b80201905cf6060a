"""Write a card down: ``card.md`` for people and programs, ``card.html`` to send around."""

from __future__ import annotations

from pathlib import Path

from ...runs.files import write_atomic
from .content import Card
from .markdown import to_markdown
from .page import to_html

RECORDS = "card.*"  # they tell of times and of the run, which no replay repeats


def write_card(card: Card, folder: Path) -> Path:
    """Write the card into ``folder``, where its pictures are; the path of the HTML page.

    Raises:
        UserError: the folder cannot be written.
    """
    markdown = to_markdown(card)
    write_atomic(folder / "card.md", markdown)
    page = folder / "card.html"
    write_atomic(page, to_html(markdown, card.title, folder))
    return page
