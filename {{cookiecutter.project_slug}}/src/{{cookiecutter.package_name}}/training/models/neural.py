"""A neural network for tables: an embedding for each category, then dense layers (PyTorch).

Guo and Berkhahn, "Entity embeddings of categorical variables", 2016; the dense layers are the plain
ones that Gorishniy et al., "Revisiting deep learning models for tabular data", 2021, start from.

PyTorch is needed to learn, on a GPU where there is one. Prediction is a few products of matrices in
NumPy, so that what was saved loads without PyTorch and without a GPU, and predicts the same bits.
"""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...config import NeuralConfig
from ...data.examples import Examples, Schema
from ...errors import UserError
from ...progress import track
from ...runs.files import atomic_path
from .. import rounds
from ..seeds import settle_torch, stream
from ..splits import Split
from .base import Floats, Model
from .encoding import Columns, Rows, Standardiser

_WILD = 10.0  # standard deviations beyond which a number is as far as it can be
_SHUFFLED = 2_000  # validation rows that say how much a feature matters
_Single = NDArray[np.float32]
_Codes = NDArray[np.int64]


class Neural(Model):
    """See :class:`~.base.Model`.

    ``tables`` has an embedding of shape ``(words + 1, size)`` for each category, row 0 for unknown;
    ``layers`` has weights ``(outputs, inputs)`` and a bias for each layer.
    """

    def __init__(
        self,
        schema: Schema,
        columns: Standardiser,
        tables: list[_Single],
        layers: list[tuple[_Single, _Single]],
        facts: dict[str, Any],
    ) -> None:
        self.schema = schema
        self._columns = columns
        self._tables = tables
        self._layers = layers
        self._facts = facts  # middle and scale of a regression's target, history, importance

    @classmethod
    def fit(
        cls,
        examples: Examples,
        split: Split,
        config: NeuralConfig,
        seed: int,
        threads: int,
        device: str,
    ) -> Neural:
        """Fit on the training rows; the validation rows say when to stop.

        The same bytes each time and for any number of ``threads`` on one CPU: PyTorch learns with
        one, because sums of several have other last digits. A GPU gives bits of its own, each time.

        Raises:
            UserError: PyTorch is not installed, or ``device`` is a GPU and there is none.
        """
        device = _device(device)
        settle_torch(seed, "neural")
        schema = examples.schema
        columns = Columns(examples.frame, schema.features)
        target = examples.frame[schema.target].to_numpy(dtype=np.float64)
        standardiser = Standardiser.fit(columns, split.train)
        facts: dict[str, Any] = {"middle": 0.0, "scale": 1.0, "device": device}
        if schema.task == "regression":
            known = target[split.train]
            facts["middle"], facts["scale"] = float(np.mean(known)), float(np.std(known)) or 1.0
        scaled = (target - facts["middle"]) / facts["scale"]
        kind = np.int64 if schema.task == "multiclass" else np.float32
        parts = [
            (*_inputs(standardiser, columns, rows), scaled[rows].astype(kind))
            for rows in (split.train, split.valid)
        ]
        words = [len(each) for each in standardiser.encoder.categories.values()]
        tables, layers, facts["history"] = _learn(
            schema, config, words, parts[0], parts[1], device, stream(seed, "neural rows")
        )
        model = cls(schema, standardiser, tables, layers, facts)
        facts["importance"] = model._importance(parts[1], stream(seed, "neural importance"))
        return model

    def predict(self, frame: pd.DataFrame) -> Floats:
        columns = Columns(frame, self.schema.features)
        scores = [
            self._scores(*_inputs(self._columns, columns, rows)) for rows in columns.batches()
        ]
        found = np.concatenate(scores).astype(np.float64)
        if self.schema.task == "regression":
            return np.asarray(found[:, 0] * self._facts["scale"] + self._facts["middle"])
        if self.schema.task == "binary":
            return np.asarray(0.5 * (1 + np.tanh(found[:, 0] / 2)))
        shifted = np.exp(found - found.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def _scores(self, numbers: _Single, codes: _Codes) -> _Single:
        embedded = (table[code] for table, code in zip(self._tables, codes.T, strict=True))
        values = np.concatenate([numbers, *embedded], axis=1)
        for weight, bias in self._layers[:-1]:
            values = np.maximum(values @ weight.T + bias, 0)
        weight, bias = self._layers[-1]
        return np.asarray(values @ weight.T + bias)

    def _importance(self, valid: tuple[_Single, _Codes, Any], random: Any) -> dict[str, float]:
        """How much worse the validation rows are told when one feature is shuffled.

        Breiman, "Random forests", 2001; shares of the sum.
        """
        numbers, codes = valid[0][:_SHUFFLED], valid[1][:_SHUFFLED]
        target = valid[2][:_SHUFFLED]
        order = random.permutation(len(target))
        whole = self._loss(self._scores(numbers, codes), target)
        worse: dict[str, float] = {}
        number = category = 0
        for name, kind in self.schema.features.items():
            mixed, other = numbers.copy(), codes.copy()
            if kind == "numeric":
                mixed[:, number : number + 2] = mixed[order, number : number + 2]
                number += 2
            else:
                other[:, category] = other[order, category]
                category += 1
            worse[name] = max(0.0, self._loss(self._scores(mixed, other), target) - whole)
        total = sum(worse.values())
        return {name: each / total if total else 1 / len(worse) for name, each in worse.items()}

    def _loss(self, scores: _Single, target: Any) -> float:
        values = scores.astype(np.float64)
        if self.schema.task == "regression":
            return float(np.mean((values[:, 0] - target) ** 2))
        if self.schema.task == "binary":
            return float(np.mean(np.logaddexp(0, values[:, 0]) - values[:, 0] * target))
        own = values[np.arange(len(target)), target]
        return float(np.mean(np.logaddexp.reduce(values, axis=1) - own))

    def save(self, folder: Path) -> None:
        arrays = {f"table {i}": table for i, table in enumerate(self._tables)}
        for i, (weight, bias) in enumerate(self._layers):
            arrays |= {f"weight {i}": weight, f"bias {i}": bias}
        with atomic_path(folder / "weights.npz") as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]  # dates in it are of 1980

    def saved(self) -> dict[str, Any]:
        return {"columns": self._columns.to_dict(), **self._facts}

    @classmethod
    def load(cls, folder: Path, schema: Schema, saved: dict[str, Any]) -> Neural:
        columns = Standardiser.from_dict(saved.pop("columns"))
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            tables = [arrays[f"table {i}"] for i in range(len(columns.encoder.categories))]
            depth = sum(name.startswith("weight") for name in arrays)
            layers = [(arrays[f"weight {i}"], arrays[f"bias {i}"]) for i in range(depth)]
        return cls(schema, columns, tables, layers, saved)

    def importance(self) -> dict[str, float]:
        """Share of what the validation loss rises by when a feature is shuffled."""
        return dict(self._facts["importance"])

    def history(self) -> dict[str, list[float]]:
        return dict(self._facts["history"])


