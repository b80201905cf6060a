"""PR606, PR607: what DVC runs and holds."""

from __future__ import annotations

from importlib import import_module

from ..planting import Change, Fault, Repository, both, file, replace

TABLE = "kind: table\npath: data/planted.csv\ntarget: bought\n"


def declared(repository: Repository) -> None:
    """dvc.yaml as the package writes it."""
    text = import_module(f"{repository.package.name}.steps.pipeline").text()
    (repository.root / "dvc.yaml").write_text(text, encoding="utf-8")


def table(*more: Change) -> Change:
    """An option of data whose table lies in the project, in a folder that DVC looks after."""
    conf = file("conf/data/planted.yaml", TABLE)
    rows = file("data/planted.csv", "user,bought\n1,0\n2,1\n")
    return both(file(".dvc/config", ""), conf, rows, *more)


FAULTS = (
    Fault(
        "PR606",
        "a step of dvc.yaml without one of its modules",
        both(declared, replace("dvc.yaml", r"^    - src/\w+/steps/train\.py\n", "")),
        declared,
    ),
    Fault(
        "PR607",
        "a table that DVC does not know",
        table(),
        table(file("data/planted.csv.dvc", "outs:\n- path: planted.csv\n")),
        conf=True,
    ),
)
