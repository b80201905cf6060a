"""The rules of the answers and the ways files quote them, as plain functions."""

import ast
import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import scalable_ml_answers as answers

# Answer, value, and a part of the reason.
REFUSED = [
    ("project_name", "", "nothing that can be seen"),
    ("project_name", " \t\n", "nothing that can be seen"),
    ("project_name", "\u200b", "nothing that can be seen"),
    ("project_name", "a\x00b", "control character"),
    ("project_name", "a\x1b[31mb", "control character"),
    ("project_name", "a\ud800b", "half of a character"),
    ("project_name", "x" * 121, "120 are the most"),
    ("project_slug", "", "empty"),
    ("project_slug", ".", "holds '.'"),
    ("project_slug", "..", "holds '.'"),
    ("project_slug", "../escaped", "holds '.'"),
    ("project_slug", "/absolute", "holds '/'"),
    ("project_slug", "a/b", "holds '/'"),
    ("project_slug", "a\\b", "holds '\\\\'"),
    ("project_slug", "C:", "holds ':'"),
    ("project_slug", "two words", "holds ' '"),
    ("project_slug", "ranker\n", "holds '\\n'"),
    ("project_slug", "rank\x00er", "holds '\\x00'"),
    ("project_slug", "übung", "holds '\\xfc'"),
    ("project_slug", "x٣", "holds '\\u0663'"),
    ("project_slug", "$(touch x)", "holds '$'"),
    ("project_slug", "a';import os", "holds"),
    ("project_slug", "{{ 7*7 }}", "holds '{'"),
    ("project_slug", "1st", "start with a letter"),
    ("project_slug", "-rf", "start with a letter"),
    ("project_slug", "ranker-", "end in a letter"),
    ("project_slug", "x" * 61, "60 are the most"),
    ("project_slug", "CON", "Windows"),
    ("project_slug", "lpt1", "Windows"),
    ("project_slug", "numpy", "library"),
    ("project_slug", "Scikit_Learn", "library"),
    ("project_slug", "hydra-core", "library"),
    ("project_slug", "json", "standard library"),
    ("project_slug", "no", "word of Python or YAML"),
    ("package_name", "", "empty"),
    ("package_name", "shop-ranker", "holds '-'"),
    ("package_name", "ShopRanker", "holds 'S'"),
    ("package_name", "shop.ranker", "holds '.'"),
    ("package_name", "../shop", "holds '.'"),
    ("package_name", "shop\n", "holds '\\n'"),
    ("package_name", "1shop", "start with a letter"),
    ("package_name", "_shop", "start with a letter"),
    ("package_name", "shop_", "end in a letter"),
    ("package_name", "x" * 41, "40 are the most"),
    ("package_name", "class", "word of Python"),
    ("package_name", "match", "word of Python"),
    ("package_name", "null", "word of Python or YAML"),
    ("package_name", "json", "standard library"),
    ("package_name", "imp", "standard library"),
    ("package_name", "sklearn", "library that the project uses"),
    ("package_name", "ipython", "library that the project uses"),
    ("package_name", "gates", "folder or file"),
    ("package_name", "conftest", "folder or file"),
    ("package_name", "nul", "Windows"),
    ("description", "a\x00b", "control character"),
    ("description", "\udfff", "half of a character"),
    ("description", "x" * 501, "500 are the most"),
    ("author_name", "", "nothing that can be seen"),
    ("author_name", "a\x07", "control character"),
    ("author_name", "\ud83d", "half of a character"),
    ("author_email", "ada", "e-mail address"),
    ("author_email", "ada@", "e-mail address"),
    ("author_email", "ada@example.com\n", "e-mail address"),
    ("author_email", "ada@example.com, b@example.com", "e-mail address"),
    ("author_email", "Ada <ada@example.com>", "e-mail address"),
    ("author_email", "ada@" + "x" * 251, "254 are the most"),
    ("license", "GPL-3.0", "none of MIT"),
    ("python_version", "3.10", "none of 3.11"),
    ("stage", "production", "none of lab"),
]

ACCEPTED = [
    ("project_name", "🎉"),
    ("project_name", 'A "B" \\ c: {{ 7*7 }}\n- no'),
    ("project_name", "x" * 120),
    ("project_slug", "a"),
    ("project_slug", "Shop_Ranker-2"),
    ("project_slug", "x" * 60),
    ("package_name", "a"),
    ("package_name", "shop_ranker_2"),
    ("package_name", "x" * 40),
    ("description", ""),
    ("description", "no"),
    ("author_name", "Renée O'Connor <3"),
    ("author_email", ""),
    ("author_email", "a.b+c@mail.example.com"),
    ("author_email", "me@localhost"),
    ("license", "Proprietary"),
    ("python_version", "3.13"),
    ("stage", "pipeline"),
]