def _device(wanted: str) -> str:
    if find_spec("torch") is None:
        raise UserError(
            'model=neural needs PyTorch, which is not installed: add "neural" to default-groups '
            "in pyproject.toml, then make setup"
        )
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError(
            f"training.device=cuda: PyTorch {torch.__version__} sees no GPU here. "
            "Use training.device=auto or cpu."
        )
    return "cuda" if there and wanted != "cpu" else "cpu"


def _inputs(standardiser: Standardiser, columns: Columns, rows: Rows) -> tuple[_Single, _Codes]:
    """Numbers, each with a flag for missing, and codes of categories, 0 for unknown."""
    encoder = standardiser.encoder
    names = list(standardiser.middle)
    count = columns.count(rows)
    numbers = np.empty((count, 2 * len(names)), dtype=np.float32)
    for i, name in enumerate(names):
        values, missing = standardiser.number(name, columns, rows)
        numbers[:, 2 * i], numbers[:, 2 * i + 1] = np.clip(values, -_WILD, _WILD), missing
    codes = np.empty((count, len(encoder.categories)), dtype=np.int64)
    for i, name in enumerate(encoder.categories):
        codes[:, i] = np.nan_to_num(encoder.column(name, columns, rows), nan=-1) + 1
    return numbers, codes


