"""An event's message is worked whatever its headers ask for: Celery would drop an expired one without a trace.

`expires` and time limits would lose the event, and an ETA would keep it in a worker's memory. An event's
own `occurred_at` says all that there is to say about its time.
"""

from typing import Any

from worker.quiet_request import QuietRequest

_IGNORED = {"eta": None, "expires": None, "timelimit": [None, None]}


class EventRequest(QuietRequest):
    """A request without deadline, delay or limit."""

    def __init__(self, message: Any, *args: Any, headers: Any = None, **kwargs: Any) -> None:
        given = message.headers if headers is None else headers
        super().__init__(message, *args, headers={**given, **_IGNORED}, **kwargs)
