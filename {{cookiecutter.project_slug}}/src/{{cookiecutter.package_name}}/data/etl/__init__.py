"""Extract, transform, load: small typed steps over partitions, each done once. See docs/etl.md."""

from .pipeline import Loaded, Pipeline
from .step import Rows, step

__all__ = ["Loaded", "Pipeline", "Rows", "step"]
