"""The shop at every size, and each part of its path beside what one would write without it.

    make bench-scale                                                   all tables (a quarter hour)
    make bench-scale ARGS="--only features --users 100000 --runs 3"
    make bench-scale ARGS="--only path --users 1000 100000 --folder /big/disk"
    make bench-scale ARGS="--only path --users 10000000 --stage features --folder /big/disk"

*features*: our features beside the same ones by hand, in SQL for DuckDB, in Polars and in pandas;
results are compared before anything is timed. *training*: the same rows from files and in memory.
*scoring*: our batch scoring beside a pandas loop. *engines*: the same shards by processes and by
Ray. *path*: simulate, features, train and score, each a command of its own; what they cost is kept
in `scale.json` in `--folder`, so that a large size can be measured stage by stage.

Each side is a whole process in the project's own environment, from a copy of its sources. Sides
take turns; medians are printed. Memory is that of all processes together, shared pages by share.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import by_hand
from measure import ROOT, Cost, adopt_orphans, head, machine, run, show, take_turns
from training import MAKE, TAKEN, copy

PROJECT = ROOT / "build" / "shop-scale"
TABLES = ("features", "training", "scoring", "engines", "path")
STAGES = ("simulate", "features", "train", "score")
SIZES = (1_000, 100_000)
CORES = min(2, os.cpu_count() or 1)
PULSE = 0.15  # seconds between two looks at the memory of all processes
BLOCK = 8 * 2**20
MOST = 2 * 2**30  # bytes that are written and read to measure the disk

# What the stages run; `sys.argv[1:]` is the configuration.
START = """\
import sys
from {package}.config import load_config
config = load_config(sys.argv[1:])
"""
SIMULATE = (
    START
    + """\
from {package}.data import shop
shop.simulate(config.data, engine=config.engine)
"""
)
FEATURES = (
    START
    + """\
from {package} import features
print(len(features.build(config)))
"""
)
BUILD = (
    START
    + """\
