"""``python -m {{ cookiecutter.package_name }}.steps STEP [OVERRIDES]``: a step.

STEP is one of conf/steps.yaml, whose outputs come below data/steps/, or ``dvc``, which writes
dvc.yaml as that declares.

A step reads the overrides of params.yaml, then those of the command line.
"""

from __future__ import annotations

import sys
from importlib import import_module

from ..config import Config, cli
from ..errors import UserError, nearest
from . import declared, pipeline


def main() -> int:
    """Run what the command line names; the exit status."""
    try:
        name, steps = _named(sys.argv[1:]), declared.steps()
        if name == "dvc":
            written = pipeline.write()
            print(f"{pipeline.FILE.name}: {'written' if written else 'as it should be'}")
            return 0
        if name not in steps:
            known = [*steps, "dvc"]
            hint = nearest(name, known)
            raise UserError(f"{name}: there is no such step. Valid: {', '.join(known)}.{hint}")
        overrides = declared.overrides()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status

    def run(config: Config) -> None:
        if config.dry_run:
            print(config.to_yaml())
            return
        import_module(f".{name}", __package__).run(config)

    sys.argv[1:2] = overrides
    cli(run)
    return 0


def _named(arguments: list[str]) -> str:
    if not arguments or arguments[0] in ("-h", "--help"):
        raise UserError(f"which step?\n{__doc__}")
    return arguments[0]


if __name__ == "__main__":
    sys.exit(main())
