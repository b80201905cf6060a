"""Runs are sent to MLflow whole and once, and nothing about that touches the runs themselves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import open_run, read_manifest
from {{cookiecutter.package_name}}.tracking import (
    content,
    handing,
    outbox,
    sender,
    store,
)
from {{cookiecutter.package_name}}.tracking.__main__ import main

from .tracked import SHOP, config, finished, note

PACKAGE = sender.__name__.partition(".")[0]


def settings(*overrides: str):
    return config(*overrides).stage["tracking"]


def found(where=None) -> list:
    """All runs in the store."""
    client = store.connect(where or settings())
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(experiments))


def quiet(_: str) -> None:
    pass


@pytest.fixture
def silent():
    """The address of a server that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_without_tracking_nothing_of_it_is_imported(runs: Path) -> None:
    code = f"""
import sys
from {PACKAGE}.config import load_config
from {PACKAGE}.runs import open_run
with open_run("train", load_config({[*SHOP, "tracking=none"]!r})) as run:
    run.write_json("a.json", 1)
print([name for name in sys.modules if name.split(".")[0] == "mlflow" or ".tracking." in name])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert not (runs / ".tracking").exists()


def test_what_is_sent_is_what_the_run_says(embedded: Path) -> None:
    run = finished(config("seed=7"))
    assert sender.send_waiting(quiet) == (1, 0, 0)
    (sent,) = found()
    manifest = read_manifest(run)
    assert sent.info.run_name == run.name and sent.info.status == "FINISHED"
    assert sent.info.start_time == content.milliseconds(manifest["started"])
    assert sent.data.params["seed"] == "7" and sent.data.params["model.name"] == "linear"
    assert not any(key.startswith(("jobs.", "tracking.")) for key in sent.data.params)
    assert sent.data.metrics == {
        "valid.linear.roc_auc": 0.7,
        "valid.linear.roc_auc.low": 0.6,
        "valid.linear.roc_auc.high": 0.8,
        "odd_name_": 1.0,
    }
    assert sent.data.tags["model.fingerprint"] == "a" * 12
    assert sent.data.tags["run.kind"] == "train"
    assert os.uname().nodename not in str(sent.data.tags)
    client = store.connect(settings())
    files = {each.path for each in client.list_artifacts(sent.info.run_id)}
    assert files >= {"manifest.json", "comparison.json", "plots", "model"}
    assert "predictions.parquet" not in files
    assert ("uv.lock" in files) == (PROJECT_ROOT / "uv.lock").is_file()


def test_a_run_sent_twice_is_one_run(embedded: Path) -> None:
    run = finished(config())
    sender.send_waiting(quiet)
    assert sender.send_waiting(quiet) == (0, 0, 0)
    first = note(run)
    (run / ".tracking.json").unlink()  # as of a sender that was killed before it could note it
    assert sender.send_waiting(quiet) == (1, 0, 0)
    assert note(run) == first and len(found()) == 1


def test_what_a_killed_sender_left_half_done_is_completed(embedded: Path) -> None:
    run = finished(config())
    client = store.connect(settings())
    tags = {content.RUN: run.name, "mlflow.runName": run.name}
    number = client.create_run(store.experiment(client, settings()), tags=tags).info.run_id
    sender.send_waiting(quiet)
    (sent,) = found()
    assert sent.info.run_id == number
    assert sent.data.tags[content.WHOLE] and sent.data.metrics and sent.info.status == "FINISHED"


def test_a_request_that_was_done_twice_leaves_one_run(embedded: Path) -> None:
    run = finished(config())
    client = store.connect(settings())
    tags = {content.RUN: run.name, "mlflow.runName": run.name}
    for _ in range(2):  # the answer to the first never came
        client.create_run(store.experiment(client, settings()), tags=tags)
    sender.send_waiting(quiet)
    (sent,) = found()
    assert sent.data.tags[content.WHOLE]


def test_runs_that_failed_or_were_stopped_are_told_of(embedded: Path) -> None:
    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)), open_run("train", config()) as run:
            run.write_json("a.json", 1)
            raise error
    sender.send_waiting(quiet)
    assert sorted(each.info.status for each in found()) == ["FAILED", "KILLED"]
    assert any(each.data.tags.get("run.cause") == "ValueError: no" for each in found())


def test_a_run_within_a_run_is_its_child_and_trials_are_too(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKING")
    monkeypatch.setattr(handing, "start", lambda: None)
    with open_run("tune", config()) as run:
        inner = finished(config())
        table = (
            "trial,state,roc_auc,rounds,model.l2,error\n0,complete,0.7,,1.0,\n1,failed,,,2.0,bad\n"
        )
        (run.path / "trials.csv").write_text(table)
    assert sender.send_waiting(quiet) == (2, 0, 0)
    by_name = {each.info.run_name: each for each in found()}
    tune = by_name[run.id].info.run_id
    for child in (inner.name, "trial 0", "trial 1"):
        assert by_name[child].data.tags["mlflow.parentRunId"] == tune
    assert by_name[run.id].data.tags[content.WHOLE]
    assert by_name["trial 0"].data.metrics == {"roc_auc": 0.7}
    assert by_name["trial 0"].data.params == {"model.l2": "1.0"}
    assert by_name["trial 1"].info.status == "FAILED"
    sender.send_waiting(quiet)
    assert len(found()) == 4


@pytest.mark.usefixtures("senders", "empty_store")
def test_a_server_that_hangs_delays_no_run_and_loses_none(runs: Path, silent: str) -> None:
    chosen = config(f"tracking.uri={silent}", "tracking.timeout=1")
    began = time.monotonic()
    run = finished(chosen)
    assert time.monotonic() - began < 2  # most of it the run itself, on a busy machine
    assert read_manifest(run)["status"] == "succeeded"
    with sender.sending(30) as alone:
        assert alone
        assert sender.send_waiting(quiet) == (0, 0, 1)
    assert outbox.trouble()["where"] == silent
    assert not outbox.outcome(run, silent)


def test_one_dead_server_is_asked_once_for_all_runs(embedded: Path, silent: str) -> None:
    for _ in range(3):
        finished(config(f"tracking.uri={silent}", "tracking.timeout=1"))
    said: list[str] = []
    assert sender.send_waiting(said.append) == (0, 0, 3)
    assert len(said) == 1 and "did not answer" in said[0]


@pytest.mark.usefixtures("empty_store")
def test_ctrl_c_while_it_is_sent_leaves_a_success(
    runs: Path, silent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(handing, "start", lambda: signal.raise_signal(signal.SIGINT))
    run = finished(config(f"tracking.uri={silent}"))
    assert read_manifest(run)["status"] == "succeeded"
    assert "sends what is left" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_warning(
    runs: Path, capsys: pytest.CaptureFixture
) -> None:
    runs.mkdir()
    (runs / ".tracking").write_text("not a folder")
    run = finished(config())
    assert read_manifest(run)["status"] == "succeeded"
    assert run.name in capsys.readouterr().err


def test_what_a_store_refuses_is_told_and_tried_again_on_request(
    embedded: Path, capsys: pytest.CaptureFixture
) -> None:
    client = store.connect(settings())
    number = store.experiment(client, settings())
    client.delete_experiment(number)
    run = finished(config())
    assert main([]) == 1 and "was deleted" in capsys.readouterr().out
    assert main([]) == 0 and "nothing waits" in capsys.readouterr().out
    client.restore_experiment(number)
    assert main(["retry"]) == 0
    assert note(run)["stores"]["embedded"]["state"] == "sent"
    assert main(["status"]) == 0 and "1 sent, 0 refused, 0 waits" in capsys.readouterr().out


def test_a_model_is_loaded_by_mlflow_with_its_signature(embedded: Path) -> None:
    import mlflow
    import pandas as pd

    finished(config())
    sender.send_waiting(quiet)
    (sent,) = found()
    model = mlflow.pyfunc.load_model(f"runs:/{sent.info.run_id}/model")
    assert model.metadata.signature.inputs.input_names() == ["price", "device"]
    frame = pd.DataFrame({"price": [1.0, float("nan")], "device": ["phone", None]})
    assert model.predict(frame).tolist() == [0.25, 0.25]
    with pytest.raises(Exception, match="device"):
        model.predict(frame[["price"]])


def test_a_run_comes_back_from_the_store(embedded: Path) -> None:
    run = finished(config())
    sender.send_waiting(quiet)
    model = (run / "model" / "model.json").read_bytes()
    shutil.rmtree(run)
    assert main(["fetch", run.name, "--set", "tracking=mlflow"]) == 0
    assert read_manifest(run)["id"] == run.name
    assert (run / "model" / "model.json").read_bytes() == model
    assert sender.send_waiting(quiet) == (1, 0, 0) and len(found()) == 1


def test_runs_of_before_are_sent_by_name(embedded: Path) -> None:
    run = finished(load_config([*SHOP, "tracking=none"]))
    assert sender.send_waiting(quiet) == (0, 0, 0)
    assert main(["send", run.name, "--set", "tracking=mlflow"]) == 0
    assert [each.info.run_name for each in found()] == [run.name]


def test_long_values_are_cut_with_a_note_and_odd_names_stay_apart() -> None:
    long = content.cut("x" * 9000, content.PARAMETER)
    assert len(long) <= content.PARAMETER and long.endswith("(cut: 9000 characters)")
    names = content.valid_names(["a/b", "a?b", "a_b", "n" * 300, "n" * 301, ".."])
    assert len(set(names.values())) == 6
    assert all(len(name) <= content.NAME for name in names.values())


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(UserError, match="MLFLOW_TRACKING_PASSWORD"):
        config("tracking.uri='https://me:secret@mlflow.example'")


@pytest.mark.slow
@pytest.mark.usefixtures("senders")
def test_a_killed_server_loses_no_run_of_a_sweep(runs: Path, tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv") or ".tools/bin/uv"
    if not Path(uv).is_file():
        pytest.skip("uv is needed to start a server")
    pytest.importorskip("mlflow", reason='the group "mlflow" is not installed')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = _serve(uv, tmp_path, port)
    if server is None:
        pytest.skip("MLflow's server cannot be fetched or started here")
    address = f"http://127.0.0.1:{port}"
    chosen = [f"tracking.uri={address}", "tracking.timeout=20"]
    overrides = [*SHOP, "tracking=mlflow", *chosen, "seed=1,2,3,4"]
    command = [sys.executable, "-m", f"{PACKAGE}.train", "-m", *overrides]
    sweep = subprocess.Popen(command, cwd=PROJECT_ROOT)
    try:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            if any(note(each) for each in runs.glob("*-train-*") if "stores" in note(each)):
                break
            time.sleep(0.05)
        os.killpg(server.pid, signal.SIGKILL)
        assert sweep.wait(300) == 0
        trained = sorted(each.name for each in runs.glob("*-train-*"))
        assert len(trained) == 4
        server = _serve(uv, tmp_path, port)
        assert server is not None
        assert main(["send"]) == 0
        kinds = [each.data.tags.get("run.kind") for each in found(settings(*chosen))]
        assert sorted(map(str, kinds)) == ["sweep", "train", "train", "train", "train"]
        whole = [e.info.run_name for e in found(settings(*chosen)) if content.WHOLE in e.data.tags]
        assert sorted(whole) == trained
    finally:
        sweep.kill()
        if server is not None:
            os.killpg(server.pid, signal.SIGKILL)


def _serve(uv: str, folder: Path, port: int) -> subprocess.Popen | None:
    """A server of MLflow's in an environment of its own; None when it does not come up."""
    from importlib.metadata import version
    from urllib.request import urlopen

    command = [uv, "run", "--no-project", "--python", sys.executable]
    command += ["--with", f"mlflow=={version('mlflow-skinny')}", "mlflow", "server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    environment = {key: each for key, each in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, start_new_session=True, stderr=-3, stdout=-3
    )
    for _ in range(600):
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return server
        except OSError:
            time.sleep(0.5)
        if server.poll() is not None:
            return None
    os.killpg(server.pid, signal.SIGKILL)
    return None
