"""Adopting a table: what is written works as it stands, whatever the columns are called."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from {{cookiecutter.package_name}} import adopt as command
from {{cookiecutter.package_name}} import config, features
from {{cookiecutter.package_name}}.config import ReadConfig, TableConfig, load
from {{cookiecutter.package_name}}.data import adoption
from {{cookiecutter.package_name}}.data.adoption import Adoption, adopt, as_yaml, name_of
from {{cookiecutter.package_name}}.data.contracts import read_contract
from {{cookiecutter.package_name}}.errors import UserError

N = 400


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ that may be written to."""
    folder = tmp_path / "conf"
    shutil.copytree(config.CONF, folder)
    monkeypatch.setattr(load, "CONF", folder)
    monkeypatch.setattr(command, "CONF", folder)
    return folder


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.normal(size=N)
    frame = pd.DataFrame(
        {"x": x.round(3), "k": random.integers(0, 50, N), "c": random.choice(list("abcd"), N)}
    )
    return frame.assign(y=(x + random.normal(size=N) > 0).astype(int))


def write(path: Path, frame: pd.DataFrame, **how: object) -> str:
    frame.to_csv(path, index=False, **how)  # type: ignore[call-overload]
    return str(path)


def test_the_next_command_just_works(tmp_path: Path, conf: Path, capsys) -> None:
    frame = table()
    frame["leak"] = frame.y * 2.5
    path = write(tmp_path / "My table.csv", frame)
    assert command.main([path, "--target", "y"]) == 0
    shown = capsys.readouterr().out
    assert "leak" in shown
    assert "data=my_table" in shown
    examples = features.build(load.load_config(["data=my_table"]))
    assert list(examples.schema.features) == ["x", "k", "c"]
    assert examples.schema.task == "binary"
    written = (conf / "data" / "my_table.yaml").read_text()
    assert "- leak  # leak: it alone predicts held-back rows with a score of 1.000" in written
    contract = conf / "contracts" / "my_table.yaml"
    assert read_contract(contract).columns["k"].type == "integer"
    for line in [*written.splitlines(), *contract.read_text().splitlines()]:
        assert line == line.rstrip()  # or the first commit is refused


def test_nothing_is_overwritten_unless_asked(tmp_path: Path, conf: Path, capsys) -> None:
    path = write(tmp_path / "t.csv", table())
    assert command.main([path, "--target", "y"]) == 0
    (conf / "data" / "t.yaml").write_text("mine")
    assert command.main([path, "--target", "y"]) == 1
    assert "--force" in capsys.readouterr().err
    assert (conf / "data" / "t.yaml").read_text() == "mine"
    assert command.main([path, "--target", "y", "--force"]) == 0
    assert 'target: "y"' in (conf / "data" / "t.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "yy"], r"data\.target=yy: no such column .* Did you mean 'y'\?"),
        (["--target", "y", "--time", "kk"], r"data\.time=kk: no such column"),
        (["--target", "y", "--id", "k", "kk"], r"data\.id=kk: no such column"),
        ([], r"--target is needed(.|\n)*--target x +number"),
        (["--target", "y", "--name", "shop"], "an option of the project itself"),
        (["--target", "y", "--name", "a/b"], "letters, digits"),
        (["--target", "y", "--time", "c"], "holds neither dates nor numbers"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing_behind(
    tmp_path: Path, conf: Path, capsys, arguments: list[str], message: str
) -> None:
    before = sorted(conf.rglob("*.yaml"))
    assert command.main([write(tmp_path / "t.csv", table()), *arguments]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(message, error)
    assert sorted(conf.rglob("*.yaml")) == before


def test_paths_inside_the_project_are_relative(
    tmp_path: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "PROJECT_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    done = adopt(TableConfig(path=write(tmp_path / "t.csv", table()), target="y"), "t", conf)
    assert done.config.path == "t.csv"
    assert done.config.contract == "conf/contracts/t.yaml"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/Big data (2).csv.gz", "big_data_2"),
        ("2024.parquet", "t_2024"),
        ("table.csv", "my_table"),
    ],
)
def test_a_table_has_a_name_for_the_command_line(path: str, name: str) -> None:
    assert name_of(path) == name


NAMES = st.one_of(
    st.text(min_size=1),
    st.sampled_from(
        ["no", "null", "1e5", "0x1F", "a: b", "#", "- x", "${x}", "\\${x}", "a\nb", "${"]
    ),
    st.sampled_from(
        ["'", '"', "[a]", "{a}", " a ", "*a", "&a", "!a", "@", "%", "😀", "a.b", "~", "?"]
    ),
).filter(lambda name: (name != "???" and max(name) < "\ud800") or max(name) > "\udfff")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.lists(NAMES, min_size=4, max_size=4, unique=True))
def test_any_name_is_written_so_that_it_is_read_back(done: Adoption, names: list[str]) -> None:
    one, two, three, four = names
    settings = TableConfig(
        path=f"data/{one}.csv", target=two, time=one, id=[three], exclude=[three, four], keep=names
    )
    text = as_yaml(replace(done, config=replace(settings, contract=None)))
    read = OmegaConf.to_object(OmegaConf.merge(TableConfig, OmegaConf.create(text)))
    assert read == settings
    assert yaml.safe_load(text)["kind"] == "table"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Adoption:
    folder = tmp_path_factory.mktemp("adopted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(folder / "data"))
        path = write(folder / "t.csv", table())
        return adopt(TableConfig(path=path, target="y"), "t", folder / "conf")


ODD = 'say "no": [${x}] #1'


def test_odd_names_go_all_the_way(tmp_path: Path, conf: Path) -> None:
    frame = table().rename(columns={"x": ODD, "k": "😀 k", "y": "no"})
    assert command.main([write(tmp_path / "t.csv", frame), "--target", "no", "--id", ODD]) == 0
    loaded = load.load_config(["data=t"])
    assert isinstance(loaded.data, TableConfig)
    assert loaded.data.id == [ODD]
    assert list(features.build(loaded).schema.features) == ["😀 k", "c"]


DATES = pd.date_range("2022-01-01", periods=N, freq="17h")


def _wide() -> pd.DataFrame:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(N, 120)).round(3)).add_prefix("v")
    return frame.assign(y=np.where(frame.v0 + random.normal(size=N) > 0, "up", "down"))


