"""NB30: what is out of step between a notebook and its script.

The twins of edits on one side are the same edits on both.
"""

from __future__ import annotations

import json
from typing import Any

from ..planting import Change, Fault, Repository, both, cell, raw, replace, script

CONCLUSIONS = r"^# ## Conclusions and next steps$"
MORE = "# ## Conclusions and next steps\n#\n# There is more to say."
VERSIONS = "#       format_name: percent\n#       format_version: '1.3'\n"


def in_notebook(text: str) -> Change:
    """Text below the heading of the conclusions, in the .ipynb alone."""

    def edit(content: dict[str, Any]) -> None:
        heading = "## Conclusions and next steps"
        for made in content["cells"]:
            old = "".join(made["source"])
            if old.startswith(heading):
                new = old.replace(heading, f"{heading}\n\n{text}", 1)
                made["source"] = new.splitlines(keepends=True)

    return raw(edit)


def code_in_notebook(code: str) -> Change:
    def edit(content: dict[str, Any]) -> None:
        made = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        lines = code.splitlines(keepends=True)
        content["cells"].insert(-1, {**made, "id": "planted", "source": lines})

    return raw(edit)


def without(name: str) -> Change:
    return lambda repository: repository.path(name).unlink()


def anew(repository: Repository) -> None:
    """Remove one half, and let it be made again."""
    repository.path("{notebook}").unlink()
    repository.sync()
    assert json.loads(repository.path("{notebook}").read_text())["cells"]


FAULTS = (
    Fault(
        "NB301",
        "an edit of the script alone",
        replace("{script}", CONCLUSIONS, MORE),
        script(CONCLUSIONS, MORE),
    ),
    Fault(
        "NB301",
        "an edit of the notebook alone",
        in_notebook("There is more to say."),
        script(CONCLUSIONS, MORE),
    ),
    Fault("NB301", "a notebook that is missing", without("{notebook}"), anew),
    Fault(
        "NB302",
        "the same cell edited in both",
        both(
            replace("{script}", CONCLUSIONS, MORE),
            in_notebook("There is nothing more to say."),
        ),
        both(replace("{script}", CONCLUSIONS, MORE), in_notebook("There is more to say.")),
    ),
    Fault(
        "NB303",
        "versions of tools in the header",
        replace("{script}", r"^#       format_name: percent\n", VERSIONS),
        script(CONCLUSIONS, MORE),
    ),
    Fault(
        "NB304",
        "a line that begins another cell in the script",
        code_in_notebook('print("first half")\n# %% second half\nprint("second half")'),
        cell('print("first half")\n# second half\nprint("second half")'),
    ),
)
