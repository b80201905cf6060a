"""Search for better settings: what may be tried, in which order, and what came of it."""
