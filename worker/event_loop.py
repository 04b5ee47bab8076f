"""The event loop of processes that make many calls: uvloop, or plain asyncio where it is not installed."""

import asyncio

try:
    import uvloop
except ImportError:  # no wheel for this platform
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop


def new_runner() -> asyncio.Runner:
    """Return a runner for coroutines; close it at the end."""
    return asyncio.Runner(loop_factory=new_event_loop)
