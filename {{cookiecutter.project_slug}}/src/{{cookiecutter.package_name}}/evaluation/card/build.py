"""From a judged model to what its card says."""

from __future__ import annotations

import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ...config import PROJECT_ROOT, Config, TableConfig
from ...data.contracts.contract import ColumnRule, Contract
from ...data.examples import Examples, Schema
from ...training.splits import Split, kind_of
from .. import metrics
from ..comparison import Difference
from ..evaluate import BASELINE, Evaluation
from ..explain import Explanation
from ..ledger import Looks
from ..metrics import LOWER_IS_BETTER, MAIN_METRIC, Interval, title
from ..thresholds import Decision
from . import limits
from .content import EMPTY, Card, Facts, Picture, Reproduction, Table

INTENDED_USE = Path("docs", "intended-use.md")  # what a person adds: for whom, for what, what not
MOST_FEATURES = 40
MOST_COLUMNS = 60
MOST_NOTES = 40
MOST_IMPORTANT = 10
MOST_UNREMARKABLE = 5  # slices without a finding


@dataclass(frozen=True)
class Judged:
    """All that a card is made from: a model, the rows that judged it, and what came out."""

    manifest: Mapping[str, Any]  # of the evaluating run, as it was when it began
    trained: Mapping[str, Any]  # of the run that made the model
    name: str  # of the model
    fingerprint: str
    config: Config
    examples: Examples
    split: Split
    evaluation: Evaluation  # on the test rows
    explanation: Explanation
    slices: pd.DataFrame | None = None  # see :func:`~..slices.find_slices`
    decision: Decision | None = None
    pictures: Sequence[str] = ()  # files below the run's folder, of how it does
    contract: Contract | None = None
    span: tuple[datetime.date, datetime.date] | None = None  # of the oldest and the newest row
    version: str | None = None  # of the test rows
    looks: Looks | None = None  # at these test rows so far

    @property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """Model -> metric."""
        return self.evaluation.scores["test"]

    @property
    def intervals(self) -> Mapping[str, Interval]:
        """Of the metrics of the model."""
        return self.evaluation.intervals.get("test", {}).get(self.name, {})

    @property
    def others(self) -> Mapping[str, Mapping[str, Difference]]:
        """What else was judged on the same rows -> metric; the baseline is not among them."""
        found = self.evaluation.differences.get("test", {})
        return {other: by for other, by in found.items() if other != BASELINE}

    @property
    def differences(self) -> Mapping[str, Difference]:
        """From the baseline; empty where there is nothing to compare."""
        return self.evaluation.differences.get("test", {}).get(BASELINE, {})

    @property
    def rows_read(self) -> int | None:
        """Rows of the table, of which some may have been set aside; None for the simulated shop."""
        is_table = isinstance(self.config.data, TableConfig)
        return sum(self.examples.inputs.values()) if is_table else None


def describe(judged: Judged, examples: str = "keys") -> Card:
    """The card of ``judged``.

    ``examples`` says what is shown of the rows with the largest error: their ``keys`` with what was
    true and predicted, their ``features`` as well, or ``none`` of them. A card is passed on, and
    rows may be about people: features only for readers who may see the table.
    """
    schema = judged.examples.schema
    started = _time(judged.manifest["started"])
    return Card(
        title=f"Model card: {judged.name} for {schema.target}",
        made=f"Run {judged.manifest['id']}, {started:%Y-%m-%d %H:%M} UTC",
        summary=_summary(judged),
        model=_model(judged),
        intended_use=_intended_use(PROJECT_ROOT / INTENDED_USE),
        use=_use(schema),
        features=_features(judged.examples),
        metrics=_metrics(judged),
        scores=_scores(judged),
        curves=_pictures(judged.pictures, ("calibration", "roc", "confusion", "residuals")),
        thresholds=_thresholds(judged),
        slices=_slices(judged),
        others=_others(judged),
        importance=_importance(judged.explanation),
        ranked=_pictures(judged.pictures, ("permutation",)),
        dependence=_pictures(judged.pictures, ("dependence",)),
        errors=_errors(judged.explanation, examples),
        data=_data(judged),
        parts=_parts(judged),
        notes=_first(judged.examples.notes, MOST_NOTES),
        contract=_contract(judged.contract),
        limits=_limits(judged, started.date()),
        reproduce=_reproduce(judged),
        environment=_environment(judged.manifest["environment"]),
    )


