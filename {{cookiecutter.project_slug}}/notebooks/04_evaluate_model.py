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
from IPython.display import Markdown, display

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.evaluation import metrics, plots
from {{cookiecutter.package_name}}.evaluation.comparison import sentence
from {{cookiecutter.package_name}}.evaluation.evaluate import LOGGED, figures
from {{cookiecutter.package_name}}.jobs import output, summarise
from {{cookiecutter.package_name}}.workflow import BASELINE, evaluate

config = load_config([*overrides, f"evaluation.run={run}"])

# %% [markdown]
# ## 1. Scores on test rows
#
# With 95 % intervals. The verdict is about the difference, on the same rows: better is said only
# where its interval leaves out 0.

# %%
result = evaluate(config)
found = result.evaluation
scores, intervals = found.scores["test"], found.intervals["test"]
differences = found.differences["test"].get(BASELINE, {})
verdicts = {name: each.verdict for name, each in differences.items()}
print(f"{len(result.split.test):,} test rows, {result.split.how}")
metrics.table(scores, intervals, verdicts)

# %%
metric = metrics.MAIN_METRIC[result.examples.schema.task]
shown = [metric, *[name for name in scores[result.name] if "_at_" in name]]
plots.compare(scores, {name: metrics.title(name) for name in shown}, intervals)

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
# Slices of the rows, the worst first: the main metric, its gap to all other rows, and the true
# minus the predicted average. A finding is what noise does not explain, with all slices that were
# tried in mind; where there is none, these come nearest.

# %%
worst = result.slices
assert worst is not None
worst.to_csv(output("slices.csv"), index=False)
worst[["slice", "rows", "metric", "low", "high", "gap", "true", "predicted", "finding"]].round(4)

# %%
if len(worst):
    display(plots.forest(worst, metrics.title(metric), scores[result.name][metric]))

# %% [markdown]
# ## 4. What it is for
#
# What decisions by a threshold cost (`evaluation.costs`; the threshold comes from the validation
# rows), and for a ranking the clicks to expect if the model ordered the lists.

# %%
more = []
if result.decision and result.examples.schema.ranking is None:
    display(result.decision.table())
    display(plots.costs(result.decision))
    more.append(result.decision.sentence())
if LOGGED in found.differences["test"]:
    ((name, gain),) = found.differences["test"][LOGGED].items()
    own = scores[result.name][name]
    more.append(sentence(name, result.name, LOGGED, (own, own - gain.value), gain))
display(Markdown("\n\n".join(more)))

# %% [markdown]
# ## Conclusions and next steps
#
# A model that is no better than the baseline is not worth its keep; one that is better is worth a
# closer look where it is off.

# %%
findings = worst[worst.finding != ""]
summarise(
    [
        f"On {len(result.split.test):,} test rows {result.verdict('test')}",
        *more,
        f"{len(findings)} slices are off beyond what noise explains"
        + (
            f", first {findings.slice.iloc[0]}: {findings.finding.iloc[0]}."
            if len(findings)
            else "."
        ),
    ],
    test=scores[result.name][metric],
    baseline=scores[BASELINE][metric],
)
