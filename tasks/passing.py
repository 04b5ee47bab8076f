"""Passes a message on that another worker can work on, and this one cannot: it lacks a key of LOGIN_KEYS."""

from collections.abc import Callable

from worker.celery_worker.app import HOPS
from worker.telemetry.logs import get_logger

log = get_logger(__name__)


def pass_on(send: Callable[[int], None], hops: object) -> None:
    """Send the message once more with a hop less, if it has one; where that fails, the next pulse sends another.

    None has more than HOPS, whatever it says: otherwise a forged message would circulate without end.
    """
    if not isinstance(hops, int) or hops < 1:
        return
    try:
        send(min(hops, HOPS) - 1)
    except Exception as error:  # noqa: BLE001 - whatever the broker said: a hint that is lost costs a second
        log.info("message_not_passed_on", error=type(error).__name__)
