"""The shop's features as somebody writes them for one machine and one library: what
`benchmarks/scale.py` sets ours beside. Each reads `shop/`, a simulated shop, writes `target`, and
gives the same rows and columns in the same order as ours."""

from __future__ import annotations

from pathlib import Path

SQL = Path(__file__).with_name("features_by_hand.sql").read_text()

DUCKDB = """\
import sys
import duckdb
shop, target, start, threads, text = sys.argv[1:6]
past = target.replace(".parquet", "-history.parquet")
history, features = text.format(
    start=start, items=f"{shop}/items.parquet", users=f"{shop}/users/*.parquet",
    impressions=f"{shop}/impressions/*.parquet", all_impressions=f"{shop}/impressions/*.parquet",
    history=past).split("\\n;")[:2]
# Joins in the order in which they are written, as in ours.
duckdb.execute(f"set threads = {threads}; set disabled_optimizers = 'join_order'")
duckdb.execute(f"copy ({history}) to '{past}' (format parquet)")
as_ours = "format parquet, compression zstd, compression_level 1"
duckdb.execute(f"copy ({features}) to '{target}' ({as_ours})")
"""

POLARS = """\
import os, sys
shop, target, start, threads = sys.argv[1:5]
os.environ["POLARS_MAX_THREADS"] = threads
import polars as pl
c = pl.col
price = c("list_price_cents")
items = pl.scan_parquet(f"{shop}/items.parquet").with_columns(
    total=price.sum().over("category"), n=pl.len().over("category"),
).select("item", "category", price, category_price=c("total") / c("n"),
    ratio=(2000 * price * c("n").cast(pl.Int64) + c("total")) // (2 * c("total")))
shown = pl.scan_parquet(f"{shop}/impressions/*.parquet").with_columns(
    day=(c("time") - int(start)) // 86400).join(items, on="item")

def past(keys, order, **sums):
    by = shown.group_by(*keys, order).agg(**sums).sort(*keys, order)
    return by.with_columns(
        (c(name).cum_sum().over(keys) - c(name)).alias(name) for name in sums)

counts = {"shown": pl.len().cast(pl.Int64), "clicks": c("click").sum()}
def named(of, **more):
    return {f"{of}_{name}": value for name, value in counts.items()} | more
item = past(["item"], "day", **named("item"))
user = past(["user"], "time", **named("user", ratios=(c("ratio") * c("click")).sum()))
user = user.with_columns(user_last=c("time").shift(1).over("user"))
taste = past(["user", "category"], "time", **named("taste"))

def rate(of):
    return (c(f"{of}_clicks") + 1) / (c(f"{of}_shown") + 12)
f = pl.Float64
(
    shown.join(pl.scan_parquet(f"{shop}/users/*.parquet"), on="user")
    .join(item, on=["item", "day"])
    .join(user, on=["user", "time"])
    .join(taste, on=["user", "category", "time"])
    .select(
        "user", "visit", "position", (c("user") * 65536 + c("visit")).alias("slate"),
        "day", "item", "click",
        price=c("price_cents").cast(f), discount=1 - c("price_cents") / price,
        relative_price=price / c("category_price"),
        hour=((c("time") % 86400) // 3600).cast(f), weekday=((c("time") // 86400 + 3) % 7).cast(f),
        device="device", segment="segment", category="category",
        tenure_days=(c("day") - c("joined_day")).cast(f),
        user_shown=c("user_shown").cast(f), user_rate=rate("user"),
        user_price_ratio=pl.when(c("user_clicks") > 0)
            .then(c("ratios") / c("user_clicks") / 1000),
        user_days_since=(c("time") - c("user_last")) / 86400,
        taste_shown=c("taste_shown").cast(f), taste_rate=rate("taste"),
        taste_lift=rate("taste") / rate("user"),
        item_shown=c("item_shown").cast(f), item_rate=rate("item"),
    )
    .sort("user", "visit", "position")
    .sink_parquet(target, compression="zstd")
)
"""

