"""The configuration: its schema, and the two ways in, a function and a command line."""

from .cli import cli
from .load import CONF, PROJECT_ROOT, load_config, option
from .schema import (
    BoostingConfig,
    Config,
    CostsConfig,
    DriftConfig,
    EngineConfig,
    FeaturesConfig,
    JobConfig,
    JobsConfig,
    LinearConfig,
    ModelConfig,
    NeuralConfig,
    PopularityConfig,
    ReadConfig,
    ShopConfig,
    SplitConfig,
    TableConfig,
    TuningConfig,
)

__all__ = [
    "CONF",
    "PROJECT_ROOT",
    "BoostingConfig",
    "Config",
    "CostsConfig",
    "DriftConfig",
    "EngineConfig",
    "FeaturesConfig",
    "JobConfig",
    "JobsConfig",
    "LinearConfig",
    "ModelConfig",
    "NeuralConfig",
    "PopularityConfig",
    "ReadConfig",
    "ShopConfig",
    "SplitConfig",
    "TableConfig",
    "TuningConfig",
    "cli",
    "load_config",
    "option",
]
