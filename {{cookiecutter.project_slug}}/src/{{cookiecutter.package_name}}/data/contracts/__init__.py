"""Contracts: what must hold of a table, checked wherever rows cross a boundary."""
