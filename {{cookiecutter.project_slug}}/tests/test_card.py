"""Model cards: what they say follows from the run, and no name or text breaks the page."""

from __future__ import annotations

import datetime
import math
import re
import shlex
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data.contracts.contract import (
    ColumnRule,
    Contract,
    RowRule,
)
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.evaluation import plots
from {{cookiecutter.package_name}}.evaluation.card import (
    Card,
    Judged,
    describe,
    limits,
    write_card,
)
from {{cookiecutter.package_name}}.evaluation.card.content import (
    Picture,
    Reproduction,
    Table,
)
from {{cookiecutter.package_name}}.evaluation.card.markdown import escape, to_markdown
from {{cookiecutter.package_name}}.evaluation.card.page import to_html
from {{cookiecutter.package_name}}.evaluation.comparison import Difference
from {{cookiecutter.package_name}}.evaluation.evaluate import evaluate
from {{cookiecutter.package_name}}.evaluation.explain import explain
from {{cookiecutter.package_name}}.evaluation.ledger import Looks
from {{cookiecutter.package_name}}.training.models import fit_model
from {{cookiecutter.package_name}}.training.splits import split

NASTY = [
    "<script>alert(1)</script>", "a|b", "`code`", "*bold*", "_x_", "[a](http://b.c)", "![x](y.png)",
    "# head", "- item", "1. one", "> quote", "---", "&amp;", "\\|", "a\\", "$x$", "~~no~~", '"\'',
    "line\nbreak", "a\r\n\n# b", "\u202eevil", "\ud800", "\x00", "```", "</td></table>", "| --- |",
    "<!--", "+ x", "=", "\t", "${title}", "$body", "*", "\u2028", "x" * 3000,
]  # fmt: skip


class Skeleton(HTMLParser):
    """The elements of a page in order, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(page.partition("<main")[2])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *sorted(name for name, _ in attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def card(text: str) -> Card:
    """A card that says ``text`` wherever a text of the user's may stand."""
    cells = Table([text, "a"], [[text, "1"], ["b", text]], frozenset({1}), text)
    facts = {text: text}
    given = {
        "title": text, "made": text, "intended_use": "", "curves": [], "ranked": [],
        "dependence": [], "reproduce": Reproduction(["replay"], ["command"], facts),
    }  # fmt: skip
    kinds = {"Table": cells, "list[str]": [text, "second"], "Facts": facts}
    return Card(
        **{f.name: given[f.name] if f.name in given else kinds[str(f.type)] for f in fields(Card)}
    )


def shown(text: str) -> str:
    """``text`` as a page must show it, up to white space and what is invisible."""
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("text", NASTY)
def test_no_text_of_the_data_changes_the_page(text: str):
    check(text)


@given(st.text(st.sampled_from("<>|`*_[]()!#-+=&~$\\\n\t\"'.:/ab1 \u202e\ud800é"), max_size=40))
@settings(deadline=None, max_examples=150)
def test_no_text_at_all_changes_the_page(text: str):
    check(text)


def check(text: str) -> None:
    plain = Skeleton(to_html(to_markdown(card("plain")), "plain", Path()))
    page = to_html(to_markdown(card(f"x{text}x")), text, Path())
    page.encode()  # no half of a pair of surrogates is left, which no file can hold
    found = Skeleton(page)
    assert found.tags == plain.tags
    bare = Skeleton(to_html(to_markdown(card(text or "-")), text, Path()))
    if shown(text):  # the same where nothing protects its first and last character
        assert [tag for tag in bare.tags if tag[0] != "p"] == [t for t in plain.tags if t[0] != "p"]
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u202e\ud800]", "�", shown(f"x{text}x"))
    if len(text) < 100 and "�" not in visible:
        assert found.text.count(visible) > 20


def test_what_turns_or_hides_the_writing_is_seen():
    assert escape("evil\u202etxt.exe\u200b") == "evil�txt.exe�"
    assert escape("passenger_class") == "passenger_class"
    assert escape("-0.5") == "-0.5" and escape("1.5") == "1.5"
    assert escape("- x") == "\\- x" and escape("1. x") == "1\\. x" and escape("#") == "\\#"


def test_a_fence_holds_whatever_the_command_is():
    odd = replace(card("plain"), reproduce=Reproduction(["a"], ["echo '```\n# not a heading'"], {}))
    page = to_html(to_markdown(odd), "", Path())
    assert "# not a heading" in page and "<h1>not" not in page


