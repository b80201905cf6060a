"""Finishes a new project: its stage, licence, record and first commit, and what to type next.

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

DATA = json.loads(base64.b64decode("{{ cookiecutter | as_data }}"))
ANSWERS = DATA["answers"]
TEMPLATE = Path(DATA["template"])
PROJECT = Path.cwd()
FIRST_COMMIT = "Start from cookiecutter-scalable-ml"

sys.path.insert(0, str(TEMPLATE))
from scalable_ml_record import RECORD, git_environment, record_of  # noqa: E402


def trim_to_stage() -> None:
    """Remove what only a larger stage has: each lists its own in `templates/<stage>/files.txt`."""
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    stages = questions["stage"]
    for stage in stages[stages.index(ANSWERS["stage"]) + 1 :]:
        listed = TEMPLATE / "templates" / stage / "files.txt"
        for line in listed.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                remove(line.strip())


def remove(pattern: str) -> None:
    """Remove what a pattern names, a path from the project's root, and folders left empty."""
    for found in list(PROJECT.glob(pattern.strip("/"))):
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
        folder = found.parent
        while folder != PROJECT and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def choose_license() -> None:
    licenses = PROJECT / "licenses"
    (licenses / ANSWERS["license"]).replace(PROJECT / "LICENSE")
    shutil.rmtree(licenses)


def write_record() -> None:
    record = record_of(TEMPLATE, ANSWERS)
    (PROJECT / RECORD).write_text(record.text(), encoding="utf-8", newline="\n")


def git(*arguments: str) -> None:
    """Run git in the project, and in no other repository that the environment may point at."""
    command = ["git", "-c", "init.defaultBranch=main", "-c", "user.useConfigOnly=true"]
    # A machine's own hooks and signing key are for a person's commits, not for this one.
    command += ["-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgSign=false"]
    subprocess.run([*command, *arguments], env=git_environment(), check=True, capture_output=True)


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
    trim_to_stage()
    choose_license()
    write_record()
    if warning := start_history():
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"cd {shlex.quote(str(PROJECT))} && make")
