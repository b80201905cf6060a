"""Metrics and figures of a model, beside those of the baseline it must beat."""
