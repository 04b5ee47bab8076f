"""The web process of a scene and an operator's browser, killed with `kill -9` in the middle of requests."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import httpx

from sandbox.stack import ManagedProcess, wait_until
from sandbox.stack.readiness import listening_url
from tests.chaos.scene import Scene
from worker.web.review.cookies import SESSION
from worker.web.review.forgery import FIELD, token_for
from worker.web.review.identity import Person
from worker.web.review.passwords import hash_password
from worker.web.review.users import User
from worker.web.review.ways_in import build_access

ANN = User("ann", "operator", hash_password("correct horse", log2_n=10))
SETTINGS = {"REVIEW_USERS": f"{ANN.name}:{ANN.role}:{ANN.hashed}"}
ARGV = [sys.executable, "-m", "worker", "review", "--port", "0"]
ANSWER_SECONDS = 60.0
Request = Callable[[], httpx.Response]


class ReviewPage:
    """The review page as a real process, and Ann, who has signed in once: her session outlives the process."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        access = build_access(scene.redis, scene.settings)
        session = access.open_session(Person(ANN.name, ANN.role), ANN.entry)
        self._headers = {"cookie": f"{SESSION}={access.signing.sign(SESSION, session)}"}
        self._token = token_for(access.signing, session)
        self._process: ManagedProcess

    def start(self) -> Self:
        """Start the process, and open a page."""
        self._process = self._scene.stack.start_process("review", ARGV, ready=listening_url)
        self._url = str(listening_url(self._process))
        return self

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self._ask("GET", path)

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        return self._ask("POST", path, data={FIELD: self._token, **fields})

    def is_killed_during(
        self, request: Request, *, cpu_ms: float = 0.0, until: Callable[[], bool] = lambda: True
    ) -> bool:
        """Kill the process once it has spent this CPU time on a request and `until` holds; start it again.

        Returns whether that was in the middle of the request: it was at work, and no answer came.
        """
        began = self._cpu_seconds()
        is_time = lambda: self._cpu_seconds() - began > cpu_ms / 1000 and until()  # noqa: E731 - once
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(request)
            wait_until(lambda: answer.done() or is_time(), seconds=ANSWER_SECONDS, every_seconds=0.0005)
            self._process.kill()
            error = answer.exception()
        if error and not isinstance(error, httpx.TransportError):
            raise error
        self._scene.stack.stop_process(self._process, grace_seconds=0)
        self.start()
        return error is not None

    def _cpu_seconds(self) -> float:
        """Return the CPU time of all threads of the process: an idle one spends next to none."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # as clock_getcpuclockid(3) does on Linux

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=ANSWER_SECONDS, trust_env=False) as client:
            return client.request(method, path, **options)
