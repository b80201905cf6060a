"""NB1: the story that a notebook tells, and the size of its pieces."""

from __future__ import annotations

from ..planting import Change, Fault, Repository, both, cell, nothing, script

CONCLUSIONS = r"(?=# %% \[markdown\]\n# ## Conclusions)"
TAG = r'(?<=# %% tags=\["parameters"\]\n)'
FUNCTION = "def {name}(clicks: int) -> int:\n    '''Adds up.'''\n{body}    return clicks"


def section(heading: str) -> Change:
    """A Markdown cell with one heading before the conclusions."""
    return script(CONCLUSIONS, f"# %% [markdown]\n# {heading}\n\n")


def parameter(line: str) -> Change:
    """A first line in the parameters cell; its name, limit, is used before the conclusions."""
    return both(script(TAG, f"{line}\n"), cell("print(limit)"))


def copied(name: str) -> Change:
    """A copy of the notebook and its script by another name."""

    def change(repository: Repository) -> None:
        for path in (repository.script, repository.notebook):
            copy = (repository.root / path).with_name(name + path.suffix)
            copy.write_bytes((repository.root / path).read_bytes())

    return change


def function(lines: int, name: str = "total") -> Change:
    body = "".join(f"    clicks += {number}\n" for number in range(lines - 2))
    return cell(FUNCTION.format(name=name, body=body))


def lines(number: int, line: str = "print({})") -> Change:
    return cell("\n".join(line.format(each) for each in range(number)))


FAULTS = (
    Fault("NB101", "a copy without a number", copied("clicks_copy"), copied("91_clicks_copy")),
    Fault("NB101", "a name in capitals", copied("92_Clicks"), copied("92_clicks")),
    Fault("NB102", "a second title", section("# Another"), section("### Another")),
    Fault(
        "NB102",
        "a title of the second level",
        script(r"^# # ", "# ## "),
        script(r"^# # ", "# # On "),
        also=frozenset({"NB108"}),
    ),
    Fault("NB103", "no summary", script(r"^# ## Executive summary", "# Few."), nothing),
    Fault("NB103", "no conclusions", script(r"^# ## Conclusions and.*", "# The end."), nothing),
    Fault(
        "NB104",
        "parameters after the analysis",
        section("## Parameters"),
        section("### Parameters"),
    ),
    Fault("NB105", "no tagged cell", script(r' tags=\["parameters"\]', ""), nothing),
    Fault(
        "NB105",
        "two tagged cells",
        cell("limit: int = 5", ' tags=["parameters"]'),
        cell("limit: int = 5", ' tags=["limits"]'),
    ),
    Fault(
        "NB106", "a parameter without a type", parameter("limit = 5"), parameter("limit: int = 5")
    ),
    Fault(
        "NB106",
        "a default that is computed",
        parameter('limit: int = len("abc")'),
        parameter("limit: int = 3"),
    ),
    Fault(
        "NB107",
        "code before the parameters",
        script(r'(?=# %% tags=\["parameters"\])', "# %%\nprint(1)\n\n"),
        script(r'(?=# %% tags=\["parameters"\])', "# %% [markdown]\n# They can be set.\n\n"),
    ),
    Fault("NB108", "a number left out", section("## 9. Later"), section("### 9. Later")),
    Fault("NB108", "a section without a number", section("## Later"), section("### Later")),
    Fault("NB109", "a cell of 51 lines", lines(51), lines(50)),
    Fault("NB109", "comments and blank lines do not count", lines(51), lines(51, "# {}\n\n")),
    Fault("NB110", "a function of 21 lines", function(21), function(20)),
    Fault("NB111", "an empty cell", cell(""), cell("print(1)")),
    Fault(
        "NB112",
        "an import in the analysis",
        cell("import math\n\nprint(math.pi)"),
        cell("def area():\n    import math\n\n    return math.pi"),
    ),
)
