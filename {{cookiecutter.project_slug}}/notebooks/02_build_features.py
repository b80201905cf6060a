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
# # Build the features
#
# ## Purpose and audience
#
# What a model gets to see, what each feature means, and the proof that none of them knows the
# future. For data scientists who add features and for whoever reviews them.
#
# ## Executive summary
#
# Computed at the end of this notebook; a job's report shows it here, on top.

# %% tags=["parameters"]
overrides: list[str] = []  # as on the command line: ["data.users=5000", "seed=7"]
example_rows: int = 5

# %% [markdown]
# ## Imports and configuration

# %%
from {{cookiecutter.package_name}} import features
from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data.strength import strength
from {{cookiecutter.package_name}}.evaluation import plots
from {{cookiecutter.package_name}}.jobs.summary import summarise

config = load_config(overrides)
examples = features.build(config)

# %% [markdown]
# ## 1. The declared set

# %%
features.describe(examples)

# %% [markdown]
# ## 2. Nothing from the future
#
# The features are built again from data whose last days have been taken away. What was known
# before must not change.

# %%
proof = features.check_past(config)
print(proof)

# %% [markdown]
# ## 3. Examples

# %%
examples.frame[[*examples.schema.features, examples.schema.target]].head(example_rows)

# %% [markdown]
# ## 4. What each feature says by itself

# %%
found = strength(examples)
plots.bars(found, "Strongest features", "share of the variance explained")

# %% [markdown]
# ## Conclusions and next steps
#
# The features are cached below `data/`; `03_train_model` learns from them.

# %%
strongest = sorted(found, key=lambda name: -found[name])[:3]
summarise(
    [
        f"**{len(examples.schema.features)} features** for {len(examples):,} examples.",
        f"Strongest by themselves: {', '.join(f'**{name}**' for name in strongest)}.",
        proof,
    ],
    features=len(examples.schema.features),
)
