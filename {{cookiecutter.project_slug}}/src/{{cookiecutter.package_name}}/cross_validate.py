"""Cross-validate: ``python -m {{ cookiecutter.package_name }}.cross_validate``.

Says what the model scores on rows it has not seen, how sure that is, and whether it is better than
the baseline. The test rows stay untouched. ``evaluation.folds`` and ``evaluation.repeats`` say how.
"""

from __future__ import annotations

from .config import Config, cli


def main(config: Config) -> None:
    """Cross-validate as ``config`` says, and write a run with the scores of each fold.

    Raises:
        UserError: the data cannot be used as the configuration says.
    """
    if config.dry_run:
        print(config.to_yaml())
        return
    import numpy as np

    from .evaluation import plots
    from .evaluation.crossval import cross_validate, figure
    from .runs import open_run
    from .runs.files import atomic_path
    from .workflow import prepare

    with open_run("cross_validate", config) as run:
        examples, parts = prepare(config)
        found = cross_validate(config, examples, np.sort(np.append(parts.train, parts.valid)))
        with atomic_path(run.path / "folds.parquet") as temporary:
            found.scores.to_parquet(temporary, index=False)
        plots.save({"folds": figure(found)}, run.path / "plots")
        for path, rows in examples.inputs.items():
            run.add_input(path, rows, derived=examples.derived)
        metrics, intervals = found.flat()
        run.metrics.update(metrics)
        run.intervals.update(intervals)
    print("\n".join([*examples.notes, found.report(), f"run {run.id}"]))


if __name__ == "__main__":
    cli(main)
