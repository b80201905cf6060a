"""What the tests of engines have done in workers: they must find it by its name."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from {{cookiecutter.package_name}}.engines import Gang
from {{cookiecutter.package_name}}.errors import UserError


def square(number: int) -> int:
    return number * number


def whoami(_: int) -> tuple[int, str | None]:
    time.sleep(0.05)  # so that nobody does it all
    return os.getpid(), os.environ.get("OMP_WAIT_POLICY")


def die_once(job: tuple[Path, int]) -> int:
    """The item 3 kills its worker, the first time; each leaves a line for whoever counts."""
    folder, number = job
    with (folder / f"done-{number}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if number == 3 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def always_die(name: str) -> str:
    if name == "the bad one":
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def leave(number: int) -> None:
    sys.exit(3)


def refuse(number: int) -> int:
    if number == 2:
        raise UserError("number 2: mend it in the file")
    return number


def fail(number: int) -> float:
    return 1 / (number - 2)


class Stubborn(Exception):
    """Cannot be made again from what it says."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def fail_oddly(number: int) -> None:
    raise Stubborn("no", "thing")


def warn(number: int) -> int:
    warnings.warn("look out", stacklevel=1)
    return number


def wait_long(job: tuple[Path, int]) -> None:
    (job[0] / f"worker-{os.getpid()}").touch()
    time.sleep(60)


def meet(gang: Gang, item: str) -> tuple[int, int, str]:
    return gang.rank, gang.size, item


def meet_after_a_death(gang: Gang, folder: Path) -> int:
    (folder / f"rank-{gang.rank}-{os.getpid()}").touch()
    if gang.rank == 1 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return gang.rank


def fail_in_rank_1(gang: Gang, item: Any) -> None:
    if gang.rank == 1:
        raise UserError("rank 1 has no rows")
    time.sleep(60)


def simulate(job: tuple[Any, Path, int, int]) -> Path:
    """Users ``[first, last)`` of a shop, into a file."""
    import pyarrow.parquet as pq

    from {{cookiecutter.package_name}}.data.simulation import simulate_impressions

    config, folder, first, last = job
    path = folder / f"{first}.parquet"
    pq.write_table(simulate_impressions(config, first, last), path, compression="zstd")
    return path
