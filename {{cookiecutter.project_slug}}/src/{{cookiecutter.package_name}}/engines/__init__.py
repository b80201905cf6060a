"""What runs work that is divided into parts: this machine, or a cluster.

An engine has two verbs: ``map`` over parts that do not know each other, and a ``gang`` of ranks
that run at the same time and talk to each other. Each engine is a module here, named as in
``conf/engine/``; which one it is changes nothing about a result.
"""

from __future__ import annotations

from .base import Engine, Gang, open_engine

__all__ = ["Engine", "Gang", "open_engine"]
