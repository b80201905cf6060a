"""Runs sent to MLflow. The runs folder itself is the outbox: a run and its manifest say all there
is to send, and where, so a server that is down, slow or killed loses and delays nothing.

Sending is done by another process; MLflow is imported there and nowhere else.
"""

from .handing import hand_over

__all__ = ["hand_over"]