PANDAS = """\
import sys
import pandas as pd
shop, target, start, threads = sys.argv[1:5]
items = pd.read_parquet(f"{shop}/items.parquet")
price = items.groupby("category").list_price_cents
total, n = price.transform("sum"), price.transform("size")
items["category_price"] = total / n
items["ratio"] = (2000 * items.list_price_cents * n + total) // (2 * total)
t = pd.read_parquet(f"{shop}/impressions").merge(items, on="item")
t = t.merge(pd.read_parquet(f"{shop}/users"), on="user")
t["day"] = (t.time - int(start)) // 86400
t["ratio"] *= t.click

def past(of, keys, order, **more):
    by = t.groupby([*keys, order], sort=True).agg(
        **{f"{of}_shown": ("click", "size"), f"{of}_clicks": ("click", "sum")}, **more)
    return (by.groupby(level=keys).cumsum() - by).reset_index()

t = t.merge(past("item", ["item"], "day"), on=["item", "day"])
user = past("user", ["user"], "time", ratios=("ratio", "sum"))
user["user_last"] = user.groupby("user").time.shift(1)
t = t.merge(user, on=["user", "time"])
t = t.merge(past("taste", ["user", "category"], "time"), on=["user", "category", "time"])

def rate(of):
    return (t[f"{of}_clicks"] + 1) / (t[f"{of}_shown"] + 12)
t = t.assign(
    slate=t.user * 65536 + t.visit, price=t.price_cents.astype(float),
    discount=1 - t.price_cents / t.list_price_cents,
    relative_price=t.list_price_cents / t.category_price,
    hour=(t.time % 86400 // 3600).astype(float), weekday=((t.time // 86400 + 3) % 7).astype(float),
    tenure_days=(t.day - t.joined_day).astype(float),
    user_rate=rate("user"),
    user_price_ratio=t.ratios / t.user_clicks.where(t.user_clicks > 0) / 1000,
    user_days_since=(t.time - t.user_last) / 86400,
    taste_rate=rate("taste"), taste_lift=rate("taste") / rate("user"), item_rate=rate("item"),
)
for name in ("user_shown", "taste_shown", "item_shown"):
    t[name] = t[name].astype(float)
t = t.sort_values(["user", "visit", "position"])
t[[
    "user", "visit", "position", "slate", "day", "item", "click", "price", "discount",
    "relative_price", "hour", "weekday", "device", "segment", "category", "tenure_days",
    "user_shown", "user_rate", "user_price_ratio", "user_days_since", "taste_shown", "taste_rate",
    "taste_lift", "item_shown", "item_rate",
]].to_parquet(target, compression="zstd", index=False)
"""

# Of rows in Parquet, with a model of the project: whole into memory, then a loop over parts.
SCORE = """\
import sys
from pathlib import Path
import pandas as pd
from {package}.training.models import load_model
rows, target = sys.argv[1:3]
(model,) = map(load_model, Path("runs").glob("*-train-*/model"))
frame = pd.read_parquet(rows)
for name, kind in model.schema.features.items():
    if kind == "categorical":
        frame[name] = frame[name].astype("category")
parts = []
for start in range(0, len(frame), 10_000):
    part = frame.iloc[start : start + 10_000].copy()
    part["prediction"] = model.predict(part[list(model.schema.features)])
    parts.append(part[["prediction"]])
pd.concat(parts).to_parquet(target)
"""
EQUAL = """\
import sys
from pathlib import Path
import numpy as np, pandas as pd
ours, theirs = sys.argv[1:3]
(folder,) = [each for each in Path(ours).iterdir() if each.is_dir()]
ours = pd.read_parquet(sorted(folder.glob("*.parquet"))).prediction
np.testing.assert_array_equal(ours, pd.read_parquet(theirs).prediction)
"""
