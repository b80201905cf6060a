"""Random tables with random faults, written the way tables come: what adoption has to live with."""

from __future__ import annotations

import csv
import datetime
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

Column = list[str]
ROWS = (3, 12, 60, *(150,) * 4, *(300,) * 8)
NAMES = ["age", "Fare €", "no", "a.b", "x:y", "${z}", "naïve", "#row", " spaced ", "1st", "🛒"]
NAMES += ["select", 'qu"ote', "it's", "[b]", "{c}", "a,b", "-", "null", "Größe", "t\tab", "y" * 70]


@dataclass
class AnyTable:
    """A file and how it is adopted. ``faults`` says what was done to it."""

    path: Path
    target: str
    options: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def numbers(rng: random.Random, rows: int) -> Column:
    return [f"{rng.gauss(10, 4):.3f}" for _ in range(rows)]


def skewed(rng: random.Random, rows: int) -> Column:
    return [f"{rng.lognormvariate(0, 3):.6g}" for _ in range(rows)]


def commas(rng: random.Random, rows: int) -> Column:
    return [f"{rng.gauss(0, 100):.2f}".replace(".", ",") for _ in range(rows)]


def integers(rng: random.Random, rows: int) -> Column:
    return [str(rng.randrange(-50, 50)) for _ in range(rows)]


def huge(rng: random.Random, rows: int) -> Column:
    return [str(rng.randrange(10**17, 10**19)) for _ in range(rows)]


def words(rng: random.Random, rows: int) -> Column:
    return [rng.choice(["red", "green", "blå", "a b", "x,y"]) for _ in range(rows)]


def truth(rng: random.Random, rows: int) -> Column:
    pair = rng.choice([("yes", "no"), ("True", "False"), ("t", "f"), ("Y", "N"), ("1", "0")])
    return [rng.choice(pair) for _ in range(rows)]


def dates(rng: random.Random, rows: int) -> Column:
    form = rng.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"])
    start = datetime.datetime(2020, 1, 1)
    return [
        (start + datetime.timedelta(minutes=rng.randrange(10**6))).strftime(form)
        for _ in range(rows)
    ]


def codes(rng: random.Random, rows: int) -> Column:
    return [f"{rng.randrange(10**5):05d}" for _ in range(rows)]


def names(rng: random.Random, rows: int) -> Column:
    return [f"somebody {rng.random()}" for _ in range(rows)]


def identifiers(rng: random.Random, rows: int) -> Column:
    return [str(row + 1) for row in range(rows)]


def constant(rng: random.Random, rows: int) -> Column:
    return ["same"] * rows


def empty(rng: random.Random, rows: int) -> Column:
    return [""] * rows


def almost_empty(rng: random.Random, rows: int) -> Column:
    return [rng.choice(["1.5", "2"]) if rng.random() < 0.02 else "" for _ in range(rows)]


COLUMNS: list[Callable[[random.Random, int], Column]] = [
    numbers, numbers, skewed, commas, integers, huge, words, words, truth, dates, codes, names,
    identifiers, constant, empty, almost_empty,
]  # fmt: skip


def target_of(rng: random.Random, signal: Column, kind: str) -> Column:
    score = [len(cell) + hash_of(cell) % 7 + rng.gauss(0, 2) for cell in signal]
    middle = sorted(score)[len(score) // 2]
    match kind:
        case "binary":
            yes, no = rng.choice([("1", "0"), ("yes", "no"), ("good", "bad"), ("True", "False")])
            return [yes if each > middle else no for each in score]
        case "rare":
            return ["yes" if each > middle and rng.random() < 0.05 else "no" for each in score]
        case "multiclass":
            guess = ["abc"[int(each) % 3] for each in score]
            return [rng.choice("abc") if rng.random() < 0.3 else each for each in guess]
        case "regression":
            return [f"{each:.4f}" for each in score]
        case "date":
            start = datetime.date(2024, 1, 1)
            return [(start + datetime.timedelta(days=int(each) + 50)).isoformat() for each in score]
        case "one class":
            return ["yes"] * len(score)
        case "empty":
            return [""] * len(score)
        case _:
            return [f"text {rng.random()}" for _ in score]


def hash_of(text: str) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(text))


TARGETS = ["binary"] * 5 + ["multiclass"] * 3 + ["regression"] * 5
TARGETS += ["rare", "date", "one class", "empty", "text"]


