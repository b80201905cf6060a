"""Seeds, splits and models."""
