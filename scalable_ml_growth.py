# /// script
# requires-python = ">=3.11"
# dependencies = ["cookiecutter>=2.7.1,<3"]
# ///
"""Takes a project to a larger stage, or to another version of the template: one commit by git.

`make grow` and `make update` of a project fetch the template's newest version and run this file
of it. The project as the template made it is rendered once more (base), and as the template would
make it now (new); git then carries the change from base to new over to the project, as it carries
a commit from one branch to another. So an edit stays, a renamed file receives what is for it, and
what both sides changed is an ordinary conflict.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalable_ml_record import RECORD, Record, git_environment, record_of, without_secrets

WAY_BACK = "git reset --hard"
# What makes a renamed file, or a file of a renamed folder, receive changes, whatever is set here.
FOLLOW_RENAMES = ("-c", "merge.renames=true", "-c", "merge.directoryRenames=true")


class Refusal(Exception):
    """Why nothing was done, in words for the person who asked."""


def git(folder: Path, *arguments: str, **options: Any) -> str:
    """Run git in a folder; return what it printed, as it is.

    Raises:
        Refusal: It failed; the message is what git said first.
    """
    more = options.pop("environment", {})
    result = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**git_environment(), **more},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        **options,
    )
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise Refusal(f"git {arguments[0]} failed: {said[0] if said else result.returncode}")
    printed: str = result.stdout
    return printed


def fields(text: str) -> list[str]:
    """The fields of what git prints with -z."""
    return [field for field in text.split("\0") if field]


# --- The template, and what it makes. ------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """A clone of the template, and a folder for what is made from it.

    Attributes:
        clone: The clone. What is checked out there is the newest version.
        scratch: A folder that is removed in the end.
    """

    clone: Path
    scratch: Path

    def source(self) -> str:
        """Where to fetch it from next time."""
        origin = git(self.clone, "config", "--get", "remote.origin.url").strip()
        local = record_of(Path(origin), {}).source if Path(origin).is_dir() else None
        return local or without_secrets(origin)

    def commit(self, version: str) -> str:
        """The commit of a version: a tag, a branch or a commit.

        Raises:
            Refusal: There is none of that name; the message lists those that there are.
        """
        for name in (f"refs/tags/{version}", f"refs/remotes/origin/{version}", version):
            command = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
            try:
                return git(self.clone, *command).strip()
            except Refusal:
                continue
        listed = ["for-each-ref", "--format=%(refname)", "refs/tags", "refs/remotes/origin"]
        names = [name.split("/", 2 if "/tags/" in name else 3)[-1]
                 for name in git(self.clone, *listed).split()]  # fmt: skip
        known = ", ".join(name for name in names if name != "HEAD") or "none"
        raise Refusal(f"The template has no version {version!r}. Tags and branches: {known}")

    def name(self, commit: str) -> str:
        """A commit for people to read: its tag, if it has one, and its first digits."""
        tag = git(self.clone, "tag", "--points-at", commit).split()
        return f"{tag[-1]} ({commit[:7]})" if tag else commit[:7]

    def checkout(self, commit: str) -> Path:
        """A folder with the template's files at a commit."""
        folder = self.scratch / f"template-{commit}"
        if not folder.exists():
            # The objects are linked or copied, and the record's questions need a history.
            git(self.scratch, "clone", "--quiet", "--no-checkout", str(self.clone), str(folder))
            git(folder, "checkout", "--quiet", "--detach", commit)
        return folder

    def questions(self, commit: str) -> dict[str, Any]:
        """What the template asks at a commit: each public question and its default or choices."""
        asked = json.loads(git(self.clone, "show", f"{commit}:cookiecutter.json"))
        return {name: value for name, value in asked.items() if not name.startswith("_")}

    def made(self, commit: str, answers: Mapping[str, str]) -> Path:
        """A fresh project of a commit with these answers, and defaults for the others.

        Raises:
            Refusal: The template refuses an answer.
        """
        output = Path(tempfile.mkdtemp(dir=self.scratch))
        child([str(self.checkout(commit)), str(output)], answers)
        return next(path for path in output.iterdir() if (path / RECORD).is_file())