def _dates() -> pd.DataFrame:
    return table().assign(
        iso=DATES.strftime("%Y-%m-%d"),
        eu=(DATES - pd.Timedelta(days=9)).strftime("%d/%m/%Y"),
        us=(DATES - pd.Timedelta(days=3)).strftime("%m/%d/%Y"),
        dot=(DATES - pd.Timedelta(days=5)).strftime("%d.%m.%Y %H:%M"),
    )


CASES: dict[str, tuple[pd.DataFrame, dict[str, object], ReadConfig, str, dict[str, str]]] = {
    "no header": (
        table(),
        {"header": False},
        ReadConfig(header=False, columns=["x", "k", "c", "y"]),
        "binary",
        {"x": "number", "k": "integer", "c": "text"},
    ),
    "delimiter": (table(), {"sep": "~"}, ReadConfig(delimiter="~"), "binary", {"x": "number"}),
    "latin-1": (
        table().replace({"c": {"a": "Köln", "b": "Zürich"}}),
        {"encoding": "latin-1"},
        ReadConfig(),
        "binary",
        {"c": "text"},
    ),
    "missing": (
        table()
        .astype(object)
        .mask(np.random.default_rng(2).random((N, 4)) < [0.1, 0.1, 0.1, 0], "?"),
        {},
        ReadConfig(),
        "binary",
        {"x": "number", "k": "integer", "c": "text"},
    ),
    "decimal comma": (
        table(),
        {"sep": ";", "decimal": ","},
        ReadConfig(),
        "binary",
        {"x": "number"},
    ),
    "dates": (
        _dates(),
        {},
        ReadConfig(),
        "binary",
        {"iso": "date", "eu": "date", "us": "date", "dot": "datetime"},
    ),
    "booleans": (
        table().assign(
            b=np.resize(["yes", "no", "no"], N), d=np.resize(["Y", "N", "N", "Y", "Y"], N)
        ),
        {},
        ReadConfig(),
        "binary",
        {"b": "boolean", "d": "boolean"},
    ),
    "wide": (_wide(), {}, ReadConfig(), "binary", {"v7": "number", "y": "text"}),
    "rare class": (
        table().assign(y=np.r_[np.ones(12), np.zeros(N - 12)].astype(int)),
        {},
        ReadConfig(),
        "binary",
        {"y": "integer"},
    ),
    "text target": (
        table().assign(y=np.resize(["low", "mid", "high", "mid"], N)),
        {},
        ReadConfig(),
        "multiclass",
        {"y": "text"},
    ),
    "date target": (
        table().assign(y=DATES.strftime("%d.%m.%Y")),
        {},
        ReadConfig(),
        "regression",
        {"y": "date"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_nobody_has_seen_are_read_right(tmp_path: Path, case: str) -> None:
    frame, how, read, task, types = CASES[case]
    path = write(tmp_path / "t.csv", frame, **how)
    found = adopt(TableConfig(path=path, target="y", read=read), "t", tmp_path / "conf")
    assert found.table.task == task
    assert {name: found.profile[name].type for name in types} == types
    assert len(found.table.frame) == N


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_well_known_tables_have_no_leaks(tmp_path: Path, name: str) -> None:
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    path = write(tmp_path / "t.csv", frame)
    found = adopt(TableConfig(path=path, target="target"), "t", tmp_path / "conf")
    assert [each for each in found.findings if each.exclude] == []
    wanted = {"diabetes": "regression", "breast_cancer": "binary"}
    assert found.table.task == wanted.get(name, "multiclass")


def test_a_table_outside_is_named_by_its_whole_path(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", table())
    assert adopt(TableConfig(path=path, target="y"), "t", tmp_path / "conf").config.path == path


def test_a_column_that_cannot_be_named_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", table())
    with pytest.raises(UserError, match=r"\?\?\? cannot be named"):
        adopt(TableConfig(path=path, target="???"), "t", tmp_path / "conf")