def table(frame: pd.DataFrame | None, note: str = "") -> Table:
    """``frame`` as text; a named index, or one of texts, is the first column."""
    if frame is None or frame.empty:
        return EMPTY
    if frame.index.name or not types.is_integer_dtype(frame.index):
        frame = frame.reset_index(names=frame.index.name or "")
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    numbers = frozenset(
        place for place, column in enumerate(columns) if types.is_numeric_dtype(column)
    )
    rows = [list(row) for row in zip(*map(_cells, columns), strict=True)]
    return Table([str(name) for name in frame.columns], rows, numbers, note)


def _summary(judged: Judged) -> list[str]:
    schema, found = judged.examples.schema, judged.explanation
    main = MAIN_METRIC[schema.task]
    value = judged.scores[judged.name][main]
    interval = judged.intervals.get(main)
    known = f"{title(main)} {number(value)}" + (
        f" (95\u00a0% {span(interval)})" if interval else ""
    )
    lines = [f"{_capital(_predicts(schema))}. On rows it has not learnt from: {known}."]
    difference = judged.differences.get(main)
    if difference is not None:
        verdict = {"better": "Better than", "worse": "Worse than"}.get(
            difference.verdict, "Not shown to be better than"
        )
        by = f"difference {number(difference.value, signed=True)}"
        if difference.interval:
            by += f" (95\u00a0% {span(difference.interval, signed=True)})"
        base = number(judged.scores[BASELINE][main])
        lines.append(f"{verdict} the {BASELINE} baseline ({base}): {by}.")
    strongest = [each.feature for each in found.importance if each.low > 0][:5]
    if strongest:
        lines.append(f"It goes by {_listed(strongest)} most of all.")
    lines.append(f"Judged on {len(judged.split.test):,} test rows.")
    if judged.looks is not None:
        lines[-1] = lines[-1][:-1] + f", looked at {_times(judged.looks.looks)} so far."
    return lines


def _predicts(schema: Schema) -> str:
    if schema.task == "regression":
        return f"predicts {schema.target}, a number"
    if schema.task == "binary":
        return f"predicts the probability that {schema.target} is {schema.classes[1]}"
    return f"predicts the probability of each of {len(schema.classes)} classes of {schema.target}"


def _model(judged: Judged) -> Facts:
    trained = judged.trained
    settings = {k: v for k, v in trained["config"]["model"].items() if k != "name"}
    return {
        "Model": judged.name,
        "Settings": ", ".join(f"{k.replace('_', ' ')} {_cell(v)}" for k, v in settings.items()),
        "Version": f"{judged.fingerprint} (fingerprint of the saved model)",
        "Trained": f"{_time(trained['started']):%Y-%m-%d}, run {trained['id']}",
        "Baseline": BASELINE,
    }


def _use(schema: Schema) -> Facts:
    task = {"binary": "classification, two classes", "multiclass": "classification, many classes"}
    facts = {
        "Predicts": _predicts(schema).removeprefix("predicts "),
        "Task": task.get(schema.task, schema.task),
        "Target": schema.target,
    }
    if schema.classes:
        facts["Classes"] = _listed(_first(schema.classes, 12), "and")
    if schema.ranking:
        facts["Ranking"] = f"rows of one {_name(schema.ranking)} are ranked against each other"
    facts["Made for"] = "rows that come about as these did; nothing is known of others"
    return facts


