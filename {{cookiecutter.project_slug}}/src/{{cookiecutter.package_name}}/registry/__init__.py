"""Which model is in use: versions of a model, the champion and its challenger."""

from .gate import Refused, Verdict, judge
from .versions import CHALLENGER, CHAMPION, Registry, Version

__all__ = ["CHALLENGER", "CHAMPION", "Refused", "Registry", "Verdict", "Version", "judge"]