from pathlib import Path
from {package}.data import shop
from {package}.features import shop as features
made = shop.simulate(config.data, Path("{shop}"), config.engine)
features.build_shards(made, features.FEATURES, Path("{target}"), config.engine)
"""
)
ROWS = """\
import sys
import pyarrow.parquet as pq
print(sum(pq.read_metadata(file).num_rows for file in sys.argv[1:]))
"""
SAME = """\
import sys
import pandas as pd
words = dict.fromkeys(("device", "segment", "category"), "str")
theirs, *ours = (pd.read_parquet(path).astype(words) for path in sys.argv[1:])
ours = pd.concat(ours, ignore_index=True)
pd.testing.assert_frame_equal(ours, theirs[ours.columns], rtol=1e-12)
"""
START_SECOND = """\
import sys
from {package}.config import load_config
from {package}.data import shop
open(sys.argv[1], "w").write(str(shop.start_second(load_config(sys.argv[2:]).data)))
"""


@dataclass(frozen=True)
class Bench:
    """A copy of the project's sources at ``root``, and what its commands are given besides."""

    root: Path
    project: Path
    settings: tuple[str, ...]

    @property
    def package(self) -> str:
        return next((self.root / "src").glob("*/features")).parent.name

    @property
    def python(self) -> str:
        return str(self.project / ".venv" / "bin" / "python")

    def code(self, text: str, *given: str, **names: Any) -> Cost:
        """A few lines that import the package."""
        return self._run(self.python, "-c", self.filled(text, **names), *given)

    def filled(self, text: str, **names: Any) -> str:
        for name, value in (names | {"package": self.package}).items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def command(self, module: str, *given: str) -> Cost:
        """A command of the package."""
        return self._run(self.python, "-m", f"{self.package}.{module}", *given)

    def shop(self, users: int, *more: str) -> list[str]:
        return ["data=shop_at_scale", f"data.users={users}", *self.settings, *more]

    def has(self, *parts: str) -> bool:
        return (self.root / "src" / self.package).joinpath(*parts).exists()

    def _run(self, *command: str) -> Cost:
        variables = {
            "PYTHONPATH": str(self.root / "src"),
            "RUNS_DIR": str(self.root / "runs"),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        return run(self.root, command, environment=variables, watch=True, pulse=PULSE)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--project", type=Path, default=PROJECT, help="a project with .venv")
    parser.add_argument("--only", nargs="*", choices=TABLES, default=TABLES)
    parser.add_argument("--users", type=int, nargs="*", help="1,000 and 100,000")
    parser.add_argument("--runs", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--stage", type=lambda text: text.split(","), default=list(STAGES))
    parser.add_argument("--again", action="store_true", help="measure stages that are known, too")
    parser.add_argument("--folder", type=Path, help="where the path keeps its data and scale.json")
    parser.add_argument("--set", nargs="*", default=[], help="overrides for all our commands")
    options = parser.parse_args(argv)
    if odd := set(options.stage) - set(STAGES):
        parser.error(f"--stage: {', '.join(sorted(odd))}; there are {', '.join(STAGES)}")
    project = options.project.resolve()
    if not (project / ".venv").exists():
        raise SystemExit(f"{project}: there is no such project. `make bench-scale` makes it.")
    adopt_orphans()
    print(machine())
    for name in options.only:
        if name == "path":
            path(project, options)
            continue
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
            root = Path(folder) / "project"
            copy(project, root)
            bench = Bench(root, project, tuple(options.set))
            users = (options.users or [100_000])[0]
            SIDES[name](bench, users, options.runs)
    return 0


def features(bench: Bench, users: int, runs: int) -> None:
    """Our features beside the same by hand, with one thread and with two."""
    shards = f"data.shard_users={max(1, users // 2)}"
    shop = bench.root / "shop"
    bench.code(BUILD, *bench.shop(users, shards), shop=shop, target=bench.root / "ours-0")
    start = bench.root / "start"
    bench.code(START_SECOND, str(start), *bench.shop(users))
    first, target = start.read_text(), bench.root / "theirs.parquet"

    def ours(workers: int) -> Cost:
        shutil.rmtree(bench.root / "ours", ignore_errors=True)
        given = bench.shop(users, shards, f"engine.workers={workers}")
        return bench.code(BUILD, *given, shop=shop, target=bench.root / "ours")

    def theirs(text: str, threads: int, *more: str) -> Cost:
        return bench.code(text, str(shop), str(target), first, str(threads), *more)

    def polars(threads: int) -> Cost:
        script = bench.root / "features_polars.py"
        script.write_text(by_hand.POLARS)
        uv = os.environ.get("UV", "uv")
        command = [uv, "run", "--quiet", "--no-project", "--with", "polars", "--python"]
        command += [bench.python, "python", str(script), str(shop), str(target), first]
        return run(bench.root, [*command, str(threads)], watch=True, pulse=PULSE)

    def nothing() -> Cost:
        return bench.code(
            BUILD, *bench.shop(users, shards), shop=shop, target=bench.root / "ours-0"
        )

    sides: dict[str, Callable[[], Cost]] = {
        "DuckDB, SQL by hand, 1 thread": partial(theirs, by_hand.DUCKDB, 1, by_hand.SQL),
        "ours, 1 worker": partial(ours, 1),
        "DuckDB, SQL by hand, 2 threads": partial(theirs, by_hand.DUCKDB, 2, by_hand.SQL),
        "ours, 2 workers": partial(ours, 2),
        "of ours, imports and configuration": nothing,
        "Polars, 2 threads": partial(polars, 2),
        "pandas": partial(theirs, by_hand.PANDAS, 1),
    }
    rows = 0
    for name, side in sides.items():  # the same rows, before anything is timed
        side()
        if "ours" not in name:
            rows = same(bench, bench.root / "ours-0", target)
    costs = take_turns(sides, runs)
    head(f"features of {users:,} users, {rows:,} rows", "wall / SQL", "CPU / SQL", "µs CPU a row")
    for name, cost in costs.items():
        single = "1 " in name or name == "pandas"
        by_sql = costs[f"DuckDB, SQL by hand, {'1 thread' if single else '2 threads'}"]
        show(name, cost, ratio(cost.wall, by_sql.wall), ratio(cost.cpu, by_sql.cpu),
             f"{cost.cpu / rows * 1e6:.2f}")  # fmt: skip


def same(bench: Bench, ours: Path, theirs: Path) -> int:
    """How many rows both have; they have to be the same. Ours are a folder of shards."""
    shards = sorted(ours.glob("shard-*.parquet"))
    bench.code(SAME, str(theirs), *map(str, shards))
    return rows_in(bench, shards)


def rows_in(bench: Bench, files: Sequence[Path]) -> int:
    """The rows of Parquet files."""
    command = [bench.python, "-c", ROWS, *map(str, files)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def training(bench: Bench, users: int, runs: int) -> None:
    """The same rows learnt from in memory, and from files with a tenth of them in memory."""
    given = bench.shop(users, "training.rows=null", "evaluation.resamples=50")
    rows = round(19.6 * users)
    in_memory = [*given, "training.sample=null"]
    on_disk = [*given, f"training.sample={max(1, rows // 10)}"]
    bench.code(FEATURES, *in_memory)
    sides: dict[str, Callable[[], Cost]] = {
        "all rows in memory": partial(bench.command, "train", *in_memory),
        "from files, a tenth in memory": partial(bench.command, "train", *on_disk),
    }
    costs = take_turns(sides, runs)
    head(f"train on the shop of {users:,} users", "wall / memory", "peak / memory")
    base = costs["all rows in memory"]
    for name, cost in costs.items():
        show(name, cost, ratio(cost.wall, base.wall), ratio(cost.memory, base.memory))


def scoring(bench: Bench, users: int, runs: int) -> None:
    """Rows of a table that has been adopted, ten a user: our batch scoring beside a pandas loop."""
    if not bench.has("score.py"):
        print("\nscoring: the project has no `score`.")
        return
    old, new = bench.root / "old.parquet", bench.root / "new.parquet"
    target = bench.root / "theirs.parquet"
    bench.code(MAKE, str(old), "50000")
    bench.code(MAKE, str(new), str(10 * users))
    bench.command("adopt", str(old), "--target", "y", "--name", "rows")
    bench.command("train", "data=rows", "model=boosting", "model.rounds=100")

    def ours(forgetful: bool) -> Cost:
        shutil.rmtree(bench.root / "data" / "scores", ignore_errors=True)
        if forgetful:
            shutil.rmtree(bench.root / "data" / "tables", ignore_errors=True)
        return bench.command("score", "data=rows", f"scoring.input={new}")

    base = "a loop of pandas"
    sides: dict[str, Callable[[], Cost]] = {
        base: partial(bench.code, by_hand.SCORE, str(new), str(target)),
        "ours, rows checked by the contract": partial(ours, True),
        "ours, rows checked before": partial(ours, False),
    }
    for side in sides.values():
        side()
    bench.code(by_hand.EQUAL, str(bench.root / "data" / "scores"), str(target))
    costs = take_turns(sides, runs)
    by_loop = costs[base]
    head(f"score {10 * users:,} rows, 100 trees", "wall / loop", "CPU / loop", "peak / loop",
         "rows a second")  # fmt: skip
    for name, cost in costs.items():
        show(name, cost, ratio(cost.wall, by_loop.wall), ratio(cost.cpu, by_loop.cpu),
             ratio(cost.memory, by_loop.memory), f"{10 * users / cost.wall:,.0f}")  # fmt: skip


def engines(bench: Bench, users: int, runs: int) -> None:
    """The shop and its features by processes of ours and by a local cluster of Ray."""
    shards = f"data.shard_users={max(1, users // 8)}"

    def by(engine: str) -> Cost:
        for each in ("shop", "features"):
            shutil.rmtree(bench.root / each, ignore_errors=True)
        given = bench.shop(users, shards, f"engine={engine}", f"engine.workers={CORES}")
        return bench.code(BUILD, *given, shop=bench.root / "shop", target=bench.root / "features")

    if subprocess.run([bench.python, "-c", "import ray"], capture_output=True).returncode:
        print("\nengines: the project has no Ray: uv sync --group ray")
        return
    sides = {name: partial(by, name) for name in ("local", "ray")}
    costs = take_turns(sides, runs)
    head(f"simulate and features of {users:,} users in 8 shards", "wall / local", "peak / local")
    base = costs["local"]
    for name, cost in costs.items():
        show(f"engine={name}", cost, ratio(cost.wall, base.wall), ratio(cost.memory, base.memory))


def path(project: Path, options: argparse.Namespace) -> None:
    """Measure the stages that are asked for, and show all that is known."""
    with folder_for(options.folder) as folder:
        record = folder / "scale.json"
        known: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
        for users in options.users or SIZES:
            root = folder / f"{users}-users"
            for each in TAKEN if root.exists() else ():  # of before; its data stays
                if (root / each).is_dir():
                    shutil.rmtree(root / each)
            copy(project, root)
            bench = Bench(root, project, tuple(options.set))
            stages = known.setdefault(str(users), {})
            for stage in options.stage:
                if stage in stages and not options.again:
                    continue
                if (found := measured(bench, stage, users)) is None:
                    continue
                stages[stage] = found
                record.write_text(json.dumps(known, indent=2) + "\n")
        if "disk" not in known:
            written = max([total["bytes"] for each in known.values() for total in each.values()])
            known["disk"] = disk(folder, min(MOST, max(written, 256 * 2**20)))
            record.write_text(json.dumps(known, indent=2) + "\n")
        show_path(known)


def measured(bench: Bench, stage: str, users: int) -> dict[str, Any] | None:
    """What a stage takes, how many rows it makes or learns from, and the bytes it leaves."""
    given = bench.shop(users)
    data, places = bench.root / "data", ("shop", "features", "scores")
    before = {each: size(data / each) for each in places}
    runs = size(bench.root / "runs")
    if stage == "simulate":
        cost = bench.code(SIMULATE, *given)
    elif stage == "features":
        cost = bench.code(FEATURES, *given)
    elif stage == "train":
        cost = bench.command("train", *given)
    elif bench.has("score.py"):
        cost = bench.command("score", *given)
    else:
        print("score: the project has no such command; left out.", file=sys.stderr)
        return None
    made = sum(size(data / each) - before[each] for each in places)
    made += size(bench.root / "runs") - runs
    return asdict(cost) | {"bytes": made, "rows": rows_of(bench, stage), "settings": given}


def rows_of(bench: Bench, stage: str) -> int:
    """The rows that a stage makes; for `train` those of the features."""
    made = {"simulate": "shop/*/impressions", "score": "scores/*"}.get(stage, "features/*")
    found = (bench.root / "data").glob(f"{made}/shard-*.parquet")
    return rows_in(bench, sorted(found))


def disk(folder: Path, count: int) -> dict[str, float]:
    """Seconds a byte to write ``count`` bytes in order to a file until they are on the disk, and to
    read them again after the system has been told to forget them (Linux)."""
    block = os.urandom(BLOCK)
    file = folder / ".disk"
    try:
        started = time.perf_counter()
        with file.open("wb", buffering=0) as target:
            for _ in range(count // BLOCK):
                target.write(block)
            os.fsync(target.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        wrote = time.perf_counter() - started
        started = time.perf_counter()
        with file.open("rb", buffering=0) as source:
            while source.read(BLOCK):
                pass
        read = time.perf_counter() - started
    finally:
        file.unlink(missing_ok=True)
    whole = count // BLOCK * BLOCK
    return {"bytes": whole, "write": wrote / whole, "read": read / whole}


def show_path(known: dict[str, Any]) -> None:
    """The stages of each size, their sums, the bound and the slope."""
    speed = known["disk"]
    print(
        f"\nDisk: {speed['bytes'] / 2**20:,.0f} MiB written and synced at "
        f"{1e-6 / speed['write']:,.0f} MB/s, read again at {1e-6 / speed['read']:,.0f} MB/s."
    )
    head("users", "rows", "µs CPU a row", "MB on disk", "bytes a row", "bound s", "wall / bound",
         "time / time at a tenth")  # fmt: skip
    sizes = sorted(int(each) for each in known if each != "disk")
    for users in sizes:
        stages = known[str(users)]
        tenth = known.get(str(users // 10), {})
        for stage in STAGES:
            if stage in stages:
                found = stages[stage]
                slope = found["wall"] / tenth[stage]["wall"] if stage in tenth else None
                line(f"{users:,}: {stage}", found, speed, slope)
        if all(stage in stages for stage in STAGES):
            total = _sum(stages)
            whole = all(stage in tenth for stage in STAGES)
            slope = total["wall"] / _sum(tenth)["wall"] if whole else None
            line(f"**{users:,}: all**", total, speed, slope)


def _sum(stages: Mapping[str, Any]) -> dict[str, Any]:
    found = [stages[stage] for stage in STAGES]
    total = {name: sum(each[name] for each in found) for name in ("wall", "cpu", "bytes")}
    return total | {
        "memory": max(each["memory"] for each in found),
        "rows": found[0]["rows"],
    }


def line(name: str, found: Mapping[str, Any], speed: Mapping[str, float], slope: Any) -> None:
    """A row; the bound is the longer of the processors' seconds, all of them busy, and of the disk,
    which writes what is left behind and reads as much."""
    rows = max(1, found["rows"])
    bound = max(found["cpu"] / CORES, found["bytes"] * (speed["write"] + speed["read"]))
    show(
        name,
        Cost(found["wall"], found["cpu"], found["memory"]),
        f"{found['rows']:,}",
        f"{found['cpu'] / rows * 1e6:.2f}",
        f"{found['bytes'] / 1e6:,.1f}",
        f"{found['bytes'] / rows:.1f}",
        f"{bound:.1f}",
        f"{found['wall'] / bound:.2f}",
        f"{slope:.1f}" if slope else "",
    )


def size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


@contextmanager
def folder_for(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


def ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}"


SIDES = {"features": features, "training": training, "scoring": scoring, "engines": engines}

if __name__ == "__main__":
    sys.exit(main())
