"""The command line of every entry point: one configuration, or a sweep over several."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf

from ..errors import UserError
from .load import CONF, PROJECT_ROOT, compose_one, message, parse
from .schema import Config


def cli(task: Callable[[Config], object], restart: bool = True) -> None:
    """Run ``task`` with the configuration of the command line; ``-m`` sweeps over values.

    Without ``restart`` it is for a task that computes nothing itself: only what it starts has its
    environment pinned.

    Exit status: 0 done, 1 (or what the error says) with one message when the user can mend it,
    130 on Ctrl-C.
    """
    pin_environment(restart)
    os.environ.setdefault("RUNS_DIR", str(PROJECT_ROOT / "runs"))
    # Hydra's own error printing hides the key; it raises instead, and we translate.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def run(cfg: DictConfig, overrides: list[str]) -> object:
        try:
            return task(parse(cfg, overrides))
        except UserError as error:  # here, before Hydra adds lines of its own
            _fail(str(error), error.status)

    try:
        cfg = compose_one(sys.argv[1:])
        if cfg is None:
            _run_hydra(run)
        else:
            overrides = list(cfg.hydra.overrides.task)
            OmegaConf.set_struct(cfg, False)
            del cfg["hydra"]
            run(cfg, overrides)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        explained = message(error, sys.argv[1:])
        if explained is None:
            raise
        _fail(explained)


def _run_hydra(run: Callable[[DictConfig, list[str]], object]) -> None:
    """Hydra's own way: it composes twice, the first time to see whether it is to sweep."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    def task(cfg: DictConfig) -> object:  # a score, for a sweeper that wants one
        return run(cfg, list(HydraConfig.get().overrides.task))

    task.__module__ = "__main__"
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()


def _fail(message: str, status: int = 1) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


def pin_environment(restart: bool = True) -> None:
    """Fix what a process can only be given at its start: the hash seed and BLAS threads.

    Set order depends on the hash seed and BLAS sums on the thread count, so a program that was
    started without them is started again, in place, with them. Without ``restart`` that holds for
    the processes it will start.
    """
    wanted = {
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not burn the cores of their neighbours
    }
    missing = any(os.environ.get(name) != value for name, value in wanted.items())
    os.environ.update(wanted)
    if missing and restart:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
