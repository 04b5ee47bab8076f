"""Chooses the event loop of a rival's process: uvloop if BENCH_LOOP is `uvloop`."""

import asyncio
import os


def choose() -> None:
    """Set the event loop policy; call it before any loop is created."""
    if os.environ.get("BENCH_LOOP") == "uvloop":
        import uvloop  # noqa: PLC0415 - not in the worker's environment

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
