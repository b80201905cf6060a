"""Reports: a page is one file that fetches nothing, and shows what its reader wants."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.jobs import Summary
from {{cookiecutter.package_name}}.jobs.outcome import (
    FAILED,
    INJECTED,
    INTERRUPTED,
    KILLED,
    SKIPPED,
    SUCCEEDED,
    TIMED_OUT,
    Outcome,
)
from {{cookiecutter.package_name}}.jobs.parameters import Parameter
from {{cookiecutter.package_name}}.jobs.report import write_index, write_page
from {{cookiecutter.package_name}}.jobs.report.clean import VOID, clean
from {{cookiecutter.package_name}}.jobs.report.words import duration, size
from {{cookiecutter.package_name}}.jobs.spec import Job
from {{cookiecutter.package_name}}.jobs.summary import MIME
from {{cookiecutter.package_name}}.runs import Run, open_run

JOB = Job("count", Path("count.ipynb"), (), {}, {}, 60, "technical")
PNG = base64.b64encode(b"not really a picture").decode()
FOUND = Summary(["**5** users, <b>none</b> new"], {"users": 5})


@pytest.fixture
def run(runs: Path) -> Iterator[Run]:
    with open_run("jobs", load_config()) as run:
        yield run


@pytest.fixture
def page(run: Run) -> Callable[..., str]:
    """Write the page of a job and read it."""

    def write(
        *cells: dict[str, Any],
        audience: str = "technical",
        declared: dict[str, Parameter] | None = None,
        **known: Any,
    ) -> str:
        known.setdefault("status", SUCCEEDED)
        outcome = Outcome(replace(JOB, audience=audience, declared=declared or {}), **known)
        write_page(run, outcome, {"cells": list(cells)} if cells else None)
        return (run.path / "count.html").read_text()

    return write


def index(run: Run, *outcomes: Outcome) -> str:
    write_index(run, outcomes)
    return (run.path / "index.html").read_text()


def job(name: str, *needs: str) -> Job:
    return replace(JOB, name=name, needs=needs)


def text(source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source, **more}


def code(source: str, *outputs: dict[str, Any], count: int | None = 1, tag: str = "") -> Any:
    cell = {"cell_type": "code", "source": source, "outputs": list(outputs)}
    return {**cell, "execution_count": count, "metadata": {"tags": [tag] if tag else []}}


def shows(mime: str, data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {mime: data}}


def said(words: str, stream: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": stream, "text": words}


ERROR = {
    "output_type": "error",
    "ename": "KeyError",
    "evalue": "'a'",
    "traceback": ["\x1b[31mTraceback\x1b[0m", "deep inside", "KeyError: 'a'"],
}


# --- nothing is fetched, nothing runs


class Reader(HTMLParser):
    """What a browser would find in a fragment: elements, attributes, and what is left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


LOADING = {"script", "iframe", "frame", "object", "embed", "link", "meta", "base", "html", "body"}


