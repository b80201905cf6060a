"""``python -m <package>.jobs [overrides]``: execute the notebooks as ``conf/jobs/`` declares."""

from __future__ import annotations

from ..config import Config, cli


def main(config: Config) -> None:
    from ..runs import open_run
    from .runner import run_plan
    from .spec import make_plan

    plan = make_plan(config.jobs)
    with open_run("jobs", config) as run:
        run_plan(plan, run, config.jobs.workers)


if __name__ == "__main__":
    cli(main)
