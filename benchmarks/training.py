"""The training path beside a bare fit with the same library, on the same rows.

    make bench-training                                   both tables (many minutes)
    make bench-training ARGS="--only side --rows 100000 --runs 1"

*The bare script* is what one writes with pandas and XGBoost alone: read, split, fit with early
stopping, predict, score, save. *Ours* is `python -m <package>.train`: the same, and contract,
guard, baseline, intervals, figures, manifest. Each is a whole process, in the project's own
environment, from a copy of its sources. The sides take turns; medians and ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure import PROJECT, Cost, head, machine, run, show, take_turns

TABLES = ("side", "large")
LARGE = 5_000_000
BARE, FIRST, LATER = "bare script", "ours, first run on the table", "ours, later runs"
TAKEN = ("src", "conf", "pyproject.toml", "uv.lock", ".git", ".gitignore")

# 17 numbers, one of them with gaps, and 3 categories; what they say takes many trees to learn.
MAKE = """\
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
path, rows = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(1)
words = [np.array([f"w{i}" for i in range(count)]) for count in (5, 40, 400)]
weights = [random.normal(size=len(each)) for each in words]
writer = None
for start in range(0, rows, 250_000):
    count = min(250_000, rows - start)
    x = random.normal(size=(17, count))
    codes = [random.integers(0, len(each), count) for each in words]
    score = x[0] + x[1] * x[2] + np.sin(3 * x[3]) + x[4] * (x[5] > 0) + np.abs(x[6] * x[7])
    score += sum(each[code] for each, code in zip(weights, codes)) - 1
    x[16][random.random(count) < 0.1] = np.nan
    columns = {f"x{i}": x[i] for i in range(17)}
    columns |= {f"c{i}": words[i][code] for i, code in enumerate(codes)}
    columns["y"] = (score + random.logistic(size=count) > 0).astype(int)
    table = pa.table(columns)
    writer = writer or pq.ParquetWriter(path, table.schema)
    writer.write_table(table)
writer.close()
"""

SCRIPT = """\
import json, sys
import numpy as np, pandas as pd, xgboost as xgb
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
path, target, settings, threads = sys.argv[1:5]
settings = json.loads(settings)
frame = pd.read_parquet(path)
for name in frame.select_dtypes(exclude="number"):
    frame[name] = frame[name].astype("category")
y = frame.pop("y")
x_fit, x_test, y_fit, y_test = train_test_split(
    frame, y, test_size=0.25, stratify=y, random_state=42)
x_train, x_valid, y_train, y_valid = train_test_split(
    x_fit, y_fit, test_size=1 / 3, stratify=y_fit, random_state=42)
del frame, x_fit
train = xgb.QuantileDMatrix(x_train, y_train, enable_categorical=True)
valid = xgb.QuantileDMatrix(x_valid, y_valid, ref=train, enable_categorical=True)
parameters = {
    "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "seed": 42,
    "learning_rate": settings["learning_rate"], "max_depth": settings["max_depth"],
    "min_child_weight": settings["min_child_weight"], "subsample": settings["subsample"],
    "colsample_bytree": settings["colsample"], "reg_lambda": settings["l2"],
    "nthread": int(threads)}
model = xgb.train(
    parameters, train, settings["rounds"], evals=[(train, "train"), (valid, "valid")],
    early_stopping_rounds=settings["early_stopping"], verbose_eval=False)
chance = model.predict(xgb.DMatrix(x_test, enable_categorical=True),
                       iteration_range=(0, model.best_iteration + 1))
print(roc_auc_score(y_test, chance), log_loss(y_test, chance))
model.save_model(target)
"""


@dataclass
class Bench:
    """A copy of the project's sources at ``root``, its interpreter, and a table."""

    root: Path
    python: str
    package: str
    table: Path
    settings: dict[str, float]
    threads: int

    def bare(self) -> Cost:
        """The script, from a file of Parquet to a saved model."""
        given = [str(self.table), "bare.ubj", json.dumps(self.settings), str(self.threads)]
        # As our command does it: threads that wait must not burn the cores of those that work.
        variables = {"OMP_WAIT_POLICY": "PASSIVE"}
        return run(self.root, [self.python, "-c", SCRIPT, *given], environment=variables)

    def train(self, data: str, forgetful: bool = False) -> Cost:
        """Our command; ``forgetful`` where it has never seen the table."""
        if forgetful:
            shutil.rmtree(self.root / "data", ignore_errors=True)
        changed = [f"model.{name}={value}" for name, value in self.settings.items()]
        return self.command("train", *data.split(), *changed, f"training.threads={self.threads}")

    def command(self, module: str, *arguments: str) -> Cost:
        """A command of the project's package."""
        command = [self.python, "-m", f"{self.package}.{module}", *arguments]
        variables = {"PYTHONPATH": str(self.root / "src"), "RUNS_DIR": str(self.root / "runs")}
        return run(self.root, command, environment=variables)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--project", type=Path, default=PROJECT, help="a project with .venv")
    parser.add_argument("--rows", type=int, help="1,000,000, or 5,000,000 for the large table")
    parser.add_argument("--rounds", type=int, default=400, help="trees, at most")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--runs", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--only", nargs="*", choices=TABLES, default=TABLES)
    options = parser.parse_args(argv)
    project = options.project.resolve()
    if not (project / ".venv").exists():
        raise SystemExit(f"{project}: there is no such project. Run `make demo` first.")
    print(machine())
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            root = Path(folder) / "project"
            copy(project, root)
            python = str(project / ".venv" / "bin" / "python")
            table = Path(folder) / "rows.parquet"
            rows = options.rows or (LARGE if name == "large" else 1_000_000)
            run(root, [python, "-c", MAKE, str(table), str(rows)])
            settings = {
                "rounds": options.rounds,
                "early_stopping": 30,
                "learning_rate": 0.08,
                "max_depth": 6,
                "min_child_weight": 5.0,
                "subsample": 0.8,
                "colsample": 0.8,
                "l2": 1.0,
            }
            package = next((root / "src").glob("*/training")).parent.name
            bench = Bench(root, python, package, table, settings, options.threads)
            {"side": side, "large": large}[name](bench, rows, options.runs)
    return 0


def copy(project: Path, root: Path) -> None:
    """What a project trains with, so that nothing is written into it."""
    root.mkdir(exist_ok=True)
    for name in TAKEN:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        elif source.exists():
            shutil.copy(source, root)


def side(bench: Bench, rows: int, runs: int) -> None:
    """The bare script and our command, in turns."""
    data = f"data=table data.path={bench.table} data.target=y model=boosting"
    sides: dict[str, Callable[[], Cost]] = {
        BARE: bench.bare,
        FIRST: partial(bench.train, data, forgetful=True),
        LATER: partial(bench.train, data),
    }
    head(f"{rows:,} rows × 20 columns", "wall / bare", "peak / bare")
    costs = take_turns(sides, runs)
    bare = costs[BARE]
    for name, cost in costs.items():
        show(name, cost, f"{cost.wall / bare.wall:.3f}", f"{cost.memory / bare.memory:.3f}")


def large(bench: Bench, rows: int, runs: int) -> None:
    """A table adopted and trained on, once, as somebody does who brings their own."""
    head(f"{rows:,} rows × 20 columns")
    show("adopt", bench.command("adopt", str(bench.table), "--target", "y"))
    show("train", bench.train("data=rows model=boosting"))


if __name__ == "__main__":
    sys.exit(main())
