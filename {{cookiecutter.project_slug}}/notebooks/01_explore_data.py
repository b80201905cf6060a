# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explore the data
#
# ## Purpose and audience
#
# What the rows look like, what is to be predicted, and which columns say something about it. For
# whoever is about to trust a model built on these rows.
#
# ## Executive summary
#
# Computed at the end of this notebook; a job's report shows it here, on top.

# %% tags=["parameters"]
overrides: list[str] = []  # as on the command line: ["data.users=5000", "seed=7"]
sample_rows: int = 200_000

# %% [markdown]
# ## Imports and configuration

# %%
from IPython.display import display

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data import explore
from {{cookiecutter.package_name}}.evaluation import plots
from {{cookiecutter.package_name}}.jobs.summary import summarise

config = load_config(overrides)
data = explore.look(config, sample_rows)

# %% [markdown]
# ## 1. Rows and columns
#
# One row is one example. Columns that were set aside are named with the reason.

# %%
for note in data.notes:
    print(note)
explore.describe(data)

# %% [markdown]
# ## 2. What is to be predicted

# %%
average = data.outcome.mean()
print(f"{data.task} of '{data.target}', {len(data.frame):,} rows; {data.measure} is {average:.3g}")
if data.task == "regression":
    display(plots.histogram(data.outcome, f"Distribution of {data.target}", data.target))

# %%
by_day = explore.daily(data)
if by_day is not None:
    display(plots.over_time(by_day, f"{data.measure.capitalize()} by day", data.measure))

# %% [markdown]
# ## 3. Which columns say something
#
# The share of the variance of the target that a column explains by itself. A model combines them,
# so a short bar is no verdict.

# %%
strength = explore.strength(data)
plots.bars(strength, "Strongest columns", "share of the variance explained")

# %%
strongest = sorted(strength, key=lambda name: -strength[name])[:2]
plots.target_by({name: explore.average_by(data, name) for name in strongest}, data.measure, average)

# %% [markdown]
# ## Conclusions and next steps
#
# The strongest columns are where a model will look first; `02_build_features` turns them, and the
# past of users and items where there is one, into features.

# %%
top = explore.average_by(data, strongest[0])
summarise(
    [
        f"**{len(data.frame):,} rows** and {data.frame.shape[1]} columns; {data.measure} is "
        f"**{average:.3g}**.",
        f"**{strongest[0]}** says most about {data.target}: between {top.min():.3g} and "
        f"{top.max():.3g} by its value, {strength[strongest[0]]:.1%} of the variance.",
    ],
    rows=len(data.frame),
    average=average,
)
