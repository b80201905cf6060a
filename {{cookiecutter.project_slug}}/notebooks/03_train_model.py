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
# # Train the model
#
# ## Purpose and audience
#
# Trains the model of the configuration and compares it with the baseline it must beat. For data
# scientists. The same without a notebook:
# `python -m {{cookiecutter.package_name}}.train`.
#
# ## Executive summary
#
# Computed at the end of this notebook; a job's report shows it here, on top.

# %% tags=["parameters"]
overrides: list[str] = []  # as on the command line: ["data.users=5000", "seed=7"]

# %% [markdown]
# ## Imports and configuration

# %%
from IPython.display import display

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.evaluation import metrics, plots
from {{cookiecutter.package_name}}.jobs.summary import summarise
from {{cookiecutter.package_name}}.workflow import BASELINE, train

config = load_config(overrides)

# %% [markdown]
# ## 1. Train

# %%
result = train(config)
print(result.report("valid"))

# %% [markdown]
# ## 2. How it learnt
#
# The rounds stop when the validation rows no longer gain.

# %%
history = result.model.history()
if history:
    display(plots.learning_curve(history))

# %% [markdown]
# ## 3. Against the baseline
#
# On validation rows, with 95 % intervals. They chose the number of rounds, so the model looks a
# little better here than it is. The test rows are for `04_evaluate_model`.

# %%
found = result.evaluation
scores, intervals = found.scores["valid"], found.intervals["valid"]
differences = found.differences["valid"].get(BASELINE, {})
verdicts = {name: each.verdict for name, each in differences.items()}
metrics.table(scores, intervals, verdicts)

# %%
metric = metrics.MAIN_METRIC[result.examples.schema.task]
shown = [metric, *[name for name in scores[result.name] if "_at_" in name]]
plots.compare(scores, {name: metrics.title(name) for name in shown}, intervals)

# %% [markdown]
# ## Conclusions and next steps
#
# The run folder holds the model, its predictions and a manifest that says what they depend on.

# %%
summarise(
    [
        f"On validation rows {result.verdict('valid')}",
        f"Model `{result.fingerprint}`, seed {config.seed}.",
    ],
    model=result.fingerprint,
    valid=scores[result.name][metric],
)
