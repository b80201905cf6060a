"""Engines that take whole tables and compute features themselves: one module each, by its name.

A module has ``opened(config, scratch)``, a context manager of a :class:`.base.Backend`. What is the
same for all of them, from the tables to the files, is there too.
"""
