"""Starts the real parts that `nightly demo`, `nightly run` and the tests need on one machine, and leaves none running.

Production never imports this package: there, Redis and the workers are somebody else's to start.
"""

from sandbox.stack.guard import OrphanGuard
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.redis_server import EmbeddedRedis
from sandbox.stack.stack import EmbeddedStack
from sandbox.stack.waiting import wait_until

__all__ = ["EmbeddedRedis", "EmbeddedStack", "ManagedProcess", "OrphanGuard", "wait_until"]