def assert_harmless(html: str) -> None:
    found = Reader(html)
    assert not found.stack
    for tag, attributes in found.elements:
        assert tag not in LOADING
        for name, value in attributes.items():
            assert not name.startswith("on")
            plain = re.sub(r"\s", "", value or "").lower()
            if name in ("href", "xlink:href", "action", "formaction", "src", "data"):
                assert not plain.startswith(("javascript:", "vbscript:"))
            if name in ("src", "srcset", "poster", "background", "data", "srcdoc"):
                assert plain.startswith("data:") or not plain
            if name in ("href", "xlink:href") and tag not in ("a", "area"):
                assert plain.startswith(("data:", "#")) or not plain
            assert not re.search(r"url\((?!['\"]?(data:|#))", plain) or tag == "a"


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("<script>alert(1)</script>", "1 script"),
        ("<SCRIPT src=//evil.example/x></ScRiPt >", "1 script"),
        ("<script>alert(1)", "1 script"),
        ("<iframe src='https://a.example'><b>x</b></iframe>", "1 frame"),
        ("<link rel=stylesheet href=https://a.example/x.css>", "1 style sheet"),
        ("<img src=https://a.example/x.png onerror=alert(1)>", "1 remote picture, 1 script"),
        ("<img src='x.png' srcset='https://a.example/2x.png 2x'>", "2 remote pictures"),
        ("<p style='background: url(https://a.example/x)'>x</p>", "1 remote address"),
        ("<p style='background: u\\72l(https://a.example/x)'>x</p>", "1 remote address"),
        ("<style>@import 'https://a.example/x.css';</style>", "1 remote address"),
        ("<style>p{a:url(//a.example);b:url(//a.example)}</style>", "2 remote addresses"),
        ("<style>p{background:image-set('https://a.example/x' 1x)}</style>", "1 remote address"),
        ("<svg><image href='https://a.example/x'/></svg>", "1 remote picture"),
        ("<svg><use xlink:href='https://a.example/x#y'/></svg>", "1 remote address"),
        ("<svg fill='url(https://a.example/x)'></svg>", "1 remote address"),
        ("<video poster=https://a.example/x src=https://a.example/y></video>", "2 remote pictures"),
        ("<object data='https://a.example'>fallback</object>", "1 embedded object"),
        ("<a href='java&#115;cript:alert(1)'>x</a>", ""),
        ("<a href='java\tscript:alert(1)' ping=https://a.example>x</a>", ""),
        ("<meta http-equiv=refresh content='0;url=https://a.example'>", ""),
        ("<base href=https://a.example>", ""),
        ("<svg><style><img src=x onerror=alert(1)></style></svg>", ""),
        ("<!--><img src=https://a.example>-->", ""),
        ("<b title='</b><script>x</script>'>x</b>", ""),
        ("</div></main></body><b>x", ""),
        ("<b", ""),
        ("<b x='", ""),
    ],
)
def test_an_output_neither_runs_nor_fetches(source: str, note: str) -> None:
    cleaned = clean(f"<p>before</p>{source}")
    assert_harmless(cleaned.html)
    assert "evil" not in cleaned.html
    assert "a.example" not in cleaned.html
    assert set(cleaned.note.split(", ")) == set(note.split(", "))
    assert cleaned.html.startswith("<p>before</p>")


