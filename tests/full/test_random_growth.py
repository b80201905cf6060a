"""Growth across versions: random edits of a lab project, grown and updated; and the real thing.

Three versions of the template are made for it: v1 as it stands, and two that edit, add, rename and
delete files of every kind and ask new questions.
"""

import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole import every_library_is_a_refused_name, with_groups

from conftest import run
from growing import (
    PACKAGE,
    PROJECT,
    KeptTemplate,
    commit,
    copy_template,
    edit,
    git,
    insert,
    new_question,
)
from scalable_ml_growth import Project
from scalable_ml_growth import run as growth

pytestmark = pytest.mark.full

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))
# What the versions change, by its name in the project of v1: half of the edits go there.
CHANGED = [
    "README.md",
    "pyproject.toml",
    "conf/config.yaml",
    "conf/data/shop.yaml",
    "conf/training/default.yaml",
    "docs/extend.md",
    "docs/jobs.md",
    "docs/results.md",
    "docs/tuning.md",
    "notebooks/01_explore_data.py",
    "src/shop_ranker/workflow.py",
    "src/shop_ranker/training/splits.py",
    "src/shop_ranker/evaluation/plots.py",
    "src/shop_ranker/features/past.py",
]
FIGURES: Counter[str] = Counter()


def second(template: Path) -> None:
    """The changes of version 2."""
    for name, after in (
        ("README.md", 12),
        ("pyproject.toml", 45),
        ("conf/config.yaml", 20),
        ("conf/data/shop.yaml", 3),
        ("docs/jobs.md", 10),
        ("notebooks/01_explore_data.py", 30),
    ):
        edit(template, f"{PROJECT}/{name}", insert("# of version 2", after))
    for name, after in (("workflow.py", 5), ("training/splits.py", 20), ("features/past.py", 9)):
        edit(template, f"{PACKAGE}/{name}", insert("# of version 2", after))
    git(template, "mv", f"{PROJECT}/docs/extend.md", f"{PROJECT}/docs/extending.md")
    edit(template, f"{PROJECT}/docs/extending.md", insert("of version 2", 12))
    git(template, "mv", f"{PACKAGE}/evaluation/plots.py", f"{PACKAGE}/evaluation/figures.py")
    git(template, "rm", "--quiet", f"{PROJECT}/docs/tuning.md")
    (template / PROJECT / "docs/second.md").write_text("Came with version 2.\n" * 9)
    (template / PACKAGE / "second.py").write_text('"""{{ cookiecutter.colour }}."""\n' * 9)
    edit(template, f"{PROJECT}/pipeline.mk", insert("# of version 2", 1))
    new_question(template, "colour", '["red", "blue"]', '(lambda text: None, lambda _: "red")')
    commit(template, "v2")


def third(template: Path) -> None:
    """The changes of version 3."""
    for name, after in (
        ("README.md", 30),
        ("pyproject.toml", 60),
        ("conf/config.yaml", 30),
        ("conf/training/default.yaml", 2),
        ("docs/jobs.md", 30),
        ("docs/extending.md", 20),
    ):
        edit(template, f"{PROJECT}/{name}", insert("# of version 3", after))
    for name, after in (("workflow.py", 25), ("evaluation/figures.py", 30)):
        edit(template, f"{PACKAGE}/{name}", insert("# of version 3", after))
    git(template, "rm", "--quiet", f"{PROJECT}/docs/second.md", f"{PACKAGE}/features/past.py")
    git(template, "mv", f"{PROJECT}/docs/results.md", f"{PROJECT}/docs/trust.md")
    git(template, "mv", f"{PACKAGE}/training/splits.py", f"{PACKAGE}/training/splitting.py")
    (template / PROJECT / "conf/third.yaml").write_text("third: {{ cookiecutter.shape }}\n")
    edit(template, "templates/pipeline/files.txt", lambda text: text + "docs/third.md\n")
    (template / PROJECT / "docs/third.md").write_text("Came with version 3.\n" * 9)
    new_question(template, "shape", '"round"', '(lambda text: None, lambda _: "round")')
    commit(template, "v3")


