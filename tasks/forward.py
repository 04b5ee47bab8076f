"""Passes a message on to another worker, because this one lacks a key of LOGIN_KEYS."""

from collections.abc import Callable

from worker.celery_worker.app import HOPS
from worker.telemetry.logs import get_logger

log = get_logger(__name__)


def forward(send: Callable[[int], None], hops: object) -> None:
    """Send the message again with one hop less, unless it has none left; if that fails, the next pulse sends another.

    `hops` is capped at HOPS, because a forged message would otherwise circulate without end.
    """
    if not isinstance(hops, int) or hops < 1:
        return
    try:
        send(min(hops, HOPS) - 1)
    except Exception as error:  # noqa: BLE001 - whatever the broker answered; a lost hint costs a second
        log.info("message_not_forwarded", error=type(error).__name__)
