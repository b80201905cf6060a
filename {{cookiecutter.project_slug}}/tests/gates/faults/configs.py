"""CF5: configurations and jobs."""

from __future__ import annotations

from ..planting import Fault, both, file, replace

ENTRY = "conf/config.yaml"
JOBS = "conf/jobs/notebooks.yaml"
CONTRACT = "table: orders\n{}: stop\ncolumns:\n  price: number\n"


def noise(arguments: str) -> str:
    """Another entry config, which is not of the project's schema."""
    return f"defaults: [_self_]\nnoise:\n  _target_: {arguments}\n"


# Twins have numbers that no project has: a change that changes nothing is an error.
FAULTS = (
    Fault(
        "CF501",
        "a default names an option that does not exist",
        replace(ENTRY, r"- model: boosting", "- model: bosting"),
        replace(ENTRY, r"- model: boosting", "- model: linear"),
    ),
    Fault(
        "CF501",
        "a second entry config with a default that does not exist",
        file("conf/night.yaml", "defaults: [config, nights]\n"),
        file("conf/night.yaml", "defaults: [config]\nseed: 7\n"),
    ),
    Fault(
        "CF501",
        "a value of the wrong type in the entry config",
        replace(ENTRY, r"top_k: \d+", "top_k: ten"),
        replace(ENTRY, r"top_k: \d+", "top_k: 977"),
    ),
    Fault(
        "CF501",
        "a group without a default",
        replace(ENTRY, r"  - training: \w+\n", ""),
        replace(ENTRY, r"- training: \w+", "- training: default  # a split in time"),
    ),
    Fault(
        "CF502",
        "an option of a kind that the schema does not have",
        replace("conf/data/table.yaml", "^kind: table", "kind: tabel"),
        replace("conf/data/table.yaml", r"^task: \w+", "task: binary"),
    ),
    Fault(
        "CF502",
        "a value out of bounds in an option that is not the default",
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l2: -1.0"),
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l2: 0.977"),
    ),
    Fault(
        "CF502",
        "an option that is no YAML",
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l2: [1.0"),
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l2: 2.977"),
    ),
    Fault(
        "CF503",
        "a job whose notebook does not exist",
        replace(JOBS, "notebooks/01_explore_data", "notebooks/01_explore_dat"),
        replace(JOBS, "notebooks/01_explore_data", "notebooks/02_build_features"),
    ),
    Fault(
        "CF503",
        "a parameter that the notebook does not have",
        replace(JOBS, r"run: \{from: ", "runs: {from: "),
        replace(JOBS, r"run: \{from: train_model.model\}", "run: latest"),
    ),
    Fault(
        "CF503",
        "a job that needs one that does not exist",
        replace(JOBS, r"needs: \[build_features\]", "needs: [build_feature]"),
        replace(JOBS, r"needs: \[build_features\]", "needs: [explore_data]"),
    ),
    Fault(
        "CF503",
        "a value that the other job does not record",
        replace(JOBS, "from: train_model.model", "from: train_model.models"),
        replace(JOBS, r"needs: \[train_model\]", "needs: [train_model, explore_data]"),
    ),
    Fault(
        "CF504",
        "a misspelt key of an option",
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l3: 1.0"),
        replace("conf/model/linear.yaml", r"l2: [\d.]+", "l2: 3.977"),
    ),
    Fault(
        "CF504",
        "a misspelt key of the entry config",
        replace(ENTRY, "^seed: ", "sede: "),
        replace(ENTRY, r"^seed: \d+", "seed: 977"),
    ),
    Fault(
        "CF504",
        "a misspelt key of a job",
        replace(JOBS, r"timeout: \d+", "timout: 600"),
        replace(JOBS, r"timeout: \d+", "timeout: 977"),
    ),
    Fault(
        "CF502",
        "a contract with a key that contracts do not have",
        file("conf/contracts/orders.yaml", CONTRACT.format("policies")),
        file("conf/contracts/orders.yaml", CONTRACT.format("policy")),
    ),
    Fault(
        "CF505",
        "a default option that leaves its path to the user",
        replace(ENTRY, "- data: shop", "- data: table"),
        both(
            replace(ENTRY, "- data: shop", "- data: table"),
            replace("conf/data/table.yaml", r"^path: .*", "path: data/orders.csv"),
            replace("conf/data/table.yaml", r"^target: .*", "target: bought"),
        ),
    ),
    Fault(
        "CF505",
        "an option that does not write a value the schema wants",
        replace("conf/data/table.yaml", r"^path: .*\n", ""),
        replace("conf/data/table.yaml", r"^path: .*\n", "path: data/orders.csv\n"),
    ),
    Fault(
        "CF506",
        "an option in a folder that is no group",
        file("conf/model/old/ridge.yaml", "name: linear\nl2: 5.0\n"),
        file("conf/model/ridge.yaml", "name: linear\nl2: 5.0\n"),
    ),
    Fault(
        "CF506",
        "an option whose name ends in .yml",
        file("conf/model/ridge.yml", "name: linear\nl2: 5.0\n"),
        file("conf/model/ridge.yaml", "name: linear\nl2: 5.0\n"),
    ),
    Fault(
        "CF506",
        "a group that nothing names",
        file("conf/optimizer/fast.yaml", "rate: 0.1\n"),
        file("conf/experiment/fast.yaml", "# @package _global_\nmodel: {learning_rate: 0.1}\n"),
    ),
    Fault(
        "CF507",
        "an argument that the class does not take",
        file("conf/noise.yaml", noise("statistics.NormalDist\n  sigm: 2.0")),
        file("conf/noise.yaml", noise("statistics.NormalDist\n  sigma: 2.0")),
    ),
    Fault(
        "CF507",
        "a class that does not import",
        file("conf/noise.yaml", noise("statistics.NormalDst\n  sigma: 2.0")),
        file("conf/noise.yaml", noise("statistics.NormalDist\n  _partial_: true")),
    ),
    Fault(
        "CF509",
        "jobs that need each other",
        replace(
            JOBS, r"build_features\n    needs: \[\]", "build_features\n    needs: [train_model]"
        ),
        replace(
            JOBS, r"build_features\n    needs: \[\]", "build_features\n    needs: [explore_data]"
        ),
    ),
    Fault(
        "CF509",
        "a job that needs itself",
        replace(JOBS, r"explore_data\n    needs: \[\]", "explore_data\n    needs: [explore_data]"),
        replace(
            JOBS, r"explore_data\n    needs: \[\]", "explore_data\n    needs: [build_features]"
        ),
    ),
)
