"""Chooses the event loop of a contender's process: uvloop, or asyncio's own if BENCH_LOOP is `asyncio`."""

import asyncio
import os

import uvloop


def choose() -> None:
    """Set the event loop policy; call it before any loop is created."""
    if os.environ.get("BENCH_LOOP") != "asyncio":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