PIECES = [
    "<", ">", "/", "'", '"', "=", " ", "&", "&lt;", "<!--", "-->", "<!", "</", "/>", "x",
    "<b>", "</b>", "<p ", "<td>", "<table>", "</table>", "<tr>", "<svg>", "</svg>", "<style>",
    "</style>", "<script>", "</script>", "<img ", "<a ", "src", "href", "onload", "style",
    "url(", "//a.example", "javascript:", "\\75", "{", "}", "<textarea>", "<title>", "<math>",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_soup_gets_through(source: str) -> None:
    # with text modes that differ between parsers: what is inside them is no markup to some
    html = clean(source).html
    assert_harmless(re.sub(r"</?(style|textarea|title)[^>]*>", "", html))


def test_ordinary_html_is_left_as_it_is() -> None:
    table = '<table border="1"><tr><th>a &amp; b</th></tr><tr><td><b>x</b> &lt; y</td></tr></table>'
    link = '<a href="https://a.example/?a=1&amp;b=2">there</a>'
    picture = f'<img alt="a &quot;b&quot;" src="data:image/png;base64,{PNG}">'
    drawing = '<svg viewbox="0 0 9 9"><path d="M0 0"></path><g fill="url(#a)"></g></svg>'
    for source in (table, link, picture, drawing, "<p>1 &gt; 0</p>", "a\n<br>\nb"):
        cleaned = clean(source)
        assert cleaned.html == source
        assert not cleaned.note


def test_styles_of_an_output_stay_with_it() -> None:
    cleaned = clean("<style>h1 { color: red }</style><h1>x</h1>")
    assert re.search(r"<style>@scope \{\s*h1 \{ color: red \}\s*\}</style>", cleaned.html)
    assert cleaned.coloured  # and on a light ground, also in the dark
    assert not clean("<p>color</p>").coloured


def test_a_page_says_what_it_left_out(page: Callable[..., str]) -> None:
    html = page(
        text('![a map](https://a.example/x.png) <img src="https://a.example/y.png">'),
        code("plot()", shows("text/html", "<script>draw()</script><p>Chart</p>")),
    )
    assert "2 remote pictures" in html
    assert "1 script" in html
    assert '<span class="no-picture">a map</span>' in html
    assert "a.example" not in html
    assert "draw()" not in html


def test_a_page_forbids_fetching_by_policy_too(page: Callable[..., str], run: Run) -> None:
    for html in (page(), index(run, Outcome(JOB))):
        assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:" in html
        assert not re.search(r"<(script|link|iframe)\b|\bsrc=\"(?!data:)|@import", html)


def test_a_picture_cannot_break_out_of_its_address(page: Callable[..., str]) -> None:
    html = page(code("x", shows("image/png", f'{PNG}\n"><script>alert(1)</script>')))
    assert "<script" not in html
    assert f"data:image/png;base64,{PNG}" in html


def test_pictures_travel_inside_the_page(page: Callable[..., str]) -> None:
    html = page(
        text("# Title\n\n![map](attachment:map.png)", attachments={"map.png": {"image/png": PNG}}),
        code("x", shows("image/svg+xml", ["<svg>", "</svg>"])),
    )
    assert f'src="data:image/png;base64,{PNG}"' in html
    assert base64.b64encode(b"<svg></svg>").decode() in html


def test_what_a_job_says_cannot_inject(page: Callable[..., str], run: Run) -> None:
    bad = "<script>alert(1)</script>"
    declared = {"x": Parameter("x", "str", str, bad)}
    outcome = Outcome(
        replace(JOB, declared=declared),
        FAILED,
        cause=bad,
        detail=bad,
        frame=bad,
        why=bad,
        title=bad,
        parameters={"x": bad},
        summary=Summary([bad]),
        outputs={f"{bad}.csv": "ab"},
    )
    write_page(run, outcome, None)
    assert "<script" not in (run.path / "count.html").read_text() + index(run, outcome)


# --- what its reader wants

NOTEBOOK = [
    text("# Count *users*\n\n## Executive summary\n\nWritten by the last cell."),
    code("users: int = 3", tag="parameters"),
    code("users = 5", tag=INJECTED),
    text("## Imports\n\nNothing to see."),
    code("import os", count=3),
    text("## 1. Prepare"),
    code("rows = read()", said("careful\n", "stderr"), count=4),
    text("## 2. Count\n\nEach user once."),
    code("len(rows)", said("5 users\n"), shows("image/png", PNG), count=5),
    text("## 3. Check"),
    code("check(rows)", shows("text/html", "<p>fine</p>"), count=6),
    code("summarise()", shows(MIME, {"headlines": []}), count=7),
]


def test_technical_shows_code_and_what_it_said(page: Callable[..., str]) -> None:
    html = page(*NOTEBOOK, summary=FOUND, seconds=3.21, attempts=2, memory=1234)
    assert "<li><strong>5</strong> users, &lt;b&gt;none&lt;/b&gt; new</li>" in html
    for shown in ("careful", "5 users", 'id="cell-4"', "3.2 s", "2 attempts", "1,234 MiB"):
        assert shown in html
    assert "Written by the last cell" not in html
    assert "users: int" not in html
    assert html.index("Executive summary") < html.index("1. Prepare")


def test_business_hides_code_and_what_only_code_explains(page: Callable[..., str]) -> None:
    html = page(*NOTEBOOK, audience="business", summary=FOUND, memory=1234)
    for shown in ("<strong>5</strong> users", "2. Count", "5 users", PNG, "fine"):
        assert shown in html
    for hidden in ("careful", 'class="code', "rows", "Imports", "1. Prepare", "MiB"):
        assert hidden not in html


def test_a_long_notebook_has_contents(page: Callable[..., str]) -> None:
    cells = [cell for n in range(6) for cell in (text(f"## {n}. Part"), code("x"))]
    html = page(*cells)
    found = re.findall(r'<li><a href="#(section-\d)">\d\. Part', html)
    assert len(found) == 6
    assert all(html.count(f'id="{anchor}"') == 1 for anchor in found)
    assert "Contents" not in page(*cells[:4])
    assert "Contents" not in page(*cells, audience="business")


BROKEN = [
    text("# Count\n\n## 1. Read"),
    code("read()", said("read\n"), count=1),
    text("## 2. Fail"),
    code("fail()", ERROR, count=2),
    text("## 3. Later\n\nNever told."),
    code("later()", count=None),
]
FAILURE: dict[str, Any] = {
    "status": FAILED,
    "cause": "KeyError: 'a', in cell 4 (2. Fail)",
    "detail": "deep inside",
    "frame": "src/x.py, line 4, in read",
}


def test_technical_leads_to_the_cell_that_failed(page: Callable[..., str]) -> None:
    html = page(*BROKEN, **FAILURE)
    assert "KeyError: &#x27;a&#x27;, in cell 4" in html
    assert '<a href="#cell-4">' in html
    assert "deep inside" in html
    assert "src/x.py, line 4" in html
    assert html.index("What follows did not run") < html.index("later")
    assert "deep inside" in page(**FAILURE)  # also when no notebook was left


def test_business_says_that_a_report_is_not_complete(page: Callable[..., str]) -> None:
    html = page(*BROKEN, audience="business", **FAILURE)
    assert "This report is not complete" in html
    assert "KeyError: &#x27;a&#x27;, in cell 4" in html
    assert "The rest of the report did not run" in html
    for hidden in ("deep inside", "src/x.py", "Never told", '<pre class="output error'):
        assert hidden not in html


def test_given_parameters_are_in_sight_and_defaults_folded(page: Callable[..., str]) -> None:
    declared = {
        "users": Parameter("users", "int", int, 3),
        "name": Parameter("name", "str", str, ""),
        "flag": Parameter("flag", "bool", bool, True),
    }
    row = "<tr><th>users</th><td><code>5</code></td></tr>"
    technical = page(declared=declared, parameters={"users": 5})
    sight, folded = technical.split("<details>")
    assert row in sight
    assert "2 at their defaults" in folded
    assert "<code>true</code>" in folded
    business = page(declared=declared, parameters={"users": 5}, audience="business")
    assert row not in business.split("<details")[0]
    assert row in business


def test_numbers_stand_to_the_right_and_text_to_the_left(page: Callable[..., str]) -> None:
    head = "".join(f"<th>{name}</th>" for name in ("", "n", "share", "word", "day", "mixed"))
    rows = (("a", "1,204", "12.1%", "one", "2026-01-05", "3"), ("b", "−3", "NaN", "", "", "x"))
    body = "".join(
        f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    html = clean(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>").html
    for cell in ('th class="number">n', 'td class="number">−3', 'td class="number">NaN'):
        assert f"<{cell}<" in html
    for cell in ("th>word", "td>one", "td>3", "td>x", "th>a", 'td class="date">2026-01-05'):
        assert f"<{cell}<" in html


def test_spans_do_not_shift_columns() -> None:
    html = clean(
        '<table><tr><th colspan="2">both</th><th>n</th></tr>'
        '<tr><td rowspan="2">x</td><td>y</td><td>1</td></tr><tr><td>z</td><td>2</td></tr></table>'
    ).html
    assert re.findall(r'class="number">(\w)<', html) == ["n", "1", "2"]


def test_a_progress_bar_leaves_its_last_line(page: Callable[..., str]) -> None:
    html = page(code("fit()", said(" 10%\r 50%\r100% done\nnext\r\n")))
    assert "100% done\nnext" in html
    assert "50%" not in html


# --- large notebooks


def test_very_long_outputs_are_cut_and_say_so(page: Callable[..., str]) -> None:
    table = f"<table><tr><td>{'</td></tr><tr><td>'.join(['cell'] * 100_000)}</td></tr></table>"
    html = page(
        code("x", said("begin" + "." * 500_000 + "end")), code("y", shows("text/html", table))
    )
    assert len(html) < 600_000
    assert "begin..." in html
    assert "...end" in html
    assert "440 kB of text left out" in html
    assert "The rest is left out" in html
    assert html.count("<table>") == html.count("</table>") == 1


@pytest.mark.parametrize(
    "unit",
    ["<!--", "<a ", '<a b="', "<a b='", "<style>", "<b>", "</b>", "<script>", "<", "&", "url(",
     "<td>", "<table>", "a=", "<p style='url(\"", "<img src=", "\n", "\r", "\x1b[", " "],
)  # fmt: skip
def test_time_grows_with_size_not_with_its_square(unit: str, page: Callable[..., str]) -> None:
    # a square would take minutes for a text of this length, which ends nowhere
    source = unit * (300_000 // len(unit))
    clean(source)
    page(code("x", said(source), shows("text/html", f"<p style='{source}'>{source}")))


# --- the index


def test_the_index_tells_how_the_run_went(run: Run) -> None:
    html = index(
        run,
        Outcome(job("good"), SUCCEEDED, begun=0.5, seconds=10, memory=300,
                why="its notebook changed", summary=FOUND),
        Outcome(job("old"), SUCCEEDED, reused="20260101-000000-jobs-aaaa", why="nothing changed"),
        Outcome(job("late", "good"), FAILED, "KeyError: 'a', in cell 2", "deep inside",
                "src/x.py, line 4, in read", begun=11, seconds=60, attempts=2),
        Outcome(job("after", "late"), SKIPPED, "it needs late"),
    )  # fmt: skip
    for shown in (
        "<h1>2 of 4 jobs succeeded</h1>", "✕ Failed", "1 min 11 s in all", "1 skipped", "1 reused",
        "<strong>5</strong> users", "300 MiB", "2 attempts", "ran because its notebook changed",
        "reused from <code>20260101-000000-jobs-aaaa</code>: nothing changed", "It needs late",
        "deep inside", "src/x.py, line 4, in read",
    ):  # fmt: skip
        assert shown in html
    assert html.index('id="late"') < html.index("The run") < html.index('id="good"')
    assert all(f'href="{name}.html"' in html for name in ("good", "old", "late", "after"))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([SUCCEEDED, SUCCEEDED], "✓ Succeeded"),
        ([SUCCEEDED, FAILED, SKIPPED], "✕ Failed"),
        ([TIMED_OUT], "✕ Failed"),
        ([KILLED], "✕ Failed"),
        ([FAILED, INTERRUPTED, SKIPPED], "! Interrupted"),
        ([SUCCEEDED, SKIPPED], "! Interrupted"),
        ([SUCCEEDED, "running", "waiting"], "• Running"),
    ],
)
def test_a_run_is_as_good_as_its_worst_job(run: Run, statuses: list[str], expected: str) -> None:
    html = index(run, *(Outcome(job(f"j{i}"), status) for i, status in enumerate(statuses)))
    assert expected in html.split("</header>")[0]


def test_an_unchanged_run_says_so(run: Run) -> None:
    html = index(run, Outcome(JOB, SUCCEEDED, reused="20260101-000000-jobs-aaaa"))
    assert "no job had to run" in html
    assert 'class="bar' not in html


def test_the_index_hides_code_from_whom_it_does_not_matter(run: Run) -> None:
    html = index(run, Outcome(replace(JOB, audience="business"), **FAILURE))
    assert "KeyError" in html
    assert "deep inside" not in html
    assert "src/x.py" not in html


def test_bars_stand_where_their_jobs_ran(run: Run) -> None:
    html = index(
        run,
        Outcome(job("a"), SUCCEEDED, begun=0, seconds=5),
        Outcome(job("b"), FAILED, begun=5, seconds=15),
    )
    assert 'class="bar succeeded" style="left:0.000%;width:25.000%"' in html
    assert 'class="bar failed" style="left:25.000%;width:75.000%"' in html


def test_two_hundred_jobs_share_the_rows_that_ran_at_once(run: Run) -> None:
    outcomes = [
        Outcome(job(f"job_{n}"), FAILED if n == 77 else SUCCEEDED, begun=n // 2, seconds=0.9)
        for n in range(200)
    ]
    html = index(run, *outcomes)
    assert html.count('<div class="lane') == 2
    assert html.count('class="bar succeeded"') == 199
    assert html.count("<article") == 1  # the one that failed; the rest is a table
    assert html.count("<tr id=") == 199


def test_the_graph_draws_each_need_that_no_other_implies(run: Run) -> None:
    outcomes = [
        Outcome(job("a"), SUCCEEDED),
        Outcome(job("b", "a"), SUCCEEDED),
        Outcome(job("c", "a", "b"), SUCCEEDED),
    ]
    assert index(run, *outcomes).count('class="arrow"') == 2
    assert "<svg" not in index(run, outcomes[0])
    assert "<svg" not in index(run, *(Outcome(job(f"j{n}", "j0"), SUCCEEDED) for n in range(1, 40)))


def test_declared_outputs_can_be_downloaded(page: Callable[..., str], run: Run) -> None:
    folder = run.path / "count"
    folder.mkdir()
    (folder / "größe & preis.csv").write_bytes(b"x" * 1400)
    html = page(outputs={"größe & preis.csv": "ab" * 32})
    link = 'href="count/gr%C3%B6%C3%9Fe%20%26%20preis.csv" download'
    assert link in html
    assert "größe &amp; preis.csv" in html
    assert "1.4 kB" in html
    assert link in index(run, Outcome(JOB, SUCCEEDED, outputs={"größe & preis.csv": "ab" * 32}))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min"),
        (61.6, "1 min 02 s"),
        (7325, "2 h 02 min"),
    ],
)
def test_durations_read_well(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (999_999, "1.0 MB"), (23_000_000, "23 MB")],
)
def test_sizes_read_well(count: int, expected: str) -> None:
    assert size(count) == expected
