"""From a configuration to jobs that have run: plan, look what is fresh, claim, run the rest."""

from __future__ import annotations

from pathlib import Path

from ..config import PROJECT_ROOT, Config
from ..runs import open_run, runs_folder
from ..runs.locks import claim
from .freshness import keys
from .parameters import require_secrets
from .spec import check_pairs, make_plan
from .store import Results


def execute(config: Config, root: Path = PROJECT_ROOT) -> Path:
    """Run the jobs of ``config``, whose notebooks lie below ``root``; returns the run's folder.

    Raises:
        UserError: the plan is wrong; or another runner has one of the jobs.
        JobsFailed: not every job succeeded; the run's folder says more.
    """
    from .runner import prepare, run_plan

    plan = make_plan(config.jobs, root)
    runs = runs_folder()
    found = keys(plan, runs / ".cache")
    results = Results(runs)
    # While the run is opened, the processes of its jobs get ready.
    prepare(results.lack(plan, found), found)
    targets = {results.place(found[job.name]).name: f"job '{job.name}'" for job in plan}
    with open_run("jobs", config) as run, claim(targets, run.id):
        states = results.survey(plan, found)
        stale = [job for job in plan if states[job.name][0] is None]
        check_pairs(stale)
        for job in stale:
            require_secrets(job.declared, job.parameters, job.where)
        run_plan(plan, found, states, run, config.jobs.workers)
    return run.path


def preview(config: Config, root: Path = PROJECT_ROOT) -> None:
    """Print which jobs would run, in their order, and why.

    Raises:
        UserError: the plan is wrong.
    """
    from .board import print_plan

    plan = make_plan(config.jobs, root)
    runs = runs_folder()
    print_plan(plan, Results(runs).survey(plan, keys(plan, runs / ".cache")))
