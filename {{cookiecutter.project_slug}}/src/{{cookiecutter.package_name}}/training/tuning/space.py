"""What a search may try: ranges and choices of ``conf/tuning/``, checked before the first trial."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config import Config, load_config, option
from ...errors import UserError, nearest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Why a setting is not for a search to choose, by how its key begins; the first that fits.
REFUSED = {
    "seed": "a seed has no better value: the best of many is luck, and is gone with other rows",
    "data": "each trial would be scored on other rows, and the scores would not compare",
    "training.split": "each trial would be scored on other rows, and the scores would not compare",
    "evaluation": "each trial would be scored in another way, and the scores would not compare",
    "model.name": "models have settings of their own; search each by itself, with model=NAME",
    "training": "the model does not depend on it",
    "jobs": "the model does not depend on it",
    "tuning": "the model does not depend on it",
    "dry_run": "the model does not depend on it",
}
_RANGE, _CHOICES = ("low", "high", "log", "step"), ("choices",)
_DIGITS = 4  # that matter of a number that is tried: what one may read aloud and type again


@dataclass(frozen=True)
class Parameter:
    """A setting and the values it may take."""

    key: str
    distribution: BaseDistribution

    def of(self, config: Config) -> Any:
        """The value in ``config``, in the form Optuna knows it."""
        value: Any = config.to_dict()
        for part in self.key.split("."):
            value = value[part]
        return _plain(value)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is one of those that may be tried."""
        from optuna.distributions import CategoricalDistribution

        found: Any = self.distribution
        if isinstance(found, CategoricalDistribution):
            return value in found.choices
        if not isinstance(value, (int, float)) or not found.low <= value <= found.high:
            return False
        return found.step is None or math.isclose(math.remainder(value - found.low, found.step), 0)

    def rounded(self, value: Any) -> Any:
        """``value`` with few digits, within the range."""
        from optuna.distributions import FloatDistribution

        found = self.distribution
        if not isinstance(found, FloatDistribution) or found.step is not None:
            return value
        return min(max(float(f"{value:.{_DIGITS}g}"), found.low), found.high)


def read_space(config: Config) -> list[Parameter]:
    """The space of ``config.tuning``, in the order of its keys.

    Raises:
        UserError: it is empty, names what there is not or what is not to be tuned, or holds a value
            that the configuration refuses; names the file.
    """
    overrides = config.overrides
    chosen = option(overrides, "tuning") or option(overrides, "model")
    file = f"conf/tuning/{chosen}.yaml"
    found = [
        Parameter(key, _distribution(file, key, values, config))
        for key, values in sorted(_leaves(file, config.tuning.space))
    ]
    if not found:
        raise UserError(
            f"{file}: there is no search space for model={option(overrides, 'model')}. Write one "
            "there (docs/tuning.md), or choose another with tuning=NAME."
        )
    _try(file, found, overrides)
    return found


def assign(values: Mapping[str, Any]) -> list[str]:
    """``values`` by key as overrides of a command line."""
    # JSON is what Hydra reads back as the same value; lists are text already, see `_plain`.
    return [
        f"{key}={value if _is_list(value) else json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
    ]


def _leaves(file: str, space: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the mapping of each range or list of choices."""
    for name, value in space.items():
        key = f"{where}.{name}" if where else str(name)
        if not isinstance(value, Mapping):
            raise UserError(
                f"{file}: {key}: {value} is no range. Give it low and high, or choices; "
                "what stays as it is needs no entry."
            )
        if not set(value) & {*_RANGE, *_CHOICES}:
            yield from _leaves(file, value, key)
            continue
        allowed = _CHOICES if "choices" in value else _RANGE
        for word in value:
            if word not in allowed:
                every = (*_RANGE, *_CHOICES)
                what = f"Valid: low and high, with log or step; or choices.{nearest(word, every)}"
                raise UserError(f"{file}: {key}.{word}: a range has no such key. {what}")
        yield key, value


def _distribution(
    file: str, key: str, values: Mapping[str, Any], config: Config
) -> BaseDistribution:
    from optuna import distributions as optuna

    for start, why in REFUSED.items():
        if key == start or key.startswith(f"{start}."):
            raise UserError(f"{file}: {key} is not for a search to choose: {why}. Take it out.")
    now = _current(file, key, config)
    if "choices" in values:
        choices = values["choices"]
        if not isinstance(choices, list) or not choices:
            raise UserError(f"{file}: {key}.choices={choices}: must be a list of values.")
        return optuna.CategoricalDistribution([_plain(each) for each in choices])
    low, high, step = values.get("low"), values.get("high"), values.get("step")
    log = values.get("log", False)
    numbers = [each for each in (low, high, step) if each is not None]
    if (
        low is None
        or high is None
        or not isinstance(log, bool)
        or any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in numbers)
        or not all(map(math.isfinite, numbers))
        or low >= high
    ):
        raise UserError(f"{file}: {key}: a range has two numbers, low and a higher high.")
    if log and (low <= 0 or step is not None):
        raise UserError(f"{file}: {key}: a range with log begins above 0 and has no step.")
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"{file}: {key}.step={step}: must be above 0 and fit between low and high.")
    if isinstance(now, bool) or not isinstance(now, (int, float)):
        raise UserError(f"{file}: {key} is no number (now {now!r}): give choices, not a range.")
    if isinstance(now, int):
        if any(each != int(each) for each in numbers):
            raise UserError(f"{file}: {key} is a whole number, and so are low, high and step.")
        return optuna.IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return optuna.FloatDistribution(float(low), float(high), log=log, step=step)


def _current(file: str, key: str, config: Config) -> Any:
    """The value of ``key`` as it stands."""
    value: Any = config.to_dict()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            known = value if isinstance(value, dict) else {}
            raise UserError(
                f"{file}: {key}: there is no such key. Valid here: "
                f"{', '.join(known) or 'nothing below it'}.{nearest(part, known)}"
            )
        value = value[part]
    if isinstance(value, dict):
        raise UserError(f"{file}: {key} is a section. Name a key of it: {', '.join(value)}.")
    return value


def _try(file: str, space: Sequence[Parameter], overrides: Sequence[str]) -> None:
    """Both ends of every range, and every choice, must be what the configuration takes."""
    from optuna.distributions import CategoricalDistribution

    values: list[list[Any]] = []
    for each in space:
        found: Any = each.distribution
        is_choice = isinstance(found, CategoricalDistribution)
        values.append(list(found.choices) if is_choice else [found.low, found.high])
    for number in range(max(map(len, values))):
        row = {
            each.key: options[min(number, len(options) - 1)]
            for each, options in zip(space, values, strict=True)
        }
        try:
            load_config([*overrides, *assign(row)])
        except UserError as error:
            raise UserError(f"{file}: {error}") from error


def _plain(value: Any) -> Any:
    """A list as its JSON, since Optuna's choices are single values."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _is_list(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("[") and value.endswith("]")
