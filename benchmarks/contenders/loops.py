"""Chooses the event loop of a rival's process: uvloop where BENCH_LOOP says so."""

import asyncio
import os


def choose() -> None:
    """Set the policy before anything makes a loop."""
    if os.environ.get("BENCH_LOOP") == "uvloop":
        import uvloop  # noqa: PLC0415 - not in the worker's environment

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
