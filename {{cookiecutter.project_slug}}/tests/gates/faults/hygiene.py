"""NB3: what does not belong into a committed notebook. Pairing has a module of its own."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from gates.secrets import NB321

from ..planting import Change, Fault, Repository, cell, module, nothing, raw, replace, script

BELOW = r"(?=# %% \[markdown\]\n# ## Conclusions)"
# In two parts, so that no scanner of this repository takes it for a real one.
KEY = "AKIA" + "2E0A8F3B244C9986"
TABLE, UNSET = "conf/data/table.yaml", r"^path: \?\?\?"
TOKEN = "hf_" + "qZpLrXvKdTwBsNfJmHcYgUaEoIbQwErTyU"


def code(content: dict[str, Any]) -> dict[str, Any]:
    """The last code cell."""
    cells: list[dict[str, Any]] = content["cells"]
    return [one for one in cells if one["cell_type"] == "code"][-1]


def without_ids(content: dict[str, Any]) -> None:
    content["nbformat_minor"] = 4
    for one in content["cells"]:
        del one["id"]


def output(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def picture(kilobytes: int) -> str:
    """A link to a picture that holds the picture, of about so many kB."""
    blob = random.Random(1).randbytes(kilobytes * 750)
    return f"![funnel](data:image/png;base64,{base64.b64encode(blob).decode()})"


def markdown(text: str) -> Change:
    return script(BELOW, f"# %% [markdown]\n# {text}\n\n")


def indented(spaces: int) -> Change:
    """The same notebook, as another program would write it."""

    def change(repository: Repository) -> None:
        path = repository.root / repository.notebook
        content = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(content, ensure_ascii=False, indent=spaces, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")

    return change


def cut_off(repository: Repository) -> None:
    path = repository.root / repository.notebook
    path.write_bytes(path.read_bytes()[:200])


FAULTS = (
    Fault("NB300", "a notebook whose save was cut off", cut_off, raw(lambda content: None)),
    Fault(
        "NB311",
        "a printed line is committed",
        raw(lambda content: code(content).update(outputs=[output("21,480 rows\n")])),
        raw(lambda content: code(content).update(outputs=[])),
    ),
    Fault(
        "NB312",
        "an execution count is committed",
        raw(lambda content: code(content).update(execution_count=17)),
        raw(lambda content: code(content).update(execution_count=None)),
    ),
    Fault(
        "NB313",
        "times of a papermill run",
        raw(lambda content: code(content)["metadata"].update(papermill={"duration": 3.2})),
        raw(lambda content: code(content)["metadata"].pop("papermill", None)),
    ),
    Fault(
        "NB313",
        "the kernel of one machine",
        raw(lambda content: content["metadata"]["kernelspec"].update(display_name="tf (conda)")),
        raw(lambda content: content["metadata"]["kernelspec"].update(display_name="Python 3")),
    ),
    Fault(
        "NB314",
        "lines indented otherwise than Jupyter does",
        indented(4),
        indented(1),
    ),
    Fault(
        "NB315",
        "a cell without an id",
        raw(lambda content: code(content).pop("id")),
        nothing,
    ),
    Fault(
        "NB315",
        "two cells with one id",
        raw(lambda content: code(content).update(id=content["cells"][0]["id"])),
        raw(lambda content: code(content).update(id="total-of-clicks")),
    ),
    Fault(
        "NB315",
        "a format without ids",
        raw(without_ids),
        nothing,
    ),
    Fault("NB321", NB321.what, module(NB321.bad), module(NB321.good)),
    Fault(
        "NB321",
        "a password in a cell",
        cell("password = " + '"t4Rq-Zp2LrX9vK"'),
        cell('password = "<your password>"'),
    ),
    Fault(
        "NB321",
        "a cloud key in a text",
        markdown(f"The bucket opens with {KEY}."),
        markdown("The bucket opens with AKIAIOSFODNN7EXAMPLE."),
    ),
    Fault(
        "NB321",
        "a token in an output",
        raw(lambda content: code(content).update(outputs=[output(f"logged in: {TOKEN}")])),
        raw(lambda content: code(content).update(outputs=[])),
        also=frozenset({"NB311"}),
    ),
    Fault(
        "NB321",
        "a token in the metadata",
        raw(lambda content: content["metadata"].update(hub={"login": TOKEN})),
        raw(lambda content: content["metadata"].update(hub={"login": "ada"})),
    ),
    Fault(
        "CF508",
        "a password in conf/",
        replace(TABLE, UNSET, "path: postgresql://shop:" + "t4RqZp2LrX9vK@db.shop.io/clicks"),
        replace(TABLE, UNSET, "path: postgresql://db.shop.io/clicks"),
    ),
    Fault(
        "NB322",
        "a picture inside the text",
        markdown(picture(kilobytes=200)),
        markdown(picture(kilobytes=20)),
    ),
    Fault(
        "NB322",
        "a table written out in the code",
        cell("seen = [" + ", ".join(map(str, range(100_000, 130_000))) + "]\nlen(seen)"),
        cell("seen = [" + ", ".join(map(str, range(100_000, 100_010))) + "]\nlen(seen)"),
    ),
    Fault(
        "NB322",
        "a large output",
        raw(lambda content: code(content).update(outputs=[output("clicks " * 30_000)])),
        raw(lambda content: code(content).update(outputs=[])),
        also=frozenset({"NB311"}),
    ),
)
