"""Replay: a run is made again from its folder and the repository, or it is said why not.

Each test works on a copy of this project in a repository of its own, on a path with a space and an
umlaut, trained on a small table that lies beside the repository.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT
from {{cookiecutter.package_name}}.runs import read_manifest
from {{cookiecutter.package_name}}.runs.manifest import write_manifest
from {{cookiecutter.package_name}}.runs.replay import (
    Tree,
    _install,
    _report,
)

pytestmark = pytest.mark.slow
PACKAGE = _report.__module__.split(".")[0]
TABLE = ["data=table", "features=all", 'data.path="../tables ü/own.csv"', "data.target=y"]
TRAIN = [*TABLE, "model=linear", "seed=3"]
Change = Callable[[dict[str, Any]], None]


class Project:
    """A repository with a copy of this project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root.parent / "temporary"
        self.temporary.mkdir(parents=True, exist_ok=True)

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k != "RUNS_DIR"}
        apart = {"PYTHONPATH": str(self.root / "src"), "TMPDIR": str(self.temporary)}
        return inherited | apart | more

    def call(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, kind: str, *overrides: str, **more: str) -> Path:
        """Run it; the folder of the run."""
        before = set((self.root / "runs").glob("*-*-*-*"))
        done = self.call(f"{PACKAGE}.{kind}", *overrides, **more)
        assert done.returncode == 0, done.stderr
        (made,) = set((self.root / "runs").glob("*-*-*-*")) - before
        return made

    def replay(self, run: Path | str, *options: str, **more: str) -> tuple[int, str]:
        """Exit status and all that was said; nothing is left of it."""
        done = self.call(f"{PACKAGE}.runs", "replay", str(run), "--no-install", *options, **more)
        assert not list(self.temporary.iterdir())
        return done.returncode, done.stdout + done.stderr

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    base = tmp_path_factory.mktemp("replay ü")
    made = Project(base / "own project")
    made.root.mkdir()
    for name in ("src", "conf", "notebooks"):
        skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(PROJECT_ROOT / name, made.root / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", ".gitignore", "uv.lock"):
        if (PROJECT_ROOT / name).is_file():
            shutil.copyfile(PROJECT_ROOT / name, made.root / name)
    (base / "tables ü").mkdir()
    rows = [f"{n % 7},{'ab'[n % 3 == 0]},{int(n % 7 > 3) ^ int(n % 11 == 0)}" for n in range(200)]
    (base / "tables ü" / "own.csv").write_text("\n".join(["x,kind,y", *rows]) + "\n")
    made.git("init", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "all")
    return made


@pytest.fixture(scope="module")
def run(project: Project) -> Path:
    """A run with changes that were never committed and are gone by now."""
    settings = project.root / "conf" / "model" / "linear.yaml"
    committed = settings.read_text()
    settings.write_text(committed.replace("l2: 1.0", "l2: 3.0"))
    (project.root / "neue Notiz ü.bin").write_bytes(bytes(range(256)))
    made = project.make("train", *TRAIN)
    settings.write_text(committed)
    (project.root / "neue Notiz ü.bin").unlink()
    assert read_manifest(made)["config"]["model"]["l2"] == 3.0
    return made


@pytest.fixture
def changed(run: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """A copy of the run whose manifest was changed, under a seal that fits."""

    def make(change: Change) -> Path:
        folder = tmp_path / run.name
        shutil.copytree(run, folder)
        manifest = read_manifest(folder)
        change(manifest)
        write_manifest(folder, manifest)
        return folder

    return make


def test_a_run_with_changes_replays_to_the_same_bytes(project: Project, run: Path) -> None:
    before = snapshot(project.root)
    code, said = project.replay(
        run.name, "--threads", "1", PYTHONHASHSEED="77", TZ="Asia/Kathmandu", LC_ALL="C"
    )
    assert code == 0, said
    outputs = len(read_manifest(run)["outputs"])
    assert f"identical: {outputs} of {outputs} outputs" in said
    assert "with its stored changes" in said
    assert "1 of 1 verified by hash" in said
    assert snapshot(project.root) == before


def test_a_run_replays_in_another_clone(project: Project, run: Path, tmp_path: Path) -> None:
    other = Project(tmp_path / "deeper" / "clone")
    project.git("clone", "--quiet", str(project.root), str(other.root))
    shutil.copytree(project.root.parent / "tables ü", other.root.parent / "tables ü")
    folder = tmp_path / "sent by mail"
    shutil.copytree(run, folder)
    code, said = other.replay(folder)
    assert code == 0, said
    assert "identical" in said


def test_an_evaluation_replays_with_the_model_it_judged(project: Project, run: Path) -> None:
    judged = project.make("evaluate", f"evaluation.run={run.name}", "evaluation.bins=5")
    code, said = project.replay(judged)
    assert code == 0, said
    assert "identical" in said
    # Of `latest`, too, when that is another run by now.
    assert f"of run {run.name}" in said


def test_changed_and_missing_inputs_are_refused(project: Project, run: Path) -> None:
    table = project.root.parent / "tables ü" / "own.csv"
    content = table.read_text()
    recorded = next(iter(read_manifest(run)["inputs"].values()))["sha256"]
    try:
        table.write_text(content.replace("a", "c", 1))
        code, said = project.replay(run)
        assert code == 1
        assert f"own.csv has changed: the run read {recorded}, it is now" in said
        table.unlink()
        code, said = project.replay(run)
        assert code == 1
        assert f"own.csv is missing: the run read {recorded}" in said
        assert "running" not in said
    finally:
        table.write_text(content)


def failed(manifest: dict[str, Any]) -> None:
    manifest.update(status="failed", cause="ValueError: bad row")


def without_commit(manifest: dict[str, Any]) -> None:
    manifest["git"]["commit"] = None


def other_commit(manifest: dict[str, Any]) -> None:
    manifest["git"]["commit"] = "0123456789" * 4


def without_patch(manifest: dict[str, Any]) -> None:
    manifest["git"].update(patch=None, patch_omitted="the changes are 50 MB")


def other_patch(manifest: dict[str, Any]) -> None:
    manifest["records"]["source.patch"] = "0" * 64


def other_lock(manifest: dict[str, Any]) -> None:
    manifest["environment"]["lock_sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (failed, "no result to compare with: it failed (ValueError: bad row)"),
        (without_commit, "recorded no commit"),
        (other_commit, "commit 012345678901 of run"),
        (without_patch, "not stored: the changes are 50 MB"),
        (other_patch, "source.patch was changed since the run: recorded 0000"),
        (other_lock, "the run's from 000000000000"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    project: Project, changed: Callable[[Change], Path], change: Change, message: str
) -> None:
    code, said = project.replay(changed(change))
    assert code == 1
    assert message in said
    assert "running" not in said


def test_an_edited_manifest_and_a_lost_patch_are_refused(
    project: Project, changed: Callable[[Change], Path]
) -> None:
    folder = changed(lambda manifest: None)
    (folder / "source.patch").unlink()
    assert "whose patch is gone" in project.replay(folder)[1]
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 3', '"seed": 4'))
    code, said = project.replay(folder)
    assert (code, "edited" in said) == (1, True)


def test_code_that_draws_without_a_seed_is_found(project: Project) -> None:
    module = project.root / "src" / PACKAGE / "evaluation" / "evaluate.py"
    committed = module.read_text()
    try:
        module.write_text(
            committed.replace(
                "    own = scores[name], values[name]\n",
                "    import os\n"
                "    scores[name]['luck'] = int.from_bytes(os.urandom(6))\n"
                "    own = scores[name], values[name]\n",
            )
        )
        made = project.make("train", *TRAIN)
    finally:
        module.write_text(committed)
    code, said = project.replay(made)
    assert code == 1
    total = len(read_manifest(made)["outputs"])
    assert f"different: {total - 1} of {total} outputs identical" in said
    assert "metrics.json: 1 number differ" in said and "valid.linear.luck" in said
    assert "an unseeded draw" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_replay_leaves_nothing(project: Project, run: Path, number: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", f"{PACKAGE}.runs", "replay", run.name, "--no-install"],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("running"):
            break
    deadline = time.monotonic() + 5
    while not (below := psutil.Process(process.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    process.stdout.close()
    assert not [each for each in below if each.is_running()]
    assert not list(project.temporary.iterdir())


def test_packages_are_installed_apart(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv on the PATH")
    version = platform.python_version()
    tree = Tree(tmp_path / "tree", tmp_path / "tree", tmp_path / "tree", tmp_path / "packages")
    tree.project.mkdir()
    (tree.project / "pyproject.toml").write_text(
        '[project]\nname = "tiny"\nversion = "1"\nrequires-python = ">=3.11"\n'
        "[tool.uv]\npackage = false\n"
    )
    subprocess.run([uv, "lock", "--offline"], cwd=tree.project, check=True, capture_output=True)
    users = tmp_path / "environment of the user"
    users.mkdir()
    (tree.project / ".venv").symlink_to(users)
    assert _install(tree, version) == version
    assert (tree.packages / "bin" / "python").exists()
    assert not list(users.iterdir())


# --- the verdict, from two folders ------------------------------------------------------------


@pytest.fixture
def pair(run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run and a replay of it that is still the same."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        shutil.copytree(run, folder)
    return one, other


def verdict(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], **environment: Any
) -> tuple[int, str]:
    """Of the replay as its files are now."""
    from {{cookiecutter.package_name}}.runs import sha256

    _, other = pair
    manifest = json.loads((other / "manifest.json").read_text())
    files = [p for p in other.rglob("*") if p.is_file() and p.name != "manifest.json"]
    hashes = {p.relative_to(other).as_posix(): sha256(p) for p in files}
    hashes.pop("source.patch")
    manifest["outputs"] = hashes
    manifest["environment"] |= environment
    (other / "manifest.json").write_text(json.dumps(manifest))
    code = _report(pair[0], read_manifest(pair[0]), other, None)
    return code, capsys.readouterr().out


def scale(folder: Path, by: float) -> None:
    path = folder / "metrics.json"
    scores = json.loads(path.read_text())
    scores["valid"]["linear"]["log_loss"] *= by
    path.write_text(json.dumps(scores))


def test_small_differences_are_tolerated_on_other_hardware_alone(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    scale(pair[1], 1 + 1e-8)
    code, said = verdict(pair, capsys)
    assert (code, "different: " in said) == (1, True)
    code, said = verdict(pair, capsys, cpu="Another CPU")
    assert (code, "within tolerance: " in said) == (0, True)
    assert "CPU: " in said and "Another CPU in the replay" in said
    scale(pair[1], 1.001)
    code, said = verdict(pair, capsys, cpu="Another CPU")
    assert (code, "valid.linear.log_loss" in said) == (1, True)


def test_missing_and_extra_outputs_are_named(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (pair[1] / "metrics.json").unlink()
    (pair[1] / "more.txt").write_text("x")
    code, said = verdict(pair, capsys, cpu="Another CPU")
    assert code == 1
    assert "missing  metrics.json" in said and "extra    more.txt" in said


def test_another_package_or_thread_count_is_named_as_the_cause(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    scale(pair[1], 2)
    _, said = verdict(pair, capsys, python="3.99.0", threads={"OMP_NUM_THREADS": "8"})
    assert "3.99.0 in the replay" in said
    assert "OMP_NUM_THREADS=8 in the replay" in said


def snapshot(root: Path) -> dict[str, tuple[int, ...]]:
    """Size and time of all files, the repository's own and the runs included."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(root.rglob("*")):
        if "__pycache__" not in path.parts and not path.is_dir():
            state, name = path.lstat(), str(path.relative_to(root))
            # git touches an object when a clone that borrows it would have written it again.
            is_object = name.startswith(".git/objects/")
            found[name] = (state.st_size,) if is_object else (state.st_size, state.st_mtime_ns)
    return found