def _intended_use(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _features(examples: Examples) -> Table:
    names = list(examples.schema.features)
    missing = _missing(examples)
    rows = [
        [
            name,
            examples.schema.features[name],
            examples.meaning.get(name, ""),
            f"{missing[name]:.1%}",
        ]
        for name in names[:MOST_FEATURES]
    ]
    note = (
        f"{len(names) - MOST_FEATURES} more are left out here."
        if len(names) > MOST_FEATURES
        else ""
    )
    return Table(["feature", "kind", "meaning", "missing"], rows, frozenset({3}), note)


def _metrics(judged: Judged) -> list[str]:
    schema = judged.examples.schema
    main = MAIN_METRIC[schema.task]
    lower = [title(m) for m in judged.scores[judged.name] if m in LOWER_IS_BETTER]
    drawn = schema.group or schema.ranking
    unit = f"whole groups of rows of one {_name(drawn)}" if drawn else "rows"
    return [
        f"The metric that decides is {title(main)}."
        + (f" Lower is better for {_listed(lower, 'and')}." if lower else ""),
        f"Intervals are 95 % bootstrap intervals over {unit}. They say how far a number may be off "
        "because other rows could have been drawn, not what happens when the world changes.",
        "Better or worse is said only when the interval of the difference from the baseline, on "
        "the same resamples, leaves out 0.",
    ]


def _scores(judged: Judged) -> Table:
    own = judged.scores[judged.name]
    other = judged.scores.get(BASELINE, {})
    compared = judged.name != BASELINE and bool(judged.differences)
    columns = ["metric", judged.name, "95 % interval"]
    columns += [BASELINE, "difference", "95 % interval", "verdict"] if compared else []
    rows = []
    for metric, value in own.items():
        row = [title(metric), number(value), span(judged.intervals.get(metric))]
        if compared:
            found = judged.differences.get(metric)
            row += [number(other[metric]) if metric in other else "–"]
            row += (
                [number(found.value, signed=True), span(found.interval, signed=True), found.verdict]
                if found
                else ["–", "–", "–"]
            )
        rows.append(row)
    return Table(columns, rows, frozenset(range(1, 6 if compared else 3)))


def _others(judged: Judged) -> Table:
    """What else the model was compared with, such as another run or the order as it was shown."""
    rows = [
        [
            other,
            title(metric),
            number(judged.scores[judged.name][metric] - by.value),
            number(by.value, signed=True),
            span(by.interval, signed=True),
            by.verdict,
        ]
        for other, found in judged.others.items()
        for metric, by in found.items()
    ]
    columns = ["compared with", "metric", "its value", "difference", "95 % interval", "verdict"]
    return Table(columns, rows, frozenset({2, 3, 4}))


def _slices(judged: Judged) -> Table:
    found = judged.slices
    if found is None or found.empty:
        return EMPTY
    main = MAIN_METRIC[judged.examples.schema.task]
    rows = [
        [
            str(each["slice"]),
            f"{each['rows']:,}",
            number(each["metric"]),
            span((each["low"], each["high"])),
            number(each["true"]),
            number(each["predicted"]),
            str(each["finding"]),
        ]
        for each in found.to_dict("records")
    ]
    columns = ["slice", "rows", title(main), "95 % interval", "true mean", "predicted", "finding"]
    note = "A finding is what noise does not explain, with all slices that were tried in mind."
    if not any(found["finding"]):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
        note += " There is none: these are the slices that come nearest."
        if not judged.config.evaluation.slices:
            rows = rows[:MOST_UNREMARKABLE]
    return Table(columns, rows, frozenset(range(1, 6)), note)


def _thresholds(judged: Judged) -> Table:
    """What deciding costs; for ranked lists nobody decides row by row."""
    if judged.decision is None or judged.examples.schema.ranking:
        return EMPTY
    costs = judged.config.evaluation.costs
    note = (
        f"A false positive costs {costs.false_positive:g}, a false negative "
        f"{costs.false_negative:g} (evaluation.costs). The threshold was chosen on the validation "
        "rows; what it costs is measured on the test rows."
    )
    found = table(judged.decision.table().rename_axis("act"), note)
    return replace(found, numbers=frozenset({1, 2}))


def _importance(found: Explanation) -> Table:
    rows = [
        [each.feature, number(each.value), span((each.low, each.high))]
        for each in found.importance[:MOST_IMPORTANT]
    ]
    left = found.features - len(rows)
    note = (
        f"Permutation importance: how much {title(found.metric)} gets worse when the values of a "
        f"feature are shuffled over {found.rows:,} test rows, {found.repeats} times; with 95 % "
        "intervals. Features that tell the same share their importance: each may look weak where "
        "together they are strong. It says what the model goes by, not what causes "
        "the target."
    )
    note = f"{note} {_left_out(left)}".strip()
    return Table(["feature", "importance", "95 % interval"], rows, frozenset({1, 2}), note)


def _errors(found: Explanation, shown: str) -> Table:
    if shown == "none":
        return EMPTY
    rows = found.errors
    note = "The rows that the model is furthest from. Faults of the data are often among them."
    if shown == "features":
        rows = pd.concat([rows, found.error_features], axis=1)
    else:
        note += " Their features are left out: evaluation.card_examples=features shows them."
    return table(rows, note)


def _data(judged: Judged) -> Facts:
    config, examples = judged.config, judged.examples
    if isinstance(config.data, TableConfig):
        facts = {"Table": config.data.path}
        if config.data.table:
            facts["Table"] += f", {config.data.table}"
    else:
        facts = {"Data": f"{config.data.kind}, simulated"}
    rows = f"{len(examples):,}"
    if judged.rows_read is not None and judged.rows_read != len(examples):
        rows += f" of {judged.rows_read:,} read"
    facts["Rows"] = rows
    if judged.span is not None:
        facts["From"] = f"{judged.span[0]:%Y-%m-%d} to {judged.span[1]:%Y-%m-%d}"
    if judged.version is not None:
        facts["Version"] = f"{judged.version} (of the test rows)"
    schema = examples.schema
    if schema.group:
        facts["Groups"] = f"{examples.frame[schema.group].nunique():,} of {_name(schema.group)}"
    facts["Split"] = judged.split.how
    facts["Guard"] = _guarded(judged)
    return facts


def _guarded(judged: Judged) -> str:
    """What :mod:`...training.guard` has made sure of."""
    schema, settings = judged.examples.schema, judged.config.training.split
    sure = ["no row and no key is in two parts"]
    if schema.group and not schema.recurring:
        sure.append(f"nor is any {_name(schema.group)}")
    if _by_time(judged):
        sure.append("each part ends before the next begins")
    elif settings.duplicates == "together":
        sure.append("near-duplicate rows are on one side")
    return ", ".join(sure)


def _by_time(judged: Judged) -> bool:
    return kind_of(judged.examples.schema, judged.config.training.split) == "time"


def _parts(judged: Judged) -> Table:
    schema = judged.examples.schema
    target = judged.examples.frame[schema.target].to_numpy()
    uses = {"train": "the model learns from", "valid": "chooses and stops", "test": "judges"}
    if learnt := judged.trained["metrics"].get("rows_learnt"):
        uses["train"] = f"a sample of the {learnt:,} rows the model learns from"
    columns = ["part", "use", "rows", "share"]
    if schema.task == "regression":
        columns += [f"mean of {schema.target}"]
    elif schema.task == "binary":
        columns += [f"{schema.target} = {schema.classes[1]}"]
    rows = []
    for part, where in judged.split.parts().items():
        row = [part, uses[part], f"{len(where):,}", f"{len(where) / max(len(target), 1):.0%}"]
        if schema.task == "regression":
            row.append(number(float(np.mean(target[where]))))
        elif schema.task == "binary":
            row.append(f"{float(np.mean(target[where] == 1)):.1%}")
        rows.append(row)
    return Table(columns, rows, frozenset(range(2, len(columns))))


def _contract(contract: Contract | None) -> Table:
    if contract is None:
        return EMPTY
    rows = [
        [name, rule.type, _rule(rule, contract)]
        for name, rule in list(contract.columns.items())[:MOST_COLUMNS]
    ]
    notes = [
        f"A row that breaks a rule: {contract.policy.replace('_', ' ')}, where no other is said."
    ]
    notes += [f"{_listed(each, 'and')} together name a row." for each in contract.unique]
    notes += [f"Rule {rule.name}: {rule.sql}." for rule in contract.rules]
    if contract.freshness:
        fresh = contract.freshness
        notes.append(f"The newest {fresh.column} is at most {fresh.days:g} days old.")
    notes += [left] if (left := _left_out(len(contract.columns) - MOST_COLUMNS)) else []
    return Table(["column", "type", "must"], rows, note=" ".join(notes))


def _rule(rule: ColumnRule, contract: Contract) -> str:
    said = [] if rule.nullable else ["have a value"]
    if rule.minimum is not None and rule.maximum is not None:
        said.append(f"be {_cell(rule.minimum)} to {_cell(rule.maximum)}")
    elif rule.minimum is not None:
        said.append(f"be at least {_cell(rule.minimum)}")
    elif rule.maximum is not None:
        said.append(f"be at most {_cell(rule.maximum)}")
    if rule.values is not None:
        said.append(f"be one of {_listed(_first(rule.values, 6), 'or')}")
    if rule.unique:
        said.append("be different in every row")
    if rule.policy and rule.policy != contract.policy and said:
        said.append(f"(else {rule.policy.replace('_', ' ')})")
    return ", ".join(said)


def _limits(judged: Judged, today: datetime.date) -> list[str]:
    schema, config = judged.examples.schema, judged.config
    main = MAIN_METRIC[schema.task]
    difference, interval = judged.differences.get(main), judged.intervals.get(main)
    target = judged.examples.frame[schema.target].to_numpy()[judged.split.test]
    counts = {}
    if schema.classes:
        found = np.bincount(target.astype(np.int64), minlength=len(schema.classes))
        counts = {name: int(n) for name, n in zip(schema.classes, found, strict=True)}
    git = judged.trained["git"]
    off = judged.slices
    worse = [] if off is None else list(off["slice"][off["finding"] != ""])
    said = [
        *(limits.of_verdict(main, difference) if judged.name != BASELINE else ()),
        *limits.of_size(len(target)),
        *limits.of_width(main, interval, difference),
        *limits.of_classes(counts),
        *limits.of_slices(worse),
        *limits.of_missing(_missing(judged.examples)),
        *limits.of_age(judged.span[1] if judged.span else None, today, bool(schema.time)),
        *limits.of_split(_by_time(judged), schema.time is not None),
        *limits.of_looks(judged.looks.looks if judged.looks else None),
        *limits.of_set_aside(judged.rows_read or 0, len(judged.examples)),
        *limits.of_code(bool(git.get("dirty")), bool(git.get("commit"))),
    ]
    if not isinstance(config.data, TableConfig):
        said.insert(0, "The data is simulated: it shows how the project works, not what people do.")
    return said or ["None that follow from the numbers; those of the use are for people to add."]


def _reproduce(judged: Judged) -> Reproduction:
    package = __name__.partition(".")[0]
    runs = [judged.trained, judged.manifest]
    git = judged.trained["git"]
    commands = []
    if git.get("commit"):
        commands.append(f"git checkout {git['commit']}")
        if git.get("patch"):
            commands.append(f"git apply runs/{judged.trained['id']}/{git['patch']}")
    commands.append("uv sync --frozen")
    commands += [shlex.join(run["command"]) for run in runs]
    lock = judged.manifest["environment"]["lock_sha256"]
    return Reproduction(
        [f"python -m {package}.runs replay {run['id']}" for run in runs],
        commands,
        {
            "Commit": git.get("commit") or "none",
            "Lock": f"uv.lock, SHA-256 {lock}" if lock else "none",
            "Seed": str(judged.config.seed),
            "Overrides": " ".join(judged.config.overrides) or "none",
        },
    )


def _environment(found: Mapping[str, Any]) -> Facts:
    libraries = [
        f"{each['library']} {each['version'] or ''}".strip() for each in found.get("blas", ())
    ]
    facts = {
        "Python": f"{found['implementation']} {found['python']}",
        "System": found["os"],
        "Processor": f"{found['cpu']}, {found['cpu_count']} cores",
        "Libraries": ", ".join(dict.fromkeys(libraries)),
    }
    return {name: value for name, value in facts.items() if value}


def _pictures(files: Sequence[str], kinds: tuple[str, ...]) -> list[Picture]:
    shows = {
        "calibration": "Calibration: observed share by predicted probability",
        "roc": "ROC curve",
        "confusion": "Where each class goes",
        "residuals": "Predicted against true, and residuals",
        "permutation": "Permutation importance",
        "dependence": "Partial dependence",
    }
    found = []
    for kind in kinds:
        for file in files:
            if Path(file).stem.partition("_")[0] == kind:
                found.append(Picture(file, shows[kind]))
    return found


def _missing(examples: Examples) -> dict[str, float]:
    found = examples.frame[list(examples.schema.features)].isna().mean()
    return {str(name): float(share) for name, share in found.items()}


def number(value: float, signed: bool = False) -> str:
    return metrics.number(value, signed) if math.isfinite(value) else "–"


def span(bounds: Interval | None, signed: bool = False) -> str:
    known = bounds is not None and all(map(math.isfinite, bounds))
    return metrics.span(bounds, signed) if known else "–"


def _left_out(count: int) -> str:
    return f"{count} more are left out here." if count > 0 else ""


def _cells(column: pd.Series) -> list[str]:
    """A column as text; its numbers have as many digits after the point as the largest needs."""
    if not types.is_float_dtype(column):
        return [_cell(value) for value in column]
    known = column[np.isfinite(column)]
    largest = max((abs(float(value)) for value in known), default=0.0)
    whole = bool((known % 1 == 0).all())
    digits = 0 if whole else 4 if largest < 1 else max(0, 4 - len(f"{largest:.0f}"))
    return [f"{value:.{digits}f}" if math.isfinite(value) else _cell(value) for value in column]


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, tuple):
        low, high = value
        return f"{_cell(low)} to {_cell(high)}"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        given = float(value)
        return f"{given:.4g}" if abs(given) < 1e6 else f"{given:,.0f}"
    return str(value)


def _name(column: str) -> str:
    """Columns that the project made from one of the table begin with #."""
    return column.lstrip("#") or column


def _listed(names: Sequence[str], word: str = "and") -> str:
    return ", ".join(names[:-1]) + (f" {word} {names[-1]}" if len(names) > 1 else "".join(names))


def _first(items: Sequence[str], most: int) -> list[str]:
    rest = len(items) - most
    return [*items[:most], f"{rest} more"] if rest > 0 else list(items)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