# Any text, with more than its share of what means something in one of the languages.
texts = st.text(
    st.sampled_from("\\`*_[]()<>{}&#|~$%@!-+=:;.,'\"/ \t\n019aenotu\u2028\ufeff🎉")
    | st.characters(exclude_categories=["Cs"])
)


@pytest.mark.parametrize(("answer", "value", "why"), REFUSED)
def test_refused(answer: str, value: str, why: str) -> None:
    message = answers.refusal(answer, value)
    assert message is not None
    assert message.startswith(f"{answer} cannot be ")
    assert why in message
    suggestion = message.rpartition("This would do: ")[2]
    assert answers.refusal(answer, suggestion) is None
    message.encode("ascii")  # so that any terminal can print it


@pytest.mark.parametrize(("answer", "value"), ACCEPTED)
def test_accepted(answer: str, value: str) -> None:
    assert answers.refusal(answer, value) is None


@pytest.mark.parametrize("value", [None, 7, True, ["MIT"]])
@pytest.mark.parametrize("answer", answers.RULES)
def test_what_a_replay_file_may_hold_instead_of_text_is_refused(answer: str, value: object) -> None:
    assert answers.refusal(answer, value)


def test_a_missing_answer_is_refused() -> None:
    assert len(answers.refusals({})) == len(answers.RULES)


@given(st.text())
def test_every_default_can_be_used(name: str) -> None:
    slug = answers.default_slug(name)
    assert answers.problem_with_slug(slug) is None
    assert answers.problem_with_package(answers.default_package(slug)) is None
    assert answers.problem_with_package(answers.default_package(name)) is None


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("Shop Ranker", "shop-ranker", "shop_ranker"),
        ("Crème brûlée!", "creme-brulee", "creme_brulee"),
        ("🎉", "my-project", "my_project"),
        ("2nd try", "project-2nd-try", "project_2nd_try"),
        ("NumPy", "numpy-project", "numpy_project"),
        ("class", "class-project", "class_project"),
        ("x" * 70, "x" * 60, "x" * 40),
    ],
)
def test_defaults(name: str, slug: str, package: str) -> None:
    assert answers.default_slug(name) == slug
    assert answers.default_package(slug) == package


@given(texts)
def test_quoted_is_the_same_text_in_four_languages(text: str) -> None:
    literal = answers.quoted(text)
    shown = answers.single_line(text)
    assert "\n" not in literal
    assert tomllib.loads(f"key = {literal}") == {"key": shown}
    assert yaml.safe_load(f"key: {literal} # comment") == {"key": shown}
    assert json.loads(literal) == shown
    assert ast.literal_eval(literal) == shown


@pytest.mark.parametrize("text", ["no", "1.0", "a: b", '"', "\\", "\\u0041", "{{ 7*7 }}", "# x"])
def test_quoted_keeps_what_looks_like_something_else(text: str) -> None:
    assert yaml.safe_load(answers.quoted(text)) == text


@given(texts.filter(lambda text: "\x00" not in text))  # which Markdown cannot show
@pytest.mark.parametrize("before", ["", "# ", "Some words: ", "- "])
def test_markdown_shows_exactly_the_text(before: str, text: str) -> None:
    tokens = (
        MarkdownIt("commonmark")
        .enable(["strikethrough", "table"])
        .parse(before + answers.markdown(text))
    )
    inline = [token for token in tokens if token.type == "inline"]
    shown = "".join(child.content for token in inline for child in token.children or [])
    assert shown.strip() == (before.lstrip("#- ") + answers.single_line(text)).strip()
    kinds = {child.type for token in inline for child in token.children or []}
    assert kinds <= {"text"}


@pytest.mark.parametrize(
    "text",
    ["1. one", "2) two", "- a", "+ a", "* a", "# a", "> a", "===", "---", "***", "&amp;", "a|b",
     "[a](b)", "![a](b)", "<b>", "a_b_c", "`a`", "~~a~~", "\\", "C#", "x #", "http://a_b_c.d"],
)  # fmt: skip
def test_markdown_escapes(text: str) -> None:
    shown = "".join(
        child.content
        for token in MarkdownIt("commonmark").enable("strikethrough").parse(answers.markdown(text))
        for child in token.children or []
    )
    assert shown == text


def test_hooks_get_any_answer_as_letters() -> None:
    encoded = answers.as_data({"project_name": "\"); import os #'\n{{ 7*7 }}"})
    assert encoded.replace("+", "").replace("/", "").rstrip("=").isalnum()


def test_spdx() -> None:
    assert answers.spdx("MIT") == "MIT"
    assert answers.spdx("Proprietary") == "LicenseRef-Proprietary"