def child(arguments: Sequence[str], answers: Mapping[str, str], ask: bool = False) -> str:
    """Work with one version of the template in a process of its own: it loads that one's code."""
    environment = {**git_environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, __file__, "ask" if ask else "make", *arguments, json.dumps(answers)]
    result = subprocess.run(
        command,
        env=environment,
        stdin=None if ask else subprocess.DEVNULL,
        stdout=None if ask else subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    if result.returncode:
        said = result.stderr.strip().splitlines()
        raise Refusal(
            "The template cannot be rendered: " + (said[-1] if said else "no reason given")
        )
    return result.stdout or ""


def literal(text: str) -> str:
    """Jinja that renders as exactly this text: Cookiecutter renders the answers it is given."""
    return '{{ "' + "".join(f"\\U{ord(character):08x}" for character in text) + '" }}'


def make(template: str, output: str, answers: Mapping[str, str]) -> None:
    """In a child: make a project in `output`."""
    from cookiecutter.main import cookiecutter

    questions = json.loads((Path(template) / "cookiecutter.json").read_text(encoding="utf-8"))
    cookiecutter(
        template,
        no_input=True,
        extra_context={
            name: literal(text) if isinstance(questions.get(name), str) else text
            for name, text in answers.items()
        },
        output_dir=output,
        default_config={"replay_dir": str(Path(output) / "replay")},
    )


def ask(template: str, output: str, answers: Mapping[str, str]) -> None:
    """In a child: ask the questions that have no answer yet; write all answers to `output`."""
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import read_user_choice, read_user_variable, render_variable
    from cookiecutter.utils import create_env_with_context

    context = generate_context(str(Path(template) / "cookiecutter.json"))
    questions = context["cookiecutter"]
    environment = create_env_with_context(context)
    prompts = questions.get("__prompts__", {})
    found = dict(answers)
    for name, default in questions.items():
        if name.startswith("_") or name in found:
            continue
        rendered = render_variable(environment, default, found)
        read = read_user_choice if isinstance(default, list) else read_user_variable
        found[name] = read(name, rendered, prompts)
    Path(output).write_text(json.dumps(found), encoding="utf-8")


# --- The project. --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """A project in its git repository.

    Attributes:
        top: The repository's root.
        prefix: The project's folder in it, with a "/" at its end; empty where they are the same.
    """

    top: Path
    prefix: str

    @classmethod
    def at(cls, folder: Path) -> "Project":
        try:
            top = git(folder, "rev-parse", "--show-toplevel").rstrip("\n")
            prefix = git(folder, "rev-parse", "--show-prefix").rstrip("\n")
        except (Refusal, OSError):
            raise Refusal(
                "This needs the project's git history, and there is none: "
                "git init && git add --all && git commit"
            ) from None
        return cls(Path(top), prefix)

    def git(self, *arguments: str, **options: Any) -> str:
        return git(self.top, *arguments, **options)

    def record(self) -> Record:
        """The record as it was committed last."""
        try:
            return Record.read(self.git("show", f"HEAD:{self.prefix}{RECORD}"))
        except ValueError as error:
            raise Refusal(str(error)) from None
        except Refusal:
            raise Refusal(
                f"{RECORD} is not in the last commit: "
                "without it nobody knows what the project was made from"
            ) from None

    def must_be_clean(self) -> None:
        """Refuse where the way back would lose something."""
        changed = fields(self.git("diff", "--name-only", "-z", "HEAD"))
        if not changed:
            return
        if self.git("diff", "--cached", "--name-only", "--", self.prefix + RECORD):
            raise Refusal(
                "The last growth or update is not finished. The way on: `git status`, "
                f"then `git commit`. The way back: `{WAY_BACK}`"
            )
        raise Refusal(
            f"There are changes that are not committed: {listed(changed)}. Commit or stash them."
        )

    def must_know_a_person(self) -> None:
        try:
            self.git("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        except Refusal:
            raise Refusal(
                "git knows no name and e-mail address to commit with. "
                "Set user.name and user.email with `git config --global`."
            ) from None

    def tree(self, folder: Path, record: str) -> str:
        """Store the files of a fresh project, with this record, as a tree of this repository."""
        (folder / RECORD).write_text(record, encoding="utf-8", newline="\n")
        git_folder = self.git("rev-parse", "--absolute-git-dir").rstrip("\n")
        with tempfile.TemporaryDirectory() as scratch:
            index = {"GIT_DIR": git_folder, "GIT_INDEX_FILE": f"{scratch}/index"}
            # Whatever is ignored here was not ignored when the project was made.
            add = ["-c", "core.safecrlf=false", "add", "--all", "--force", "."]
            git(folder, *add, environment={**index, "GIT_WORK_TREE": str(folder)})
            tree = git(folder, "write-tree", environment=index).strip()
            if self.prefix:
                index["GIT_INDEX_FILE"] = f"{scratch}/below"
                git(folder, "read-tree", f"--prefix={self.prefix}", tree, environment=index)
                tree = git(folder, "write-tree", environment=index).strip()
        return tree

    # --- One change of the template, carried over. ---

    def carry_over(self, base: str, new: str, message: str) -> "Outcome":
        """Bring the change from tree `base` to tree `new` into index and files; commit nothing.

        Raises:
            Refusal: A file that git does not know stands in the way; nothing was changed.
        """
        before = self.git("commit-tree", base, "-m", "What the template made").strip()
        change = self.git("commit-tree", new, "-p", before, "-m", message).strip()
        self.must_hit_nothing(change)
        try:
            # In a session of its own: what ends this command does not end git half way.
            pick = ["cherry-pick", "--no-commit", change]
            self.git(*FOLLOW_RENAMES, *pick, start_new_session=True)
        except Refusal:
            if not unmerged(self.top):
                raise
        return self.settle()

    def must_hit_nothing(self, change: str) -> None:
        """Rehearse a change elsewhere: refuse it where it would write over unknown files."""
        if not self.git("ls-files", "--others", "--directory"):
            return  # there are none
        with tempfile.TemporaryDirectory() as scratch:
            rehearsal = Path(scratch)
            # The machine's filters and drivers are for the real tree; here only paths matter.
            plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
            plain |= {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER")
                      for what in ("NAME", "EMAIL")}  # fmt: skip
            git(rehearsal, "init", "--quiet", environment=plain)
            objects = self.git("rev-parse", "--path-format=absolute", "--git-path", "objects")
            (rehearsal / ".git/objects/info/alternates").write_text(objects)
            head = self.git("rev-parse", "HEAD").strip()
            git(rehearsal, "checkout", "--quiet", "--detach", head, environment=plain)
            known = set(fields(git(rehearsal, "ls-files", "-z")))
            try:
                pick = ["cherry-pick", "--no-commit", change]
                git(rehearsal, *FOLLOW_RENAMES, *pick, environment=plain)
            except Refusal:
                if not unmerged(rehearsal):
                    raise
            coming = set(fields(git(rehearsal, "ls-files", "-z"))) - known
        hit = sorted(path for path in coming if self.in_the_way(path, known))
        if hit:
            raise Refusal(
                f"The template brings files that you have and git does not know: {listed(hit)}. "
                "Commit, move or remove yours; nothing was changed."
            )

    def in_the_way(self, path: str, known: set[str]) -> bool:
        """Whether an unknown file stands at a path, or at a folder of it."""
        if os.path.lexists(self.top / path):
            return True
        folders = [str(folder) for folder in Path(path).parents][:-1]
        return any(
            folder not in known and os.path.lexists(self.top / folder)
            and not (self.top / folder).is_dir()
            for folder in folders
        )  # fmt: skip

    def settle(self) -> "Outcome":
        """Leave deleted what was deleted here; say what else is in conflict."""
        conflicts, deleted = {}, []
        for path, sides in unmerged(self.top).items():
            if sides == BASE_AND_TEMPLATE:
                self.git("rm", "--quiet", "--force", "--", path)
                deleted.append(path)
            else:
                conflicts[path] = CONFLICTS.get(sides, "renamed by both")
        return Outcome(conflicts, deleted)


@dataclass(frozen=True)
class Outcome:
    """What came of carrying a change over.

    Attributes:
        conflicts: Each path in conflict, and of what kind.
        deleted: What the template changed and people had deleted here. It stays so.
    """

    conflicts: dict[str, str]
    deleted: list[str]


BASE_AND_TEMPLATE = frozenset("13")
CONFLICTS = {
    frozenset("123"): "changed by both",
    frozenset("23"): "added by both",
    frozenset("12"): "changed here, removed by the template",
}


def unmerged(top: Path) -> dict[str, frozenset[str]]:
    """Each path in conflict, and the sides that have it: 1 the base, 2 here, 3 the template."""
    found: dict[str, frozenset[str]] = {}
    for entry in fields(git(top, "ls-files", "--unmerged", "-z")):
        facts, path = entry.split("\t", 1)
        found[path] = found.get(path, frozenset()) | {facts[-1]}
    return found


def listed(names: Iterable[str]) -> str:
    some = list(names)
    return ", ".join(some[:5]) + (f" and {len(some) - 5} more" if len(some) > 5 else "")


# --- The two commands. ---------------------------------------------------------------------------


def bring(project: Project, template: Template, arguments: argparse.Namespace) -> int:
    """Bring a project to another stage or version of the template; return the exit status."""
    record = project.record()
    project.must_be_clean()
    project.must_know_a_person()
    start = arguments.start or record.commit
    if start is None:
        raise Refusal(
            "The template had no git history when the project was made. Say which version it "
            "was: FROM=tag-or-commit"
        )
    try:
        old = template.commit(start)
    except Refusal as refusal:
        if arguments.start:
            raise
        raise Refusal(
            f"The project was made from {start[:7]}, which {template.source()} does not have. "
            "Say where it is: TEMPLATE=path-or-url"
        ) from refusal
    stage = arguments.stage
    # A larger stage is a change of its own; it does not bring another version along.
    new = template.commit(arguments.version or ("HEAD" if stage is None else old))
    answers = dict(record.answers)
    if stage is not None:
        answers["stage"] = larger(template, new, record.answers.get("stage"), stage)
    if new == record.commit and answers == record.answers and template.source() == record.source:
        print(f"Nothing to do: this is {template.name(new)} already.")
        return 0
    if record.dirty and not arguments.start:
        print("Note: the template held uncommitted changes at that time; they count as yours.")

    answers = answered(template, new, answers)
    fresh = template.made(new, answers)
    made = Record.read((fresh / RECORD).read_text(encoding="utf-8"))
    for question in made.answers.keys() - answers.keys():
        print(f"New question {question}: its default, {made.answers[question]!r}")
    kept = project.git("show", f"HEAD:{project.prefix}{RECORD}")
    base = project.tree(template.made(old, record.answers), kept)
    now = Record(template.source(), new, False, made.answers)
    if stage and new == old:
        message = f"Grow to {stage}"
    else:
        message = f"{f'Grow to {stage} and update' if stage else 'Update'} to {template.name(new)}"
    outcome = project.carry_over(base, project.tree(fresh, now.text()), message)
    return finish(project, outcome, message)


def larger(template: Template, commit: str, old: str | None, new: str) -> str:
    """The new stage, when a version of the template has it and it is not below the old one."""
    stages = template.questions(commit).get("stage", [])
    if new not in stages:
        known = ", ".join(stages) or "none"
        what = f"There is no stage {new!r} in {template.name(commit)}." if new else "Say STAGE=…"
        raise Refusal(f"{what} Stages: {known}")
    if old in stages and stages.index(new) < stages.index(old):
        raise Refusal(
            f"The project is at {old} already, and {new} is below it: a project does not shrink, "
            "as what you built on the stage would break. Delete what you do not need."
        )
    return new


def answered(template: Template, commit: str, answers: dict[str, str]) -> dict[str, str]:
    """The answers, and those to new questions where somebody is there to be asked."""
    known = {name: text for name, text in answers.items() if name in template.questions(commit)}
    if known.keys() == template.questions(commit).keys() or not sys.stdin.isatty():
        return known
    with tempfile.NamedTemporaryFile(dir=template.scratch) as file:
        child([str(template.checkout(commit)), file.name], known, ask=True)
        found: dict[str, str] = json.loads(Path(file.name).read_text(encoding="utf-8"))
    return found


def finish(project: Project, outcome: Outcome, message: str) -> int:
    """Commit, or say what is in the way and both ways out; return the exit status."""
    for path in outcome.deleted:
        print(f"Deleted here, so it stays deleted: {path}")
    if outcome.conflicts:
        print(f"\nNot finished: {len(outcome.conflicts)} in conflict.", file=sys.stderr)
        for path, kind in sorted(outcome.conflicts.items()):
            print(f"  {path}: {kind}", file=sys.stderr)
        ways(f"edit these, then `git commit -am {message!r}`, then `make setup`")
        return 1
    lock(project)
    commit = ["git", "commit", "--quiet", "--message", message]
    if subprocess.run(commit, cwd=project.top, env=git_environment()).returncode:
        print("\nNot finished: everything fits, but git did not commit it.", file=sys.stderr)
        ways(f"mend what is said above, then `git commit -am {message!r}`")
        return 1
    print(f"{message}: committed. See it: `git show --stat`. Undo it: `git reset --keep HEAD~1`")
    return 0


def ways(on: str) -> None:
    print(f"The way on:   {on}", file=sys.stderr)
    print(f"The way back: `{WAY_BACK}`", file=sys.stderr)


def lock(project: Project) -> None:
    """Bring uv.lock, and an environment that there is, in step with pyproject.toml."""
    folder = project.top / project.prefix
    uv = os.environ.get("UV")
    changed = project.git("diff", "--cached", "--name-only").splitlines()
    tracked = project.git("ls-files", "--", f"{project.prefix}uv.lock")
    if not uv or not tracked or f"{project.prefix}pyproject.toml" not in changed:
        return
    command = [uv, "sync" if (folder / ".venv").is_dir() else "lock", "--quiet"]
    environment = {name: v for name, v in git_environment().items() if name != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        print("Note: uv.lock is behind pyproject.toml: `make setup`, then commit it.")
    project.git("add", "--", f"{project.prefix}uv.lock")


def main(given: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if given is None else given
    if given[:1] in (["make"], ["ask"]):
        return in_child(*given)
    with tempfile.TemporaryDirectory() as scratch:
        return run(given, Path.cwd(), Template(Path(__file__).resolve().parent, Path(scratch)))


def run(given: Sequence[str], folder: Path, template: Template) -> int:
    """Do what a command line says for the project in a folder; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="grow | update")
    grow = commands.add_parser("grow", help="take the project to a larger stage")
    grow.add_argument("stage")
    update = commands.add_parser("update", help="bring another version of the template")
    update.set_defaults(stage=None)
    for command in (grow, update):
        command.add_argument("--version", help="tag, branch or commit; else the newest, to update")
        command.add_argument("--from", dest="start", help="the version it was made from")
    arguments = parser.parse_args(given)
    try:
        return bring(Project.at(folder), template, arguments)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Where `git status` shows changes,", file=sys.stderr)
        print(f"the way back: `{WAY_BACK}`", file=sys.stderr)
        return 130


def in_child(what: str, template: str, output: str, answers: str) -> int:
    from cookiecutter.exceptions import CookiecutterException

    sys.path.insert(0, template)
    try:
        (make if what == "make" else ask)(template, output, json.loads(answers))
    except (CookiecutterException, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
