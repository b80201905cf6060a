"""Finishes a new project: its licence, its first commit, and what to type next.

Cookiecutter renders this file and runs the copy in the new project's folder. The answers come in
as data: base64 of JSON. Nothing about git can make the generation fail.
"""

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ANSWERS = json.loads(base64.b64decode("{{ cookiecutter | as_data }}"))["answers"]
PROJECT = Path.cwd()
FIRST_COMMIT = "Start from cookiecutter-scalable-ml"


def choose_license() -> None:
    licenses = PROJECT / "licenses"
    (licenses / ANSWERS["license"]).replace(PROJECT / "LICENSE")
    shutil.rmtree(licenses)


def git(*arguments: str) -> None:
    """Run git in the project, and in no other repository that the environment may point at."""
    kept = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_", "GIT_EXEC_PATH")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(kept)
    }
    command = ["git", "-c", "init.defaultBranch=main", "-c", "user.useConfigOnly=true"]
    # A machine's own hooks and signing key are for a person's commits, not for this one.
    command += ["-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgSign=false"]
    subprocess.run([*command, *arguments], env=environment, check=True, capture_output=True)


def start_history() -> str | None:
    """Make the first commit; return a warning where that is not possible."""
    if (PROJECT / ".git").exists():
        return None  # an older project was overwritten on purpose: its history is its owner's
    if shutil.which("git") is None:
        return "git was not found, so the project has no history; `make check` needs git."
    try:
        git("init", "--quiet")
        git("add", "--all")
    except subprocess.CalledProcessError as error:
        return f"git could not start a history: {last_line(error)}"
    try:
        git("var", "GIT_COMMITTER_IDENT")
    except subprocess.CalledProcessError:
        return (
            "git knows no name and e-mail address, so the files are staged but not committed. "
            "Set user.name and user.email with `git config --global`, then run `git commit`."
        )
    try:
        git("commit", "--quiet", "--message", FIRST_COMMIT)
    except subprocess.CalledProcessError as error:
        return f"the files are staged but not committed: {last_line(error)}"
    return None


def last_line(error: subprocess.CalledProcessError) -> str:
    """What git said last, or else that it failed."""
    lines = error.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else str(error)


if __name__ == "__main__":
    choose_license()
    if warning := start_history():
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"cd {shlex.quote(str(PROJECT))} && make")
