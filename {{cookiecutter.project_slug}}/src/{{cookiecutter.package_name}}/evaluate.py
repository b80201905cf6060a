"""Judge a saved model: ``python -m {{ cookiecutter.package_name }}.evaluate``.

The model is loaded from its run; the data may be another, such as a week in which behaviour moved.
``evaluation.against=RUN`` judges the model of another run on the same rows.
"""

from __future__ import annotations

import os
import sys

from .config import Config, cli


def main(config: Config) -> None:
    """Evaluate as ``config`` says, and print how it does on the test rows."""
    if config.dry_run:
        print(config.to_yaml())
        return
    from .workflow import evaluate

    result = evaluate(config)
    print(result.report("test"))
    print(f"run {result.run}, model {result.fingerprint}")
    if result.card:
        print(f"card: {os.path.relpath(result.card)}")
    if result.looks:
        print(result.looks.describe(), file=sys.stderr)


if __name__ == "__main__":
    cli(main)
