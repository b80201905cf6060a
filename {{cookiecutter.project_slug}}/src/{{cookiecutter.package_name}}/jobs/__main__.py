"""``python -m <package>.jobs [overrides]``: execute the notebooks as ``conf/jobs/`` declares.

Exit status: 0 all jobs succeeded, 1 one failed or the plan was refused, 75 another runner has them,
124 one timed out, 130 or 143 interrupted, 137 one was killed.
"""

from __future__ import annotations

from ..config import Config, cli


def main(config: Config) -> None:
    from .execute import execute, preview

    if config.dry_run:
        preview(config)
    else:
        execute(config)


if __name__ == "__main__":
    cli(main, restart=False)  # notebooks run in processes of their own
