"""Starts the real parts that `nightly demo`, `nightly run` and the tests need on one machine, and leaves none running.

Production never imports this package: there, Redis and the workers are somebody else's to start.
"""

from worker.embedded.guard import OrphanGuard
from worker.embedded.processes import ManagedProcess
from worker.embedded.redis_server import EmbeddedRedis
from worker.embedded.stack import EmbeddedStack
from worker.embedded.waiting import wait_until

__all__ = ["EmbeddedRedis", "EmbeddedStack", "ManagedProcess", "OrphanGuard", "wait_until"]
