"""The command: selection, exceptions, baseline, formats, and what it answers to wrong calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.__main__ import main
from gates.core.engine import RULES
from gates.core.formats import FORMATS, mend
from gates.core.rules import Finding

from .planting import Repository, cell, module, raw, replace

CLOCK = cell("from datetime import datetime\n\nstart = datetime.now()")  # NB112 and NB209
FIT = module(
    "from sklearn.preprocessing import StandardScaler\n\n\n"
    "def scale(X_train, X_test):\n"
    "    return StandardScaler().fit_transform(X_train), StandardScaler().fit_transform(X_test)\n"
)


def settings(repository: Repository, lines: str) -> None:
    path = repository.root / "pyproject.toml"
    path.write_text(path.read_text() + lines)


def rules(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main([*arguments, "--format", "json"])
    return [finding["rule"] for finding in json.loads(capsys.readouterr().out)]


def test_a_good_repository_is_green_silent_and_untouched(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [repository.root / repository.notebook, repository.root / repository.script]
    before = [path.read_bytes() for path in paths]
    assert main([]) == main(["--fix"]) == 0
    assert capsys.readouterr().out == ""
    assert [path.read_bytes() for path in paths] == before


def test_a_finding_names_place_rule_reason_and_remedy(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    CLOCK(repository)
    assert main([]) == 1
    said = capsys.readouterr().out
    assert "notebooks/01_clicks.ipynb, cell 7, line 3: NB209 " in said
    for rule in RULES:
        if rule.id in ("NB112", "NB209"):
            assert f"why:  {rule.why}" in said
            assert f"mend: {mend(rule)}" in said
    assert "2 findings in 1 file" in said


def test_the_same_in_many_cells_is_told_once(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(content: dict[str, Any]) -> None:
        for number, made in enumerate(content["cells"]):
            if made["cell_type"] == "code":
                made["execution_count"] = number

    raw(count)(repository)
    assert main([]) == 1
    assert "01_clicks.ipynb, cells 2, 4, 6, 8: NB312" in capsys.readouterr().out
    assert main(["--fix", "--exit-non-zero-on-fix"]) == 1
    said = capsys.readouterr().out
    assert said.endswith("cells 2, 4, 6, 8: mended NB312 the cell holds an execution count\n")
    assert main(["--fix", "--exit-non-zero-on-fix"]) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["NB112", "NB209", "ML401"]),
        (["--select", "NB2,ML401"], ["NB209", "ML401"]),
        (["--ignore", "NB2"], ["NB112", "ML401"]),
        (["--select", "NB", "--ignore", "NB112"], ["NB209"]),
        (["--layout", "any"], ["NB209", "ML401"]),
        (["notebooks"], ["NB112", "NB209"]),
        (["notebooks/01_clicks.py"], ["NB112", "NB209"]),
        (["src"], ["ML401"]),
    ],
)
def test_what_is_looked_for_and_where(
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: list[str],
) -> None:
    CLOCK(repository)
    FIT(repository)
    assert rules(capsys, *arguments) == expected


def test_settings_and_the_command_line_say_the_same(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    CLOCK(repository)
    settings(repository, 'ignore = ["NB112"]\n')
    assert rules(capsys) == ["NB209"]


def test_a_path_may_be_excepted(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    CLOCK(repository)
    settings(repository, '[tool.gates.per-path]\n"notebooks/01_*" = ["NB1"]\n')
    assert rules(capsys) == ["NB209"]


@pytest.mark.parametrize(
    "code",
    [
        "start = datetime.now()  # gates: allow NB209 - the report shows its day",
        "# gates: allow NB209 - the report shows its day\nstart = datetime.now()",
        "start = datetime.now()  # gates: allow NB202, NB209: the report shows its day",
    ],
)
def test_a_line_may_be_excepted_with_a_reason(
    repository: Repository, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    replace("{script}", "import math", "import math\nfrom datetime import datetime")(repository)
    cell(code)(repository)
    assert rules(capsys) == []


def test_an_exception_holds_for_its_own_line(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    replace("{script}", "import math", "import math\nfrom datetime import datetime")(repository)
    cell(
        "start = datetime.now()  # gates: allow NB209 - the report shows its day\n"
        "end = datetime.now()"
    )(repository)
    assert rules(capsys) == ["NB209"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('selekt = ["NB2"]\n', "did you mean 'select'?"),
        ('ignore = "NB2"\n', "not of the right type"),
        ('ignore = ["NB999"]\n', "no rule or family is called 'NB999'"),
        ("cell-lines = [\n", "pyproject.toml"),
    ],
)
def test_wrong_settings_are_named(
    repository: Repository, capsys: pytest.CaptureFixture[str], lines: str, said: str
) -> None:
    settings(repository, lines)
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--select", "NB2O1"], "did you mean 'NB"),
        (["notebooks/02_none.ipynb"], "there is no file or folder"),
        (["explain", "LM402"], "did you mean 'ML402'?"),
    ],
)
def test_wrong_calls_are_answered(
    repository: Repository, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_adopted_findings_are_known_and_new_ones_fail(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    CLOCK(repository)
    assert main(["adopt"]) == 0
    assert main([]) == 0
    assert main(["--no-baseline"]) == 1
    replace("{script}", "# # Clicks", "# # Many clicks")(repository)  # places may move
    repository.sync()
    assert main([]) == 0
    FIT(repository)
    cell("end = datetime.now()")(repository)  # one more of a known kind
    capsys.readouterr()
    assert rules(capsys) == ["NB209", "ML401"]


def findings(repository: Repository, capsys: pytest.CaptureFixture[str], form: str) -> str:
    CLOCK(repository)
    FIT(repository)
    assert main(["--select", "NB209,ML401", "--format", form]) == 1
    return capsys.readouterr().out


def test_github_shows_findings_beside_the_line(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook, module_ = findings(repository, capsys, "github").splitlines()
    number = int(notebook.split("line=")[1].split(",")[0])
    lines = (repository.root / repository.notebook).read_text().splitlines()
    assert "datetime.now()" in lines[number - 1]
    assert notebook.startswith("::error file=notebooks/01_clicks.ipynb,line=")
    assert module_.startswith(f"::error file={repository.package}/planted.py,line=5,title=ML401::")


def test_sarif_names_rules_and_lines(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    log: dict[str, Any] = json.loads(findings(repository, capsys, "sarif"))
    assert log["version"] == "2.1.0"
    run = log["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["ML401", "NB209"]
    where = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert where[1]["region"]["startLine"] == 5
    assert where[1]["artifactLocation"]["uri"] == f"{repository.package}/planted.py"


def test_text_on_one_line_for_a_broken_workflow_command(repository: Repository) -> None:
    rule = RULES[0]
    text = FORMATS["github"]([Finding(rule, Path("a,b.py"), "100%\nwrong")])
    assert text.count("\n") == 1
    assert "file=a%2Cb.py" in text
    assert "100%25%0Awrong" in text


def test_the_command_that_a_refusal_names_resolves_it(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    replace("{script}", "## 1. Count", "## 1. Count all")(repository)
    replace("{notebook}", "## 1. Count", "## 1. Count some")(repository)
    assert main(["--fix"]) == 1
    assert "-m gates pairs --from py FILE" in capsys.readouterr().out
    assert main(["pairs", "--from", "ipynb", "notebooks/01_clicks.py"]) == 0
    assert main([]) == 0
    assert "## 1. Count some" in (repository.root / repository.script).read_text()


def test_a_part_cannot_be_adopted(repository: Repository) -> None:
    """It would make all else that is known fail again."""
    with pytest.raises(SystemExit) as stop:
        main(["adopt", "notebooks"])
    assert stop.value.code == 2


@pytest.mark.parametrize("rule", ["NB300", "EX701"])
def test_also_what_every_gate_reports_may_be_ignored(
    repository: Repository, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    cell("total = count  # gates: allow NB205")(repository)
    (repository.root / "notebooks" / "02_old.ipynb").write_text("{")
    assert rule in rules(capsys, "--select", "ML4")
    assert rule not in rules(capsys, "--select", "ML4", "--ignore", rule)
    settings(repository, f'[tool.gates.per-path]\n"notebooks/*" = ["{rule}"]\n')
    assert rule not in rules(capsys)


def test_rules_have_ids_of_their_own() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
