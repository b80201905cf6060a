"""``runs replay RUN``: make a run again from what it recorded, apart, and compare every output.

Nothing of the project's own tree, environment or runs is changed: the commit is checked out into a
temporary folder, the recorded lock is installed there, and inputs are linked into it after their
hashes were verified.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT
from ..errors import UserError
from .differences import TOLERANCE, Difference, difference
from .facts import flat
from .files import runs_folder, sha256
from .manifest import MANIFEST, read_manifest
from .run import find_run, list_runs

PACKAGE = __name__.split(".")[0]
KINDS = ("train", "evaluate", "cross_validate", "tune", "jobs")
# What belongs to the process that replays, or to a notebook that may have started it.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JOB_FOLDER", "JOB_RUN",
                  "UV_PROJECT_ENVIRONMENT", "THREADS")  # fmt: skip
_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
               "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX")  # fmt: skip
_RUN_ID = re.compile(r"\d{8}-\d{6}-train-[0-9a-f]+")
_GRACE = 20.0  # seconds a stopped run has to end by itself


@dataclass(frozen=True)
class Tree:
    """The checkout. ``root`` mirrors the root of the file system: what lay at ``/a/b`` is found at
    ``root/a/b``, so that relative paths that leave the project hold."""

    root: Path
    top: Path  # of the repository
    project: Path
    packages: Path  # not below the checkout: a repository may hold a link of the name .venv

    def mirror(self, path: Path) -> Path:
        return self.root.joinpath(*path.parts[1:])


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id or folder, or latest")
    parser.add_argument("--threads", type=int, metavar="N", help="another number of threads")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument(
        "--no-install",
        action="store_true",
        help="use the packages at hand, when their lock is the recorded one",
    )


def main(args: argparse.Namespace) -> int:
    """0 when every output is the recorded one, or within the tolerance; 1 when not.

    Raises:
        UserError: the run cannot be replayed; the message says why.
    """
    if args.threads is not None and args.threads < 1:
        raise UserError(f"--threads {args.threads}: must be 1 or more.")
    folder = find_run(args.run)
    manifest = read_manifest(folder)
    _refuse(folder, manifest)
    _say(
        "run",
        f"{manifest['id']}, {manifest['kind']} of {manifest['started'][:16].replace('T', ' ')} UTC",
    )
    with _Stops() as stops, _workspace(args.keep) as space:
        tree = _check_out(manifest, folder, space)
        found = _inputs(manifest, folder, tree)
        python = _packages(manifest, tree, install=not args.no_install)
        _link(found, manifest, tree)
        overrides = list(manifest["config"]["overrides"])
        runs = space / "runs"
        runs.mkdir()
        if manifest["kind"] == "evaluate":
            overrides = _bring_model(manifest, folder, found, overrides, runs)
        made = _run(manifest, tree, python, overrides, runs, args, stops)
        return _report(folder, manifest, made, args.threads)


# --- what can be replayed ---------------------------------------------------------------------


def _refuse(folder: Path, manifest: Mapping[str, Any]) -> None:
    name, git = manifest["id"], manifest["git"]
    if manifest["status"] != "succeeded":
        cause = f" ({manifest['cause']})" if manifest.get("cause") else ""
        what = (
            f"it {manifest['status']}{cause}"
            if manifest["status"] != "running"
            else "it runs still"
        )
        raise UserError(f"run {name} has no result to compare with: {what}.")
    if manifest["kind"] not in KINDS:
        raise UserError(f"run {name}: a replay knows {', '.join(KINDS)}, not {manifest['kind']}.")
    if git["commit"] is None:
        raise UserError(f"run {name} recorded no commit: it was made outside a git repository.")
    if not git["dirty"]:
        return
    if not git.get("patch"):
        why = git.get("patch_omitted") or "its manifest is of a version without them"
        raise UserError(
            f"run {name} was made with changes that were not committed and are not stored: {why}."
        )
    patch = folder / git["patch"]
    recorded = {**manifest["outputs"], **manifest.get("records", {})}.get(git["patch"])
    if not patch.is_file():
        raise UserError(f"run {name} was made with changes whose patch is gone: no {patch}.")
    if recorded is not None and sha256(patch) != recorded:
        raise UserError(
            f"{patch} was changed since the run: "
            f"recorded {recorded[:16]}, it is {sha256(patch)[:16]}."
        )


# --- code, packages, inputs -------------------------------------------------------------------


def _check_out(manifest: Mapping[str, Any], folder: Path, space: Path) -> Tree:
    commit = manifest["git"]["commit"]
    shown = _git(PROJECT_ROOT, "rev-parse", "--show-toplevel")
    if shown.returncode:
        raise UserError(f"{PROJECT_ROOT} is in no git repository: {_last(shown.stderr)}.")
    top = Path(os.fsdecode(shown.stdout).rstrip("\n"))
    if _git(top, "cat-file", "-e", commit + "^{commit}").returncode:
        raise UserError(
            f"commit {commit[:12]} of run {manifest['id']} is not in this repository. "
            "Fetch it, or replay where it is."
        )
    root = space / "tree"
    tree = Tree(
        root,
        root.joinpath(*top.parts[1:]),
        root.joinpath(*PROJECT_ROOT.parts[1:]),
        space / "packages",
    )
    tree.top.parent.mkdir(parents=True)
    # No hooks of the user's templates: they may need what is not there.
    quiet = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
    clone = ("clone", "--quiet", "--shared", "--no-checkout", "--", str(top), str(tree.top))
    _must(_git(space, *quiet, *clone), "cannot clone the repository")
    _must(_git(tree.top, *quiet, "checkout", "--quiet", "--detach", commit), "cannot check out")
    words = f"commit {commit[:12]}, checked out apart"
    if patch := manifest["git"]["dirty"] and manifest["git"]["patch"]:
        applied = _git(tree.top, "apply", "--binary", "--whitespace=nowarn", str(folder / patch))
        _must(applied, f"{folder / patch} does not apply to commit {commit[:12]}")
        words += ", with its stored changes"
    if not tree.project.is_dir():
        raise UserError(f"commit {commit[:12]} has no folder {PROJECT_ROOT.relative_to(top)}.")
    _say("code", words)
    return tree


def _packages(manifest: Mapping[str, Any], tree: Tree, install: bool) -> Path:
    """The interpreter to run with."""
    recorded, lock = manifest["environment"]["lock_sha256"], tree.project / "uv.lock"
    if not install:
        here = PROJECT_ROOT / "uv.lock"
        at_hand = sha256(here) if here.is_file() else None
        if at_hand != recorded:
            raise UserError(
                f"--no-install: the packages at hand come from lock {_hash(at_hand)}, the run's "
                f"from {_hash(recorded)}. Leave the option away."
            )
        _say("packages", f"those at hand, of the recorded lock {_hash(recorded)}")
        return Path(sys.executable)
    if recorded is None:
        raise UserError(f"run {manifest['id']} recorded no uv.lock: its packages are not known.")
    found = sha256(lock) if lock.is_file() else None
    if found != recorded:
        raise UserError(
            f"the run's packages came from lock {_hash(recorded)}, but its commit "
            + (f"has {_hash(found)}." if found else "has no uv.lock.")
        )
    began = time.monotonic()
    version = _install(tree, manifest["environment"]["python"])
    took = time.monotonic() - began
    _say("packages", f"lock {_hash(recorded)} installed in {took:.1f} s, Python {version}")
    return tree.packages / "bin" / "python"


def _interpreter() -> str:
    """The Python that this environment was made with."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _install(tree: Tree, version: str) -> str:
    """Install the lock with the recorded Python, or else with one of the same minor version.

    The project itself is not installed but found by its path: in some locales Python cannot start
    with an installed project whose path has other than ASCII letters.
    """
    uv = shutil.which("uv") or str(PROJECT_ROOT / ".tools" / "bin" / "uv")
    if not Path(uv).is_file():
        raise UserError("uv is neither on the PATH nor at .tools/bin/uv; --no-install needs none.")
    said = b""
    minor = ".".join(version.split(".")[:2])
    wanted_ones = [version, minor]
    # The one at hand is there for sure; any other, uv may have to fetch.
    at_hand = platform.python_version()
    if at_hand == version:
        wanted_ones = [_interpreter()]
    elif at_hand.startswith(f"{minor}."):
        wanted_ones = [version, _interpreter()]
    for wanted in wanted_ones:
        done = subprocess.run(
            [uv, "sync", "--frozen", "--no-dev", "--no-install-project", "--python", wanted],
            cwd=tree.project,
            env=_environment()
            | {"UV_PROJECT_ENVIRONMENT": str(tree.packages), "TMPDIR": str(tree.root.parent)},
            stderr=None if sys.stderr.isatty() else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if not done.returncode:
            python = str(tree.packages / "bin" / "python")
            asked = [python, "-c", "import platform; print(platform.python_version())"]
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        said = done.stderr or b""
    raise UserError(f"uv sync --frozen: {_last(said) or 'failed, as said above'}")


def _inputs(manifest: Mapping[str, Any], folder: Path, tree: Tree) -> dict[str, Path]:
    """Where each input that the run did not make itself lies now.

    Raises:
        UserError: one is missing or has another hash.
    """
    found: dict[str, Path] = {}
    wrong = []
    given = {n: e for n, e in manifest["inputs"].items() if not e.get("derived")}
    for name, entry in given.items():
        seen = ""
        for place in _places(name, manifest, folder, tree):
            if place.is_file():
                digest = sha256(place)
                if digest == entry["sha256"]:
                    found[name] = place
                    break
                seen = seen or f"has changed: the run read {entry['sha256']}, it is now {digest}"
        else:
            wrong.append(f"{name} {seen or 'is missing: the run read ' + entry['sha256']}")
    if wrong:
        raise UserError("refused: input " + "\n       input ".join(wrong))
    made = len(manifest["inputs"]) - len(given)
    words = f"{len(found)} of {len(given)} verified by hash" if given else "none to verify"
    _say("inputs", words + (f", {made} that the run makes itself" if made else ""))
    return found


def _places(name: str, manifest: Mapping[str, Any], folder: Path, tree: Tree) -> Iterator[Path]:
    # The commit may hold the file, whatever the working tree has made of it since.
    if not Path(name).is_absolute():
        yield tree.project / name
    yield PROJECT_ROOT / name
    for text in _paths_in(manifest["config"], Path(name).name):
        yield PROJECT_ROOT / text
    for model in _models(name):
        yield runs_folder() / model
        yield folder.parent / model
    if "/model/" in name:  # of a run that has another name here
        for other in list_runs("train"):
            yield other / "model" / Path(name).name


def _paths_in(config: Any, file: str) -> Iterator[str]:
    """The relative paths in a configuration that end in ``file``: as a person wrote them, whereas
    an input outside the project is recorded by its full path."""
    if isinstance(config, str):
        if Path(config).name == file and not config.startswith(("/", "~")):
            yield config
    elif isinstance(config, Mapping | list):
        for each in config.values() if isinstance(config, Mapping) else config:
            yield from _paths_in(each, file)


def _models(name: str) -> list[Path]:
    """``…/runs/<id>/model/x`` -> ``<id>/model/x``."""
    parts = Path(name).parts
    return [Path(*parts[n:]) for n, part in enumerate(parts) if _RUN_ID.fullmatch(part)]


def _link(found: Mapping[str, Path], manifest: Mapping[str, Any], tree: Tree) -> None:
    for name, place in found.items():
        wanted = [tree.mirror(PROJECT_ROOT / name)]
        wanted += [tree.project / text for text in _paths_in(manifest["config"], Path(name).name)]
        for link in wanted:
            link = Path(os.path.normpath(link))
            # A folder of the checkout may itself be a link to one of the user's.
            apart = link.parent.resolve().is_relative_to(tree.root)
            if apart and link.is_relative_to(tree.root) and not os.path.lexists(link):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(place.resolve())


def _bring_model(
    manifest: Mapping[str, Any],
    folder: Path,
    found: Mapping[str, Path],
    overrides: list[str],
    runs: Path,
) -> list[str]:
    """Copy the train run that an evaluation judged into ``runs``; the overrides that name it."""
    files = [place for place in found.values() if place.parent.name == "model"]
    if not files:
        raise UserError(f"run {manifest['id']} recorded no files of the model that it judged.")
    source = files[0].parent.parent
    judged = read_manifest(source)
    target = runs / judged["id"]
    for file in [source / MANIFEST, *files]:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    _say("model", f"of run {judged['id']}")
    # An evaluation records the training's overrides in front of its own, and adds them again.
    first = judged["config"]["overrides"]
    own = overrides[len(first) :] if overrides[: len(first)] == first else overrides
    own = [each for each in own if not each.startswith("evaluation.run=")]
    return [*own, f"evaluation.run={judged['id']}"]


# --- the run ----------------------------------------------------------------------------------


def _run(
    manifest: Mapping[str, Any],
    tree: Tree,
    python: Path,
    overrides: list[str],
    runs: Path,
    args: argparse.Namespace,
    stops: _Stops,
) -> Path:
    """Run it again; the folder of the new run."""
    kind = manifest["kind"]
    threads = args.threads or manifest["config"].get("training", {}).get("threads")
    if args.threads and kind != "jobs":  # a job's overrides are part of its notebook
        overrides = [each for each in overrides if not each.startswith("training.threads=")]
    environment = _environment()
    for name, value in manifest["environment"].get("threads", {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    if threads:
        environment["THREADS"] = str(threads)
    if args.threads:
        environment["OMP_NUM_THREADS"] = str(args.threads)
    environment["RUNS_DIR"] = str(runs)
    environment["TRACKING"] = "none"  # it is no run of its own
    environment["PYTHONPATH"] = str(tree.project / "src")
    command = [str(python), "-m", f"{PACKAGE}.{kind}", *overrides]
    _say("running", " ".join(["python", *command[1:]]))
    began = time.monotonic()
    code = _follow(command, tree.project, environment, stops)
    made = sorted(path for path in runs.glob(f"*-{kind}-*") if (path / MANIFEST).is_file())
    if code or not made:
        raise UserError(f"the replay itself failed, with exit status {code}; see above.")
    _say("ran", f"{time.monotonic() - began:.0f} s")
    return made[-1]


def _follow(command: list[str], cwd: Path, environment: Mapping[str, str], stops: _Stops) -> int:
    """Run ``command`` and pass on what it says; nothing of it is left when this is stopped."""
    process: subprocess.Popen[str] | None = None
    try:
        with stops.deferred():
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                print(f"           {line}", end="", flush=True)
        return process.wait()
    except BaseException:
        if process is not None:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        raise


# --- the verdict ------------------------------------------------------------------------------


def _report(folder: Path, old: Mapping[str, Any], made: Path, threads: int | None) -> int:
    # Read as it is: the commit may be of a time when manifests had another shape.
    new = json.loads((made / MANIFEST).read_text())
    for line in _threads_kept(new, threads):
        _say("threads", line)
    before, after = old["outputs"], new["outputs"]
    same = [name for name in before if after.get(name) == before[name]]
    missing = [name for name in before if name not in after]
    extra = [name for name in after if name not in before]
    total = len(before)
    if len(same) == total and not extra:
        _say("outputs", f"identical: {len(same)} of {total} outputs")
        return 0
    differing = {
        name: _difference(folder / name, made / name)
        for name in before
        if name in after and name not in same
    }
    causes, hardware = _causes(old, new)
    tolerable = not missing and not extra and all(each.tolerable for each in differing.values())
    if tolerable and hardware:
        _say("outputs", f"within tolerance: {len(same)} of {total} outputs identical")
    else:
        _say("outputs", f"different: {len(same)} of {total} outputs identical")
    for name, found in differing.items():
        print(f"  differs  {name}: {found.what}")
    for name in missing:
        print(f"  missing  {name}: the replay did not write it")
    for name in extra:
        print(f"  extra    {name}: the run did not write it")
    for cause in causes:
        _say("cause", cause)
    if tolerable and hardware:
        print(f"Numbers agree to {TOLERANCE:g} of their size, as declared for other hardware.")
        return 0
    return 1


def _difference(one: Path, other: Path) -> Difference:
    if not one.is_file():
        return Difference(f"not the recorded hash; how much is unknown, for {one} is gone")
    if one.read_bytes() == other.read_bytes():
        return Difference("the run's file was changed after the run, and is what the replay wrote")
    return difference(one, other)


def _threads_kept(new: Mapping[str, Any], threads: int | None) -> Iterator[str]:
    used = new["config"].get("training", {}).get("threads")
    if threads and used not in (None, threads):
        yield f"{used}, not {threads}: the run set the number itself"


def _causes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], bool]:
    """What may have made the difference, the likeliest first; whether the hardware differs."""
    causes = []
    for name, entry in old["inputs"].items():
        there = new["inputs"].get(name)
        if entry.get("derived") and there and there["sha256"] != entry["sha256"]:
            causes.append(f"{name}, which the run makes itself, came out differently")
            break
    before, after = flat(old["config"]), flat(new["config"])
    config = [
        f"{key} ({before.get(key)} in the run, {after.get(key)} in the replay)"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
        and not key.startswith(("overrides", "jobs.", "evaluation.run"))
    ]
    if config:
        causes.append(f"configuration: {', '.join(config[:4])}")
    one, other = old["environment"], new["environment"]
    hardware = False
    for key, words, is_hardware in (
        ("cpu", "CPU", True),
        ("cpu_flags_sha256", "features of the CPU", True),
        ("blas", "BLAS", True),
        ("threads", "threads", False),
        ("lock_sha256", "packages", False),
        ("python", "Python", False),
        ("implementation", "Python", False),
        ("libc", "C library", False),
        ("os", "system", False),
        ("cpu_count", "number of CPUs", False),
        ("hash_seed", "hash seed", False),
        ("locale", "locale", False),
        ("timezone", "time zone", False),
    ):
        a, b = one.get(key), other.get(key)
        if key == "blas":  # its version is told by the packages, its threads by their setting
            a, b = (sorted({str(each["architecture"]) for each in v or []}) for v in (a, b))
        if a == b or a is None or b is None:
            continue
        hardware = hardware or is_hardware
        causes.append(f"{words}: {_listed(a, b)} in the run, {_listed(b, a)} in the replay")
    if not causes:
        causes.append(
            "nothing recorded differs, so the code itself gives another result each time: "
            "an unseeded draw, the order of a set or of threads, the time of day?"
        )
    return causes, hardware


def _listed(value: Any, other: Any) -> str:
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return " ".join(f"{k}={v}" for k, v in value.items() if other.get(k, v) != v) or "unset"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    text = str(value)
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text


# --- processes and places ---------------------------------------------------------------------


@contextlib.contextmanager
def _workspace(keep: bool) -> Iterator[Path]:
    space = Path(tempfile.mkdtemp(prefix="replay-")).resolve()
    try:
        yield space
    finally:
        if keep:
            _say("kept", str(space))
        else:
            shutil.rmtree(space, ignore_errors=True)


class _Stops:
    """Ctrl-C, SIGTERM and a closed terminal end the block as an exception, so that it cleans up."""

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._deferring = False
        self._came: int | None = None

    def __enter__(self) -> _Stops:
        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """What comes in the block takes effect at its end: else a process that is just being
        started would be left without anyone who knows of it."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._came is not None:
            sys.exit(128 + self._came)

    def _stop(self, number: int, _: object) -> None:
        self._came = number
        if not self._deferring:
            sys.exit(128 + number)


def _environment() -> dict[str, str]:
    left_out = {*_NOT_INHERITED, *_GIT_PLACES}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def _git(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, env=_environment(), capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed, and the code of a run is in git.") from error


def _must(done: subprocess.CompletedProcess[bytes], what: str) -> None:
    if done.returncode:
        raise UserError(f"{what}: {_last(done.stderr)}")


def _last(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:])


def _hash(digest: str | None) -> str:
    return digest[:12] if digest else "(none)"


def _say(step: str, text: str) -> None:
    print(f"{step:<10} {text}", flush=True)
