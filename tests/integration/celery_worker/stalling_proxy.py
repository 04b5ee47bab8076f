"""A TCP proxy whose connections can stall: open at both ends and silent, as behind a firewall that lost its state."""

import contextlib
import socket
import threading
from typing import Self


class StallingProxy:
    """Forwards loopback connections to `port`, as a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._epoch = 0
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.getsockname()[1])

    def stall(self) -> int:
        """Stop forwarding on the present connections without closing them; return their number."""
        with self._lock:
            self._epoch += 1
            return len(self._sockets) // 2

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for each in (self._server, *self._sockets):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._sockets += [near, far]
                    epoch = self._epoch
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=(*pair, epoch), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, epoch: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if epoch != self._epoch:
                    return  # arriving bytes are lost, and neither side notices
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
