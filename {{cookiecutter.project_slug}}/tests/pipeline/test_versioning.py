"""The path as DVC runs it, with the real program, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from {{cookiecutter.package_name}}.config import PROJECT_ROOT
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.steps import declared, pipeline

pytest.importorskip("dvc", reason="the group dvc is not installed")

PACKAGE = pipeline.PACKAGE
PARTS = (".dvc", ".dvcignore", ".gitignore", "conf", "src", "pyproject.toml", "uv.lock")
SMALL = ["data=shop", "features=all", "model=boosting", "data.users=120", "data.shard_users=50"]
SMALL += ["model.rounds=5", "evaluation.resamples=50"]
JUDGED = {"train", "evaluate"}
LEFT_OUT = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")


def versioned(root: Path) -> list[Any]:
    """What the gate says of the tables that the configuration names."""
    from gates.core.gate import Context
    from gates.core.settings import Settings
    from gates.versioning import check_versioned

    return list(check_versioned(Context(root, Settings())))


@dataclass
class Copy:
    """A copy of the project, with its own history, DVC cache and storage."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("RUNS_DIR", "DATA_DIR")}
        who = {"NAME": "a", "EMAIL": "a@example.org"}
        kept |= {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        state = self.root.parent / "state"
        return kept | {"PATH": programs, "PYTHONPATH": "src", "DVC_SITE_CACHE_DIR": str(state)}

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def step(self, *arguments: str) -> str:
        return self.run("python", "-m", f"{PACKAGE}.steps", *arguments)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "now")

    def change(self, name: str, before: str, after: str) -> None:
        path = self.root / name
        text = re.sub(before, after, path.read_text(), count=1, flags=re.M)
        assert text != path.read_text(), f"{name} has no {before}"
        path.write_text(text)

    def changed(self) -> set[str]:
        """The steps of which something has changed, besides what other steps would make."""
        from dvc.repo import Repo

        with Repo(str(self.root)) as repo:  # as `dvc status`, which takes long to start
            return {name.rpartition(":")[2] for name in repo.status()}

    def hashes(self) -> dict[str, str]:
        """Each output by its path, but for what tells of a run."""
        stages = yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]
        outs = [out for stage in stages.values() for out in stage["outs"]]
        records = {out for step in declared.steps().values() for out in step.records}
        return {out["path"]: out["md5"] for out in outs if Path(out["path"]).name not in records}