def make(rng: random.Random, folder: Path) -> AnyTable:
    """A random table below ``folder``; the same for the same state of ``rng``."""
    rows = rng.choice(ROWS)
    made = [rng.choice(COLUMNS) for _ in range(rng.randrange(1, 9))]
    columns = [column(rng, rows) for column in made]
    header = rng.sample(NAMES, len(columns))
    kind = rng.choice(TARGETS)
    target = rng.choice(["y", "target", "Ergebnis ü", "y.z"])
    columns.append(target_of(rng, columns[0], kind))
    header.append(target)
    done = [f"target: {kind}", *(column.__name__ for column in made)]

    def fault(chance: float, name: str) -> bool:
        hit = rng.random() < chance
        if hit:
            done.append(name)
        return hit

    if fault(0.4, "missing cells"):
        word = rng.choice(["", "NA", "?", "null", "NaN"])
        for column in columns:
            for row in range(rows):
                if rng.random() < 0.1:
                    column[row] = word
    if fault(0.15, "a leak"):
        columns.insert(0, [f"is {cell}" for cell in columns[-1]])
        header.insert(0, "leak")
    if fault(0.1, "a column twice"):
        columns.insert(0, list(columns[0]))
        header.insert(0, "twin")
    if fault(0.15, "rows twice"):
        for column in columns:
            column += column[: rows // 3]
    if fault(0.15, "a word among numbers"):
        columns[0][rng.randrange(len(columns[0]))] = "oops"
    if fault(0.1, "an endless number"):
        columns[0][0] = rng.choice(["inf", "-Infinity", "1e999", "9" * 400])
    if fault(0.06, "a name twice"):
        header[0] = header[-1] if rng.random() < 0.5 else header[len(header) // 2]
    if fault(0.06, "a column without a name"):
        header[0] = ""
    if fault(0.05, "shuffled"):
        order = rng.sample(range(len(header)), len(header))
        header, columns = [header[i] for i in order], [columns[i] for i in order]
    if fault(0.12, "a Parquet file"):
        return AnyTable(_parquet(rng, folder, header, columns), target, [], done)
    return _text(rng, folder, header, columns, target, done, fault)


def _text(
    rng: random.Random,
    folder: Path,
    header: list[str],
    columns: list[Column],
    target: str,
    done: list[str],
    fault: Callable[[float, str], bool],
) -> AnyTable:
    delimiter = rng.choice([",", ",", ";", "\t", "|"])
    end = rng.choice(["\n", "\n", "\r\n"])
    options: list[str] = []
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    if fault(0.08, "no header"):
        options += ["--columns", ",".join(f"c{i}" for i in range(len(header)))]
        target = f"c{header.index(target)}" if target in header else "c0"
    else:
        writer.writerow(header)
    if not fault(0.03, "no rows"):
        writer.writerows(zip(*columns, strict=True))
    text = out.getvalue()
    lines = text.split(end)
    where = rng.randrange(len(lines))
    if fault(0.05, "a ragged row"):
        lines[where] += delimiter + "more"
    if fault(0.04, "a quote that does not end"):
        lines[where] = '"' + lines[where]
    if fault(0.05, "blank lines"):
        lines.insert(where, "")
    if fault(0.03, "cut in the middle"):
        lines[-2:] = [lines[-2][: len(lines[-2]) // 2]] if len(lines) > 2 else lines[-2:]
    text = end.join(lines)
    encoding = rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16"])
    done.append(encoding)
    content = text.encode(encoding, errors="replace")
    if fault(0.03, "a NUL byte"):
        content = content[:20] + b"\0" + content[20:]
    if fault(0.02, "an empty file"):
        content = b""
    if fault(0.02, "rubbish"):
        content = rng.randbytes(500)
    path = folder / rng.choice(["table.csv", "my table.txt", "täble.tsv"])
    path.write_bytes(content)
    if fault(0.05, "a misspelt target"):
        target += "x"
    return AnyTable(path, target, options, done)


def _parquet(rng: random.Random, folder: Path, header: list[str], columns: list[Column]) -> Path:
    """Typed columns, some of types that no model knows."""
    frame = pd.DataFrame(dict(zip(header, columns, strict=True)))
    for name in frame.columns:
        turned = pd.to_numeric(frame[name], errors="coerce")
        if turned.notna().mean() > 0.5:
            frame[name] = turned
        elif rng.random() < 0.3:
            frame[name] = frame[name].astype("category")
    odd = rng.choice(["none", "list", "struct", "zone", "decimal", "bytes"])
    rows = len(frame)
    if odd == "list":
        frame["odd"] = [[1, 2]] * rows
    elif odd == "struct":
        frame["odd"] = [{"a": 1}] * rows
    elif odd == "zone":
        frame["odd"] = pd.date_range("2024-01-01", periods=rows, freq="h", tz="Asia/Kathmandu")
    elif odd == "bytes":
        frame["odd"] = [b"\xff"] * rows
    path = folder / "table.parquet"
    frame.to_parquet(path)
    return path
