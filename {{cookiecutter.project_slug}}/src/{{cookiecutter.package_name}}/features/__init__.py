"""From data to examples: the part to replace, together with ``data/``, for another problem."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from ..config import Config, ShopConfig
from ..data.examples import Examples
from .contract import check_examples


def build(config: Config) -> Examples:
    """The labelled rows that ``config`` describes, ready to be split and trained on.

    Raises:
        UserError: the data cannot be used as the configuration says.
    """
    if isinstance(config.data, ShopConfig):
        from . import shop

        examples = shop.build(config)
        report = check_examples(examples, examples.contract)
    else:
        from . import table

        examples = table.build(config)  # its rows kept their contract when they were read
        report = check_examples(examples)
    report.raise_if_stopped()
    return replace(examples, notes=[*examples.notes, *report.notes()])


def describe(examples: Examples) -> pd.DataFrame:
    """A row a feature: kind, what it means, share missing, distinct values."""
    frame = examples.frame
    features = examples.schema.features
    return pd.DataFrame(
        {
            "kind": list(features.values()),
            "meaning": [examples.meaning[name] for name in features],
            "missing": [f"{frame[name].isna().mean():.1%}" for name in features],
            "distinct": [int(frame[name].nunique()) for name in features],
        },
        index=list(features),
    )


def check_past(config: Config) -> str:
    """Prove that no feature knows the future, and say how; see :mod:`.past`.

    Raises:
        AssertionError: a feature changes when later rows are taken away.
    """
    if isinstance(config.data, ShopConfig):
        from .past import check_shop

        return check_shop(config.data)
    return "Each feature is a column of the same row: none is computed from other rows."