def made(root: Path, overrides: list[str]) -> Copy:
    root.mkdir(parents=True)
    for name in PARTS:
        source = PROJECT_ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=LEFT_OUT)
        elif source.exists():
            shutil.copy(source, root / name)
    (root / "uv.lock").touch()
    (root / "params.yaml").write_text(yaml.safe_dump({"overrides": overrides}))
    copy = Copy(root)
    copy.run("git", "init", "--quiet")
    storage = f"['remote \"storage\"']\n    url = {root.parent / 'storage'}\n"
    (root / ".dvc" / "config.local").write_text(storage)
    copy.step("dvc")
    copy.commit()
    return copy


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy whose steps have all run; what a test changes there it takes back."""
    copy = made(tmp_path_factory.mktemp("versioned") / "project", SMALL)
    copy.run("dvc", "repro")
    copy.commit()
    return copy


def test_nothing_is_run_twice_and_git_is_left_alone(first: Copy) -> None:
    said = first.run("dvc", "repro")
    assert "Running stage" not in said
    assert "up to date" in said
    assert first.run("git", "status", "--short") == ""
    assert not (first.root / "data" / ".gitignore").exists()


@pytest.mark.parametrize(
    ("name", "before", "after", "steps"),
    [
        ("conf/model/boosting.yaml", r"^max_depth: \d+", "max_depth: 3", JUDGED | {"score"}),
        ("conf/model/linear.yaml", r"^l2: [\d.]+", "l2: 7.5", set()),
        ("conf/config.yaml", r"- model: \w+", "- model: popularity", JUDGED | {"score"}),
        ("conf/config.yaml", r"- engine: local", "- engine: other", set()),
        ("conf/config.yaml", r"^  top_k: \d+", "  top_k: 7", JUDGED),
        ("conf/features/all.yaml", r"exclude: \[\]", "exclude: [a]", JUDGED | {"features"}),
        ("src/{package}/evaluation/plots.py", r"\Z", "# more\n", JUDGED),
        ("src/{package}/evaluation/crossval.py", r"\Z", "# more\n", set()),
    ],
)
def test_a_change_concerns_what_depends_on_it(
    first: Copy,
    name: str,
    before: str,
    after: str,
    steps: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", first.environment["DVC_SITE_CACHE_DIR"])
    first.change(name.format(package=PACKAGE), before, after)
    try:
        assert first.changed() == steps
    finally:
        first.run("git", "checkout", "--quiet", ".")


def test_metrics_come_with_their_intervals(first: Copy) -> None:
    for step in ("train", "evaluate"):
        metrics = json.loads((first.root / "data" / "steps" / step / "metrics.json").read_text())
        for values in metrics.values():
            assert values["low"] <= values["value"] <= values["high"]
        assert "roc_auc" in metrics
        assert list((first.root / "data" / "steps" / step / "plots").glob("*.png"))


@pytest.mark.slow
def test_a_clone_has_it_all_and_judges_the_model_without_its_run(
    first: Copy, tmp_path: Path
) -> None:
    first.run("dvc", "push")
    clone = Copy(tmp_path / "elsewhere" / "clone")
    clone.root.parent.mkdir()
    first.run("git", "clone", "--quiet", ".", str(clone.root))
    shutil.copy(first.root / ".dvc" / "config.local", clone.root / ".dvc")
    clone.run("dvc", "pull")
    assert "Running stage" not in clone.run("dvc", "repro")
    steps = Path("data", "steps")
    slices = steps / "evaluate" / "slices.csv"
    before = ("ingest", "features")  # what `evaluate` needs
    files = [each for step in before for each in (clone.root / steps / step).rglob("*.parquet")]
    (clone.root / slices).unlink()
    clone.step("evaluate")
    assert (clone.root / slices).read_bytes() == (first.root / slices).read_bytes()
    assert files
    for file in files:  # taken over, not made again
        _, *place = file.relative_to(clone.root / steps).parts
        assert file.samefile(clone.root.joinpath("data", *place[1:]))


@pytest.mark.slow
def test_an_experiment_keeps_its_parameters_with_its_metrics(first: Copy) -> None:
    said = first.run(
        "dvc", "exp", "run", "-n", "flat", "-S", "conf/model/boosting.yaml:max_depth=1"
    )
    try:
        assert "Stage 'features' didn't change" in said
        shown: Any = json.loads(first.run("dvc", "exp", "show", "--json"))
        (experiment,) = shown[1]["experiments"]
        data = experiment["revs"][0]["data"]
        assert data["params"]["conf/model/boosting.yaml"]["data"]["max_depth"] == 1
        assert data["metrics"]["data/steps/train/metrics.json"]["data"]["roc_auc"]
    finally:
        first.run("git", "checkout", "--quiet", ".")
        first.run("dvc", "checkout", "--quiet")


@pytest.mark.slow
def test_a_killed_call_is_completed_by_the_next(first: Copy, tmp_path: Path) -> None:
    copy = made(tmp_path / "project", SMALL)
    process = copy.start("dvc", "repro")
    runs, deadline = copy.root / "runs", time.monotonic() + 240
    while not list(runs.glob("*-train-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (copy.root / "data" / "steps" / "evaluate").exists()
    said = copy.run("dvc", "repro")
    assert "Stage 'ingest' didn't change" in said
    assert "Running stage 'evaluate'" in said
    assert copy.hashes() == first.hashes()


@pytest.mark.slow
def test_a_table_goes_the_same_way(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 7},{'ab'[n % 3 == 0]},{n * 7919 % 101 % 2}\n" for n in range(300))
    overrides = ["data=table", "data.path=data/orders.csv", "data.target=bought"]
    copy = made(tmp_path / "project", overrides)
    (copy.root / "data").mkdir()
    (copy.root / "data" / "orders.csv").write_text(f"id,visits,kind,bought\n{rows}")
    copy.run("dvc", "add", "data/orders.csv")
    assert "data/orders.csv.dvc" in copy.run("git", "status", "--short", "--untracked-files=all")
    stage = yaml.safe_load((copy.root / "dvc.yaml").read_text())["stages"]["ingest"]
    assert "data/orders.csv" in stage["deps"]
    copy.run("dvc", "repro", "features")
    before = copy.hashes()
    for made_before in ("tables", "steps"):
        shutil.rmtree(copy.root / "data" / made_before)
    copy.run("dvc", "repro", "--force", "features")
    assert copy.hashes() == before
    assert json.loads((copy.root / "data/steps/features/features.json").read_text())["rows"] == 300


# --- the declaration


@pytest.fixture
def steps_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "conf" / "steps.yaml"
    path.parent.mkdir()
    monkeypatch.setattr(declared, "FILE", path)
    monkeypatch.setattr(declared, "PROJECT_ROOT", tmp_path)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {needs: [features]}\nfeature: {}\n", "Did you mean 'feature'"),
        ("a: {needs: [b]}\nb: {needs: [a]}\n", "cycle: "),
        ("a: {output: [model]}\n", "output"),
        ("a: [\n", "conf/steps.yaml: "),
        ("nothing: {}\n", "src/"),
    ],
)
def test_a_wrong_declaration_is_named(steps_file: Path, text: str, said: str) -> None:
    steps_file.write_text(text)
    with pytest.raises(UserError, match=re.escape(said)):
        pipeline.text()


def test_a_database_may_always_have_changed(steps_file: Path) -> None:
    steps_file.write_text("ingest: {inputs: ['postgresql:SHOP', null]}\n")
    stage = yaml.safe_load(pipeline.text())["stages"]["ingest"]
    assert stage["always_changed"] is True
    assert not [dep for dep in stage["deps"] if dep.startswith("postgresql")]


def test_overrides_are_a_list(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for text in ("overrides: seed=7\n", "[seed=7]\n"):
        path.write_text(text)
        with pytest.raises(UserError, match="must be a list"):
            declared.overrides(path)
    path.write_text("overrides: [seed=7]\n")
    assert declared.overrides(path) == ["seed=7"]


# --- PR607


@pytest.mark.parametrize(
    ("text", "there", "red"),
    [
        ("path: data/orders.csv", (), True),
        ("path: data/orders.csv", ("data/orders.csv.dvc",), False),
        ("path: data/orders", ("data/orders/2026.parquet",), True),
        ("path: data/orders", ("data/orders/2026.parquet", "data/orders.dvc"), False),
        ("path: data/orders/2026.parquet", ("data/orders.dvc",), False),
        ("path: models/old.ubj", (), True),
        ("path: data/tables/a-1/b.parquet", (), False),
        ("path: postgresql:SHOP", (), False),
        ("path: /mnt/share/orders.csv", (), False),
        ("nested: [{path: ???}, {path: '${data.path}.csv'}]", (), False),
        ("nested: [{path: data/orders.csv}]", (), True),
    ],
)
def test_data_in_no_history(tmp_path: Path, text: str, there: tuple[str, ...], red: bool) -> None:
    for name in (".dvc/config", *there):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    conf = tmp_path / "conf" / "data" / "orders.yaml"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"{text}\n")
    findings = versioned(tmp_path)
    assert [finding.line for finding in findings] == [1] * red
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    if red and not there:  # a small file that git has
        name = text.split(": ")[-1].rstrip("}]")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        subprocess.run(["git", "-C", str(tmp_path), "add", "-f", name], check=True)
        assert not versioned(tmp_path)