@pytest.fixture
def judged(write_csv, tmp_path: Path) -> Judged:
    random = np.random.default_rng(1)
    values = random.normal(size=(400, 2)).round(3)
    target = ["yes" if a + random.normal() > 0 else "no" for a in values[:, 0]]
    lines = [
        f"{a},{b if i % 2 else ''},{'secret-' + str(i % 7)},{y}"
        for i, ((a, b), y) in enumerate(zip(values, target, strict=True))
    ]
    config = load_config([*write_csv("a,b,city,y", lines, "y"), "model=linear", "seed=3"])
    schema = Schema(
        "binary",
        "y",
        {"a": "numeric", "b": "numeric", "city": "categorical"},
        ["no", "yes"],
        ["#row"],
    )
    frame = pd.read_csv(tmp_path / "table.csv")
    frame["y"] = (frame.y == "yes").astype("int64")
    frame["#row"] = range(len(frame))
    examples = Examples(
        frame, schema, {tmp_path / "table.csv": 430}, {"a": "a number"}, ["b: noted"]
    )
    parts = split(examples, config.training.split, 3)
    model = fit_model(config.model, examples, parts, 1, 1)
    found = evaluate(model, "linear", examples, parts, config, "test")
    test = frame.iloc[parts.test]
    explanation = explain(model, test, found.predictions["test"]["linear"], 3)
    plots.save(plots.explained(explanation, schema), tmp_path / "run" / "plots")
    manifest = {
        "id": "20260102-030405-evaluate-ab12",
        "started": "2026-01-02T03:04:05.000+00:00",
        "command": ["python", "-m", "p.evaluate", "data.path=a b.csv"],
        "git": {"commit": "c0ffee", "dirty": True, "patch": "source.patch"},
        "environment": {
            "implementation": "CPython", "python": "3.12.1", "os": "Linux", "cpu": "a CPU",
            "cpu_count": 2, "lock_sha256": "abc", "blas": [],
        },
        "config": config.to_dict(),
    }  # fmt: skip
    return Judged(
        manifest=manifest,
        trained={**manifest, "id": "20260101-000000-train-cd34", "metrics": {}},
        name="linear",
        fingerprint="0123456789ab",
        config=config,
        examples=examples,
        split=parts,
        evaluation=found,
        explanation=explanation,
        pictures=[f"plots/{path.name}" for path in sorted((tmp_path / "run" / "plots").iterdir())],
        contract=Contract(
            "table",
            {
                "a": ColumnRule("number", False, -4, 4),
                "city": ColumnRule("text", values=["secret-1"]),
            },
            rules=[RowRule("sane", "a < 9")],
        ),
        span=(datetime.date(2024, 5, 6), datetime.date(2025, 3, 4)),
        looks=Looks(4, 2),
    )


def test_a_card_says_what_the_run_found(judged: Judged, tmp_path: Path):
    page = write_card(describe(judged), tmp_path / "run")
    text = (tmp_path / "run" / "card.md").read_text()
    for section in (
        "Model details", "Intended use", "Metrics", "Quantitative analyses", "Explanation",
        "Training and evaluation data", "Caveats and recommendations", "How to reproduce",
    ):  # fmt: skip
        assert f"\n## {section}\n" in text
    scores = judged.evaluation.scores["test"]
    assert f"| ROC AUC | {scores['linear']['roc_auc']:.4f} |" in text
    assert "Better than the popularity baseline" in text and "goes by a most of all" in text
    assert "400 of 430 read" in text and "2024-05-06 to 2025-03-04" in text and "- b: noted" in text
    assert "| a | number | have a value, be -4 to 4 |" in text and "Rule sane: a \\< 9." in text
    assert "looked at 4 times" in text
    html = page.read_text()
    assert html.count("data:image/png;base64,") == len(judged.pictures) > 1
    assert "ROC AUC" in html and 'class="number"' in html


def test_the_page_needs_nothing_else(judged: Judged, tmp_path: Path):
    html = write_card(describe(judged), tmp_path / "run").read_text()
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html) and "url(" not in html
    assert "@import" not in html and "<script" not in html and "prefers-color-scheme: dark" in html


def test_features_of_single_rows_are_shown_only_when_asked_for(judged: Judged):
    def errors(examples: str) -> str:
        return repr(describe(judged, examples).errors.rows)

    assert "secret" not in errors("keys") and "secret" in errors("features")
    assert describe(judged, "keys").errors.columns[0] == "row"
    assert describe(judged, "none").errors.rows == []


def test_how_to_reproduce_can_be_pasted_into_a_shell(judged: Judged):
    how = describe(judged).reproduce
    assert how.replay[0].endswith(".runs replay 20260101-000000-train-cd34")
    assert how.commands[0] == "git checkout c0ffee"
    assert shlex.split(how.commands[-1]) == judged.manifest["command"]
    assert how.facts["Lock"] == "uv.lock, SHA-256 abc" and how.facts["Seed"] == "3"


