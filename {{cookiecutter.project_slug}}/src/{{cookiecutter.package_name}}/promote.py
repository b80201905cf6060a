"""Champion and challenger: ``python -m {{ cookiecutter.package_name }}.promote champion``.

A model becomes champion only when an evaluation on test rows has found it better than the one that
is; see docs/tracking.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from .config.tracking import TrackingConfig
from .errors import UserError
from .registry import CHALLENGER, CHAMPION, Refused, Registry, Version, judge
from .runs import claim, find_run, read_manifest, settle
from .runs.manifest import SUCCEEDED
from .tracking import sender, store
from .tracking.settings import options, settings

PACKAGE = __package__
WHAT = "Champion and challenger: which model is in use."
PATIENCE = 60.0  # seconds to wait for a process that is sending


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, 1 with a message when a promotion is refused, 75 when somebody else promotes
    or the store does not answer, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog=f"python -m {PACKAGE}.promote", description=WHAT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    words = {
        "status": "the champion, the challenger and the other versions (the default)",
        "candidate": "make the model of a training run a version, and the challenger",
        "champion": "make the challenger, or the model of a run, champion, if the gate lets it",
        "back": "make the former champion champion again",
    }
    for verb, what in words.items():
        below = verbs.add_parser(verb, help=what, description=what)
        if verb == "candidate":
            below.add_argument("run", nargs="?", default="latest", help="of a training run")
        if verb == "champion":
            below.add_argument("run", nargs="?", help="of a training run; without: the challenger")
        below.add_argument(
            "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE"
        )
    given = options(sys.argv[1:] if arguments is None else arguments)
    args = parser.parse_args(given or ["status"])
    try:
        settle()
        _VERBS[args.verb](args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not store.is_of_the_store(error) and not isinstance(error, OSError):
            raise
        print(f"error: {store.in_short(error)}", file=sys.stderr)
        return 75
    return 0


def candidate(run: Path, config: TrackingConfig) -> Version:
    """Make the model of the training run in the folder ``run`` a version and the challenger.

    Raises:
        UserError: the run has no model, or somebody else is promoting.
    """
    with _alone(config):
        registry, version = _register(run, config)
        registry.challenge(version)
    return version


def champion(run: Path, config: TrackingConfig) -> tuple[Version, str]:
    """Make the model of the training run in the folder ``run`` the champion, if the gate lets it;
    its version, and the reason.

    Raises:
        UserError: the gate refuses, or somebody else is promoting.
    """
    with _alone(config):
        _check(run)
        present = _registry(config).at(CHAMPION)
        verdict = judge(run, present, config.gate, PACKAGE)
        registry, version = _register(run, config)
        registry.crown(version, present, verdict.tags(config.gate))
    return version, verdict.sentence


def _candidate(args: argparse.Namespace) -> None:
    version = candidate(find_run(args.run, "train"), settings(args.overrides))
    print(f"challenger: {version}")


def _champion(args: argparse.Namespace) -> None:
    config = settings(args.overrides)
    if args.run is None:
        challenger = _registry(config).at(CHALLENGER)
        if challenger is None:
            raise Refused(f"there is no challenger. Run: python -m {PACKAGE}.promote candidate")
        args.run = challenger.run
    version, reason = champion(find_run(args.run, "train"), config)
    print(f"champion: {version}\n{reason}")


def _back(args: argparse.Namespace) -> None:
    config = settings(args.overrides)
    with _alone(config):
        was, now = _registry(config).back()
    print(f"champion: {now}\nwithdrawn: {was}")


def _status(args: argparse.Namespace) -> None:
    registry = _registry(settings(args.overrides))
    named = {alias: registry.at(alias) for alias in (CHAMPION, CHALLENGER)}
    for alias, version in named.items():
        print(f"{alias:<12}{version or 'none'}")
        if version and "gate.reason" in version.tags:
            print(f"{'':<12}{version.tags['gate.reason']}")
    known = {version.number for version in named.values() if version}
    for each in registry.versions():
        if each.number not in known:
            print(f"{'':<12}{each}")


def _check(run: Path) -> None:
    if read_manifest(run)["status"] != SUCCEEDED:
        raise UserError(f"run {run.name} did not succeed: it has no model to promote.")


def _register(run: Path, config: TrackingConfig) -> tuple[Registry, Version]:
    _check(run)
    with sender.sending(PATIENCE) as alone:
        if not alone:
            raise UserError("another process is sending. Try again when it has ended.")
        number = sender.deliver(run, config)
    registry = _registry(config)
    return registry, registry.add(number, run.name, str(read_manifest(run)["model"]))


def _registry(config: TrackingConfig) -> Registry:
    return Registry(store.connect(config), config.model or config.experiment)


def _alone(config: TrackingConfig) -> AbstractContextManager[None]:
    """Nobody else promotes on this machine at the same time."""
    name = config.model or config.experiment
    return claim({f"registry {name}": f"the registry of '{name}'"}, "promote")


_VERBS = {"status": _status, "candidate": _candidate, "champion": _champion, "back": _back}

if __name__ == "__main__":
    sys.exit(main())