@dataclass
class World:
    """A project of v1 and the template; and the way back to the start."""

    project: Path
    template: KeptTemplate
    start: str
    files: list[str] = field(default_factory=list)

    def reset(self, to: str) -> None:
        git(self.project, "reset", "--quiet", "--hard", to)
        git(self.project, "clean", "--quiet", "-fdx")

    def tree(self) -> str:
        return git(self.project, "rev-parse", "HEAD^{tree}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    template = copy_template(folder / "template", small=False)
    commit(template, "v1")
    git(folder, "clone", "--quiet", "template", "old")
    run(folder, f"{sys.executable} -m cookiecutter old --no-input --default-config")
    second(template)
    third(template)
    git(folder, "clone", "--quiet", "template", "clone")
    (folder / "kept").mkdir()
    project = folder / "shop-ranker"
    git(project, "config", "gc.auto", "0")
    files = [
        name
        for name in git(project, "ls-files").splitlines()
        if not name.startswith(".") and b"\0" not in (project / name).read_bytes()
        and (project / name).stat().st_size > 0
    ]  # fmt: skip
    assert set(CHANGED) <= set(files)
    made = KeptTemplate(folder / "clone", folder / "kept")
    with pytest.MonkeyPatch.context() as patch:
        # A fresh project is stored once for each record.
        tree = functools.cache(Project.tree)
        patch.setattr(Project, "tree", tree)
        yield World(project, made, git(project, "rev-parse", "HEAD"), files)
    print("\nGrowth:", ", ".join(f"{count} {what}" for what, count in sorted(FIGURES.items())))


# --- Random edits. -------------------------------------------------------------------------------

KINDS = [*["insert"] * 5, "replace", "rename", "move", "delete", "delete", "new", "collide"]
edits = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.one_of(st.sampled_from(CHANGED), st.integers(0, 10_000)),
        st.floats(0, 1, exclude_max=True),
    ),
    min_size=1,
    max_size=8,
)
COLLIDING = [
    "pipeline.mk",
    "conf/tracking/none.yaml",
    "src/shop_ranker/second.py",
    "docs/second.md",
    "conf/third.yaml",
    "docs/third.md",
]


@dataclass
class Done:
    """What a set of edits came to."""

    tokens: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def apply(world: World, wanted: list[tuple[str, str | int, float]]) -> Done:
    """Edit the project as people do, and commit it."""
    done = Done()
    project, names = world.project, {name: name for name in world.files}
    for number, (kind, which, where) in enumerate(wanted):
        old = which if isinstance(which, str) else world.files[which % len(world.files)]
        token = f"token-{number}-of-mine"
        if kind in ("new", "collide"):
            folder = str(Path(old).parent)
            name = f"{folder}/mine_{number}.txt"
            if kind == "collide":
                name = COLLIDING[int(where * len(COLLIDING))]
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(f"{token}\n")
            done.tokens.append(token)
            continue
        if old not in names:
            continue  # deleted before
        path = project / names[old]
        if kind == "delete":
            if any(token in path.read_text() for token in done.tokens):
                continue  # that would be to lose one's own edit
            path.unlink()
            done.deleted.append(old)
            done.renamed.pop(old, None)
            del names[old]
        elif kind in ("rename", "move"):
            near = path.with_name(f"renamed_{number}_{path.name}")
            target = near if kind == "rename" else project / f"own_{number}" / path.name
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            names[old] = done.renamed[old] = target.relative_to(project).as_posix()
        else:
            lines = path.read_text().splitlines(keepends=True)
            at = int(where * len(lines))
            # Part of a line that is replaced may hold an earlier token.
            if kind == "replace" and "of-mine" not in lines[at]:
                lines[at] = f"{token}\n"
            else:
                lines.insert(at, f"{token}\n")
            path.write_text("".join(lines))
            done.tokens.append(token)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "Mine")
    return done


# Where a version moves what a project may have deleted.
MOVED = {
    "docs/extend.md": ["docs/extending.md"],
    "docs/results.md": ["docs/trust.md"],
    "src/shop_ranker/evaluation/plots.py": ["src/shop_ranker/evaluation/figures.py"],
    "src/shop_ranker/training/splits.py": ["src/shop_ranker/training/splitting.py"],
}


def everything(project: Path) -> str:
    return "".join(
        path.read_bytes().decode(errors="replace")
        for path in project.rglob("*")
        if path.is_file() and ".git" not in path.parts
    )


def step(world: World, done: Done, capfd: pytest.CaptureFixture[str], *command: str) -> bool:
    """Grow or update, and hold it to its promises; return whether it went without a conflict.

    A conflict is taken back, made again, and committed with both sides in it.
    """
    project = world.project
    head, tree = git(project, "rev-parse", "HEAD"), world.tree()
    capfd.readouterr()
    status = growth(command, project, world.template)
    said = capfd.readouterr()
    unmerged = {line.split("\t")[1] for line in git(project, "ls-files", "-u").splitlines()}
    FIGURES["merges"] += 1
    assert (status != 0) == bool(unmerged), said.err
    if unmerged:
        FIGURES["merges with conflicts"] += 1
        FIGURES["files in conflict"] += len(unmerged)
        assert status == 1
        assert git(project, "rev-parse", "HEAD") == head
        for name in unmerged:
            assert f"  {name}: " in said.err
        for token in done.tokens:
            assert token in everything(project), f"{token} is lost in the conflict"
        git(project, "reset", "--hard")
        assert git(project, "status", "--porcelain", "--ignored") == ""
        assert (git(project, "rev-parse", "HEAD"), world.tree()) == (head, tree)
        assert growth(command, project, world.template) == 1
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", "With both sides")
    assert git(project, "status", "--porcelain", "--ignored") == ""
    text = everything(project)
    for token in done.tokens:
        assert token in text, f"{token} is lost"
    for name in done.deleted:
        for again in [name, *MOVED.get(name, [])]:
            if again not in COLLIDING:
                assert not (project / again).exists(), f"{again} came back"
    if not unmerged:
        for old, new in done.renamed.items():
            assert not (project / old).exists(), f"{old} came back beside {new}"
    return not unmerged


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=edits)
def test_random_edits(
    world: World, capfd: pytest.CaptureFixture[str], wanted: list[tuple[str, str | int, float]]
) -> None:
    world.reset(world.start)
    done = apply(world, wanted)
    FIGURES["examples"] += 1
    FIGURES["edits"] += len(wanted)
    fits = step(world, done, capfd, "grow", "pipeline")
    grown = git(world.project, "rev-parse", "HEAD")

    fits_by_two = step(world, done, capfd, "update", "--version", "v2")
    fits_by_two &= step(world, done, capfd, "update", "--version", "v3")
    by_two = world.tree()

    world.reset(grown)
    fits_at_once = step(world, done, capfd, "update", "--version", "v3")
    if fits and fits_at_once and fits_by_two:
        FIGURES["examples where v1→v3 was compared with v1→v2→v3"] += 1
        assert world.tree() == by_two, "v1→v3 differs from v1→v2→v3"


