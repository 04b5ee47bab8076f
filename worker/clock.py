"""The clock for leases and deadlines: it keeps running while the machine is suspended.

CLOCK_MONOTONIC stops during suspension, so a worker that resumes would trust a lease that expired hours ago.
"""

import time

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; macOS has none


def elapsed_seconds() -> float:
    """Return seconds since a fixed moment, including time spent suspended if the system measures it."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