def test_what_a_person_wrote_about_its_use_is_part_of_it(
    judged: Judged, monkeypatch, tmp_path: Path
):
    from {{cookiecutter.package_name}}.evaluation.card import build

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "intended-use.md").write_text("For the **night shift** only.\n")
    monkeypatch.setattr(build, "PROJECT_ROOT", tmp_path)
    text = to_markdown(describe(judged))
    assert "\n\nFor the **night shift** only.\n\n" in text.partition("## Metrics")[0]


def test_findings_among_slices_are_told(judged: Judged):
    found = pd.DataFrame(
        {
            "slice": ["city = secret-1", "a > 2"], "rows": [40, 50], "metric": [0.5, math.nan],
            "low": [0.4, math.nan], "high": [0.6, math.nan], "true": [0.2, 0.3],
            "predicted": [0.4, 0.3], "finding": ["predicted too high", ""],
        }
    )  # fmt: skip
    told = describe(replace(judged, slices=found))
    assert told.slices.rows[0][-1] == "predicted too high"
    assert told.slices.rows[1][2:4] == ["–", "–"]
    calm = describe(replace(judged, slices=found.assign(finding="")))
    assert "finding" not in calm.slices.columns and "There is none" in calm.slices.note
    assert not any("off where" in line for line in calm.limits)
    assert any("off where city = secret-1" in line for line in told.limits)


def test_limits_are_said_when_they_hold_and_only_then():
    better, none = Difference(0.1, 0.05, 0.15, "better"), Difference(0.1, -0.05, 0.15, "no better")
    worse = Difference(-0.1, -0.15, -0.05, "worse")
    today = datetime.date(2026, 6, 1)
    said = {
        "not shown": limits.of_verdict("roc_auc", none),
        "worse than": limits.of_verdict("roc_auc", worse),
        "999 test rows": limits.of_size(999),
        "within 0.3": limits.of_width("roc_auc", (0.5, 0.8), better),
        "no interval": limits.of_width("roc_auc", None, better),
        "rare (3)": limits.of_classes({"rare": 3, "often": 500}),
        "city = x": limits.of_slices(["city = x"]),
        "a (80%)": limits.of_missing({"a": 0.8, "b": 0.1}),
        "517 days": limits.of_age(datetime.date(2024, 12, 31), today),
        "no time": limits.of_age(None, today, False),
        "does not go by": limits.of_split(False, True),
        "7 times": limits.of_looks(7),
        "100 of 200": limits.of_set_aside(200, 100),
        "no commit": limits.of_code(False, False),
        "not committed": limits.of_code(True, True),
    }
    for words, lines in said.items():
        assert len(lines) == 1 and words in lines[0]
    silent = [
        limits.of_verdict("roc_auc", better), limits.of_size(1000), limits.of_classes({"a": 50}),
        limits.of_width("roc_auc", (0.70, 0.75), better), limits.of_missing({"a": 0.3}),
        limits.of_age(datetime.date(2026, 5, 1), today), limits.of_split(True, True),
        limits.of_looks(None), limits.of_looks(1), limits.of_set_aside(100, 99),
        limits.of_code(False, True), limits.of_age(None, today), limits.of_slices([]),
    ]  # fmt: skip
    assert not any(silent)


def test_pictures_go_into_the_page(tmp_path: Path):
    (tmp_path / "plots").mkdir()
    for name in ("one", "two"):
        (tmp_path / "plots" / f"{name}.png").write_bytes(name.encode())
    curves = [Picture(f"plots/{name}.png", "<b>|x") for name in ("one", "two")]
    page = to_html(to_markdown(replace(card("plain"), curves=curves)), "", tmp_path)
    assert page.count("<figure>") == 1 and page.count("<img ") == 2 and "<b>" not in page
    assert "base64,b25l" in page and 'alt="&lt;b&gt;|x"' in page


def test_a_name_in_a_figure_is_no_formula(tmp_path: Path) -> None:
    name = r"a $\frac$ b"
    target, predicted = np.array([0.0, 1.0]), np.array([0.2, 0.7])
    charts = {
        "bars": plots.bars({name: 1.0}, name, name),
        "roc": plots.roc(target, {name: predicted}),
        "target": plots.target_by({name: pd.Series([0.5], [name])}, name, 0.5),
    }
    plots.save(charts, tmp_path)
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == ["bars", "roc", "target"]
