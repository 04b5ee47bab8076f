"""A client of redis-py with less work around each command: no metrics, no events, fewer layers.

On an idle machine the caches are cold, and then a command costs as much as the code that it touches. What redis-py does
for failures stays: a connection is checked before use, and a command whose connection breaks is sent once more.
"""

import os
from typing import Any

import redis


class Pool(redis.ConnectionPool):
    """A pool that hands out an idle connection directly, and leaves every other case to redis-py's own code."""

    def get_connection(self, *_: object, **__: object) -> Any:
        """Return a connection that is open and has no unread data; raises redis.RedisError."""
        return self.idle_connection() or super().get_connection()

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if self.pid != os.getpid() or connection.should_reconnect():
            super().release(connection)
            return
        with self._lock:
            if connection in self._in_use_connections:
                self._in_use_connections.remove(connection)
                self._available_connections.append(connection)

    def idle_connection(self) -> Any:
        """Return a connection as `get_connection` does, at once, or None if that would have to connect."""
        if self.pid != os.getpid():  # forked: the connections belong to the parent
            return None
        with self._lock:
            if not self._available_connections:
                return None
            connection: Any = self._available_connections.pop()
            self._in_use_connections.add(connection)
        try:
            if connection.is_connected and not connection.can_read():
                return connection
        except redis.RedisError:  # the server closed it
            pass
        self.release(connection)
        return None


class Client(redis.Redis):
    """A client whose single commands go straight to a connection; pipelines are redis-py's own."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its reply; raises redis.RedisError."""
        pool = self.connection_pool
        connection: Any = pool.get_connection()

        def exchange() -> Any:
            connection.send_command(*args)
            return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call]

        try:
            return connection.retry.call_with_retry(exchange, lambda _: connection.disconnect())
        finally:
            pool.release(connection)
