"""What a notebook concludes, recorded by its last cell as text to read and values to use.

The record travels as an output of the executed notebook, so it cannot disagree with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UserError

MIME = "application/vnd.job-summary+json"
Value = float | int | str | bool | None


@dataclass(frozen=True)
class Summary:
    """Headlines for people (inline Markdown) and named values for later jobs."""

    headlines: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)


def summarise(headlines: Sequence[str], /, **values: Value) -> None:
    """Show and record the executive summary; call it once, in the last cell.

    Args:
        headlines: sentences, inline Markdown; the report puts them on top.
        values: what later jobs may use, as ``{from: job_name.value_name}``.

    Raises:
        UserError: a value that is not a finite number, text, true, false or None.
    """
    from IPython.display import display

    headlines = [headlines] if isinstance(headlines, str) else list(headlines)
    record = {
        "headlines": headlines,
        "values": {name: _plain(name, values[name]) for name in sorted(values)},
    }
    bullets = "\n".join(f"- {line}" for line in headlines)
    display({"text/markdown": bullets, MIME: record}, raw=True)


def read_summary(notebook: Mapping[str, Any]) -> Summary:
    """The last summary recorded in an executed ``notebook``; an empty one when there is none."""
    for cell in reversed(notebook["cells"]):
        for output in reversed(cell.get("outputs", [])):
            if MIME in output.get("data", {}):
                record = output["data"][MIME]
                return Summary(list(record["headlines"]), dict(record["values"]))
    return Summary()


def _plain(name: str, value: Any) -> Value:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a numpy scalar
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise UserError(
        f"summarise({name}={value!r}): must be a finite number, text, true, false or None."
    )
