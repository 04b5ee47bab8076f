"""The clock by which a worker measures leases and deadlines: it goes on while the machine is suspended.

CLOCK_MONOTONIC stands still then, and a worker that wakes up would trust a lease that ran out hours ago.
"""

import time

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; macOS has none


def elapsed_seconds() -> float:
    """Return seconds since some fixed moment, the time spent suspended included where the system can tell it."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