def test_versions_without_edits(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """Growth and updates in any order come to what the last version makes at once."""
    trees = set()
    for commands in (
        ["grow pipeline", "update --version v2", "update --version v3"],
        ["update --version v2", "grow pipeline", "update"],
        ["update --version v2", "update --version v3", "grow pipeline"],
        ["update --version v3", "grow pipeline"],
        ["grow pipeline --version v3"],
    ):
        world.reset(world.start)
        for command in commands:
            assert step(world, Done(), capfd, *command.split())
            assert growth(command.split(), world.project, world.template) == 0
            assert capfd.readouterr().out.startswith("Nothing to do"), "the same again"
        trees.add(world.tree())
    assert len(trees) == 1
    clone, kept = world.template.clone, world.template
    answers = {"stage": "pipeline", "author_name": "Test Person"}
    at_once = kept.made(git(clone, "rev-parse", "v3"), answers)
    for name in git(world.project, "ls-files").splitlines():
        if name != ".template.json":
            assert (world.project / name).read_bytes() == (at_once / name).read_bytes(), name
    assert not [path for path in at_once.rglob("*") if path.is_file() and ".git" not in path.parts
                and not (world.project / path.relative_to(at_once)).exists()]  # fmt: skip


# --- The real thing. -----------------------------------------------------------------------------


def test_an_edited_project_grows_by_make(tmp_path: Path) -> None:
    """Made, used, edited, grown by `make grow STAGE=pipeline`: gates, jobs and tests are
    green, those of every engine too."""
    template = copy_template(tmp_path / "template", small=False)
    commit(template, "v1")
    run(tmp_path, f"{sys.executable} -m cookiecutter template --no-input --default-config")
    project = tmp_path / "shop-ranker"
    run(project, "make setup && git add uv.lock && git commit -qm 'The lock'")
    edit(project, "README.md", insert("A line of ours.\n", after=8))
    edit(project, "conf/config.yaml", lambda text: text.replace("seed: 42 ", "seed: 43 "))
    edit(project, "pyproject.toml", lambda text: text.replace('"0.1.0"', '"0.2.0"'))
    git(project, "rm", "--quiet", "docs/model-card.md")
    edit(project, "README.md", lambda text: text.replace("[model cards](docs/model-card.md), ", ""))
    git(project, "mv", "docs/results.md", "docs/trust.md")
    edit(project, "README.md", lambda text: text.replace("docs/results.md", "docs/trust.md"))
    (project / "src/shop_ranker/data/ours.py").write_text('"""Ours."""\n\nRATE = 0.5\n')
    run(project, "git add --all && make setup && git add --all && git commit -qm Ours")

    refused = run(project, "make grow STAGE=moon 2>&1", expected=2)
    assert "There is no stage 'moon'" in refused
    refused = run(project, "make update TEMPLATE=/nowhere 2>&1", expected=2)
    assert "repository '/nowhere' does not exist" in refused
    said = run(project, "make grow STAGE=pipeline")
    assert "Grow to pipeline: committed" in said
    assert git(project, "status", "--porcelain") == ""
    assert "Nothing to do" in run(project, "make grow STAGE=pipeline")
    run(project, "make check")
    assert git(project, "status", "--porcelain") == ""
    assert not (project / "docs/model-card.md").exists()
    assert "seed: 43 " in (project / "conf/config.yaml").read_text()
    assert "- tracking: none" in (project / "conf/config.yaml").read_text()

    with_groups(project, "bigquery", "postgres", "ray", "spark", "sweeps")
    run(project, "git commit -qam 'Every engine'")
    run(project, "make test ARGS='tests/pipeline tests/test_sources.py'")
    run(project, "make jobs")
    assert git(project, "status", "--porcelain") == ""
    every_library_is_a_refused_name(project)
