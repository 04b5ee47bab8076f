"""Starts Redis, the emulator and workers for `nightly demo`, `nightly run` and the tests, and stops all of them.

Production never imports this package: there, a supervisor starts Redis and the workers.
"""

from sandbox.stack.guard import OrphanGuard
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.redis_server import EmbeddedRedis
from sandbox.stack.stack import EmbeddedStack
from sandbox.stack.waiting import wait_until

__all__ = ["EmbeddedRedis", "EmbeddedStack", "ManagedProcess", "OrphanGuard", "wait_until"]
