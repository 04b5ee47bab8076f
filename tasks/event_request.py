"""A message of ours is worked whatever its headers ask for, and is never deleted because its task failed.

`expires` and time limits would lose an event, and an ETA would keep it in a worker's memory. An event's own
`occurred_at` says all that there is to say about its time. What Celery calls rejecting without requeueing is
deleting: here it means the review list.
"""

from typing import Any

from celery.exceptions import InvalidTaskError, WorkerLostError

from worker.executor.consumer import came_again, set_aside
from worker.executor.quiet_request import QuietRequest

IN_HAND = "in_hand"
"""Where the child finds the name under which its event is counted; empty for one that comes the first time."""
_IGNORED = {"eta": None, "expires": None, "timelimit": [None, None], "stamped_headers": None, "shadow": None}


class EventRequest(QuietRequest):
    """A request without deadline, delay or limit, whose message goes when its task succeeded, or for review."""

    _app: Any
    _message: Any
    _payload: Any
    _connection_errors: tuple[type[BaseException], ...]

    def __init__(self, message: Any, *args: Any, headers: Any = None, **kwargs: Any) -> None:
        given = message.headers if headers is None else headers
        super().__init__(message, *args, headers={**given, **_IGNORED}, **kwargs)
        arguments, keywords, embed = self._payload
        if not isinstance(arguments, list | tuple) or not isinstance(keywords, dict) or not isinstance(embed, dict):
            raise InvalidTaskError("the body is not [args, kwargs, embed]")
        self._child_died = False
        # The child counts while it has the event in hand: of what merely waited for it nobody can have died.
        self.request_dict[IN_HAND] = self._name = came_again(self._app, message)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Note whether the child died with it, which the next delivery must know."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        self._child_died = isinstance(error, WorkerLostError | SystemExit)
        return super().on_failure(exc_info, *args, **kwargs)

    def acknowledge(self) -> None:
        """Acknowledge, and forget that it was ever suspected."""
        super().acknowledge()
        self._let_go()

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Give it back to the queue, or set it aside where Celery would delete it."""
        if not self._child_died:
            self._let_go()
        if requeue or self.acknowledged:
            super().reject(requeue=requeue)
            return
        set_aside(self._app, self._message, "event: its task failed", self._connection_errors)
        self.acknowledged = True

    def _let_go(self) -> None:
        if self._name:
            self._app.deliveries().let_go(self._name)
