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
# # Evaluate the model
#
# ## Purpose and audience
#
# How good a trained model is on rows that neither it nor its settings have seen, and where it is
# off. For whoever decides whether to use it.
#
# ## Executive summary
#
# Computed at the end of this notebook; a job's report shows it here, on top.

# %% tags=["parameters"]
overrides: list[str] = []  # as on the command line: ["data.users=5000", "seed=7"]
run: str = "latest"  # the training run to judge: its id, or the fingerprint of its model

# %% [markdown]
# ## Imports and configuration

# %%
from IPython.display import display

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.evaluation import metrics, plots
from {{cookiecutter.package_name}}.evaluation.evaluate import figures, slices
from {{cookiecutter.package_name}}.jobs import output, summarise
from {{cookiecutter.package_name}}.workflow import BASELINE, evaluate

config = load_config([*overrides, f"evaluation.run={run}"])

# %% [markdown]
# ## 1. Scores on test rows

# %%
result = evaluate(config)
scores = result.evaluation.scores["test"]
print(f"{len(result.split.test):,} test rows, {result.split.how}")
metrics.table(scores)

# %%
metric = metrics.MAIN_METRIC[result.examples.schema.task]
shown = [metric, *[name for name in scores[result.name] if "_at_" in name]]
plots.compare(scores, {name: metrics.title(name) for name in shown})

# %% [markdown]
# ## 2. A closer look

# %%
for figure in figures(
    result.model, result.examples, result.split, result.evaluation, result.config
).values():
    display(figure)

# %% [markdown]
# ## 3. Where it is off
#
# Predicted and true average by value: a gap that is large for its number of rows is worth a look.

# %%
worst = slices(result.examples, result.split, result.evaluation.predictions["test"][result.name])
worst.to_csv(output("slices.csv"), index=False)
worst

# %% [markdown]
# ## Conclusions and next steps
#
# A model that does not beat the baseline is not worth its keep; one that does is worth a closer
# look where it is off.

# %%
own, baseline = scores[result.name], scores[BASELINE]
verdict = "beats" if metrics.better(metric, own[metric], baseline[metric]) else "does **not** beat"
summarise(
    [
        f"**{result.name}** {verdict} the {BASELINE} baseline on {len(result.split.test):,} test "
        f"rows: {metrics.title(metric)} **{own[metric]:.4f}** against {baseline[metric]:.4f}.",
        *[
            f"{metrics.title(name)}: {own[name]:.4f} against {baseline[name]:.4f}."
            for name in shown[1:]
        ],
    ],
    test=own[metric],
    baseline=baseline[metric],
)