def _learn(
    schema: Schema,
    config: NeuralConfig,
    words: list[int],
    train: tuple[_Single, _Codes, Any],
    valid: tuple[_Single, _Codes, Any],
    device: str,
    random: np.random.Generator,
) -> tuple[list[_Single], list[tuple[_Single, _Single]], dict[str, list[float]]]:
    """Embeddings, layers and losses of the epoch that was best on the validation rows."""
    import torch
    from torch import nn
    from torch.nn import functional

    # An unknown category stays at the origin: nothing could teach it where no value is missing.
    tables = nn.ModuleList(
        nn.Embedding(count + 1, min(50, (count + 2) // 2), padding_idx=0) for count in words
    )
    wide = train[0].shape[1] + sum(table.embedding_dim for table in tables)
    body: list[Any] = []
    for _ in range(config.layers):
        body += [nn.Linear(wide, config.width), nn.ReLU(), nn.Dropout(config.dropout)]
        wide = config.width
    body.append(nn.Linear(wide, max(1, len(schema.classes)) if schema.task == "multiclass" else 1))
    # Nor could anything teach the flag of a number that is never missing.
    body[0].weight.data[:, : train[0].shape[1]] *= torch.from_numpy((train[0] != 0).any(axis=0))
    dense = nn.Sequential(*body)
    net = nn.ModuleList([tables, dense]).to(device)
    measure = {
        "binary": functional.binary_cross_entropy_with_logits,
        "multiclass": functional.cross_entropy,
        "regression": functional.mse_loss,
    }[schema.task]

    def loss(numbers: Any, codes: Any, target: Any) -> Any:
        embedded = [table(codes[:, i]) for i, table in enumerate(tables)]
        scores = dense(torch.cat([numbers, *embedded], dim=1))
        return measure(scores if schema.task == "multiclass" else scores[:, 0], target)

    def watched() -> float:
        net.eval()
        with torch.no_grad():
            size = 64 * config.batch
            parts = zip(*(each.split(size) for each in held), strict=True)
            total = sum(len(part[0]) * loss(*part).item() for part in parts)
        return total / len(held[0])

    rows = [torch.from_numpy(each).to(device) for each in train]
    held = [torch.from_numpy(each).to(device) for each in valid]
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    history: dict[str, list[float]] = {"train": [], "valid": []}
    best, state = -1, copy.deepcopy(net.state_dict())
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for epoch in track(range(config.epochs), "epochs, at most"):
            net.train()
            total = torch.zeros((), device=device)
            order = torch.from_numpy(random.permutation(len(rows[0]))).to(device)
            for chosen in order.split(config.batch):
                optimizer.zero_grad()
                step = loss(*(each[chosen] for each in rows))
                step.backward()
                optimizer.step()
                total += step.detach() * len(chosen)
            history["train"].append(total.item() / len(order))
            history["valid"].append(watched())
            rounds.report(epoch, history["valid"][-1])
            if best < 0 or history["valid"][epoch] < history["valid"][best]:
                best, state = epoch, copy.deepcopy(net.state_dict())
            elif epoch - best >= config.early_stopping:
                break
    finally:
        torch.set_num_threads(before)
    net.load_state_dict(state)
    net.to("cpu")
    return (
        [table.weight.detach().numpy() for table in tables],
        [(each.weight.detach().numpy(), each.bias.detach().numpy()) for each in body[::3]],
        history,
    )
