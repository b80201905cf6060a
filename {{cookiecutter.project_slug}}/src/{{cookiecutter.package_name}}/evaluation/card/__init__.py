"""A model card of a judged model: what it says, as Markdown, and as one HTML page."""

from .build import Judged, describe
from .content import Card
from .write import RECORDS, write_card

__all__ = ["RECORDS", "Card", "Judged", "describe", "write_card"]
