"""What a project keeps of how it was made: `.template.json`, with template, version and answers.

The hook that finishes a new project writes it; `make grow` and `make update` read it and move it
along. A version is a commit of the template.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

RECORD = ".template.json"


def git_environment() -> dict[str, str]:
    """The environment without what would point git at another repository than that of a folder."""
    kept = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_SSH")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(kept)
    }


@dataclass(frozen=True)
class Record:
    """How a project was made.

    Attributes:
        source: A path or URL that git can clone the template from; None where there was no git.
        commit: The template's commit; None where there was no git.
        dirty: Whether the template held changes that this commit does not; None without git.
        answers: The public answers, by question.
    """

    source: str | None
    commit: str | None
    dirty: bool | None
    answers: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> "Record":
        """The record that a file holds.

        Raises:
            ValueError: It is damaged.
        """
        try:
            kept = json.loads(text)
            record = cls(kept["source"], kept["commit"], kept["dirty"], kept["answers"])
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{RECORD} cannot be read: {error!r}") from None
        texts = (record.source, record.commit)
        if not all(isinstance(text, str | None) for text in texts) or not isinstance(
            record.answers, dict
        ):
            raise ValueError(f"{RECORD} cannot be read: it holds something else than a record")
        return record

    def text(self) -> str:
        """The file's text: the same record gives the same bytes, and one line a value."""
        kept = {**asdict(self), "answers": dict(self.answers)}
        return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def record_of(template: Path, answers: Mapping[str, str]) -> Record:
    """The record of a project that is made now from a template's folder."""

    def ask(*arguments: str) -> str | None:
        command = ["git", "--no-optional-locks", "-C", str(template), *arguments]
        try:
            said = subprocess.run(
                command, env=git_environment(), capture_output=True, encoding="utf-8"
            )
        except OSError:
            return None
        return said.stdout.strip() if said.returncode == 0 else None

    # A folder may lie inside somebody else's repository: then it has no history of its own.
    if ask("rev-parse", "--show-prefix") != "":
        return Record(None, None, None, answers)
    # Not `git remote get-url`, which applies rewriting rules of the machine: tokens may be in them.
    remotes = (ask("remote") or "").split()
    remote = "origin" if "origin" in remotes else next(iter(remotes), "")
    source = ask("config", "--get", f"remote.{remote}.url")
    if source and not re.match(r"[^/]+:", source):
        source = str((template / source).resolve())  # a remote that is a path
    return Record(
        source=without_secrets(source or str(template)),
        commit=ask("rev-parse", "--verify", "HEAD"),
        dirty=bool(ask("status", "--porcelain")),
        answers=answers,
    )


def without_secrets(url: str) -> str:
    """A remote without the password or token that may stand in it; a path as it is.

    The user stays where it is part of an address, as in `git@host:path` and `ssh://git@host`.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    user = user.partition(":")[0] if "ssh" in parts.scheme.lower() else ""
    return parts._replace(netloc=f"{user}@{host}" if user else host, query="", fragment="").geturl()
