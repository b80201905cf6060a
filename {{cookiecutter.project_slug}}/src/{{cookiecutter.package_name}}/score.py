"""Score with a trained model: ``python -m {{ cookiecutter.package_name }}.score``.

The best items of each user of the shop, or a prediction for each row of a table, as Parquet files
below ``data/scores/``. What is there already, of the same model and the same rows, is kept.
"""

from __future__ import annotations

from .config import Config, cli


def main(config: Config) -> None:
    """Score as ``config`` says, and print where the scores are."""
    if config.dry_run:
        print(config.to_yaml())
        return
    from .scoring import score

    result = score(config)
    print(result.report())
    print(f"run {result.run}, model {result.model}")


if __name__ == "__main__":
    cli(main)
