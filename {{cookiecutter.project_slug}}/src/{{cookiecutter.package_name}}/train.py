"""Train a model: ``python -m {{ cookiecutter.package_name }}.train model=linear seed=7``.

Writes a run folder with the model, its predictions, metrics and figures. The same configuration
gives the same bytes.
"""

from __future__ import annotations

from .config import Config, cli


def main(config: Config) -> float | None:
    """Train as ``config`` says, and print how it does on the validation rows; the main metric on
    them is returned, for sweepers.

    Whoever looks at test rows after each change fits them too; they are for ``evaluate``.
    """
    if config.dry_run:
        print(config.to_yaml())
        return None
    from .workflow import train

    result = train(config)
    print(result.report("valid"))
    print(f"run {result.run}, model {result.fingerprint}")
    return result.score("valid")


if __name__ == "__main__":
    cli(main)
