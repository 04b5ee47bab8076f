"""The Celery request of our tasks: ignores a message's options, and keeps the message for review if its task fails.

Only the id, the task's name and the arguments count. `expires` and time limits would lose an event, an ETA would hold
it in a worker's memory, and callbacks or a chain would let any producer make a worker send messages. Where Celery
would reject without requeueing, which deletes the message, it becomes a dead letter.
"""

from typing import Any

from celery.exceptions import InvalidTaskError, WorkerLostError
from kombu.utils.json import dumps

from worker.celery_worker.consumer import came_again, set_aside
from worker.celery_worker.redacted_request import RedactedRequest
from worker.errors import InvalidEvent

IN_HAND = "in_hand"
"""The request's field with the name under which redeliveries of the event are counted; empty for a first delivery."""
_NOTHING_ELSE: dict[str, Any] = {"properties": {}, "reply_to": None, "correlation_id": None, "delivery_info": {}}


class EventRequest(RedactedRequest):
    """A request without expiry, ETA, time limits or callbacks.

    Its message is acknowledged once its task has succeeded or the message is kept for review.
    """

    _app: Any
    _message: Any
    _body: Any
    _connection_errors: tuple[type[BaseException], ...]

    def __init__(
        self, message: Any, *args: Any, headers: Any = None, body: Any = None, decoded: bool = False, **options: Any
    ) -> None:
        given = message.headers if headers is None else headers
        arguments, keywords, embed = body if decoded else message.payload
        if not isinstance(arguments, list | tuple) or not isinstance(keywords, dict) or not isinstance(embed, dict):
            raise InvalidTaskError("the body is not [args, kwargs, embed]")
        named = {"lang": "py", "task": given["task"], "id": given["id"]}
        super().__init__(message, *args, headers=named, body=(arguments, keywords, {}), decoded=True, **options)
        # Text, as in the message: the pool passes it to a child faster than nested values.
        self._body, self._content_type, self._content_encoding = dumps(self._body), "application/json", "utf-8"
        self.request_dict.update(_NOTHING_ELSE)
        self._child_died = False
        # The child counts the delivery when it starts on the event: a waiting event cannot kill a child.
        self.request_dict[IN_HAND] = self._name = came_again(self._app, message)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge a message that the task rejected. Keep the count of redeliveries if the pool's child died."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, InvalidEvent):
            self.acknowledge()  # the task raises it once the message is kept for review
        self._child_died = isinstance(error, WorkerLostError | SystemExit)
        return super().on_failure(exc_info, *args, **kwargs)

    def acknowledge(self) -> None:
        """Acknowledge, and delete the count of redeliveries."""
        super().acknowledge()
        self._delete_count()

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Return the message to its queue, or set it aside where Celery would delete it."""
        if not self._child_died:
            self._delete_count()
        if requeue or self.acknowledged:
            super().reject(requeue=requeue)
            return
        set_aside(self._app, self._message, "event: its task failed", self._connection_errors)
        self.acknowledged = True

    def _delete_count(self) -> None:
        if self._name:
            self._app.deliveries().let_go(self._name)
