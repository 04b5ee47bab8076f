"""`POST /events`, served in a thread of the test, on the session's Redis or on a separate one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.http_events import OTHER_SECRET, SECRET, Producer
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.events.channels import STREAM
from worker.listening import Places, listen
from worker.redis_client.connect import connect
from worker.web.review.app import create_app
from worker.web.review.parts import build_parts
from worker.web.server import CONNECTIONS, config_for
from worker.web.webhook.route import way_in

Serve = Callable[..., Producer]


@contextmanager
def served(settings: Settings) -> Iterator[Producer]:
    """Serve as `nightly review` does, on a free port."""
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    app = create_app(build_parts(connect(url), settings), beside=[way_in(settings)])
    listener = listen("127.0.0.1", 0, Places(CONNECTIONS))
    server = uvicorn.Server(config_for(app, listener))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        eventually(lambda: server.started, describe="the server")
        yield Producer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve(redis_url: str) -> Iterator[Serve]:
    """Serve with the settings of the test, without any secret of the workers."""
    doors: list[Any] = []

    def run(**changes: Any) -> Producer:
        given = {"redis_url": redis_url, "http_events_per_second": 100_000}
        given |= {"http_events_secrets": f"new={SECRET},old={OTHER_SECRET}"} | changes
        doors.append(served(Settings(**given)))
        return doors[-1].__enter__()

    yield run
    for door in doors:
        door.__exit__(None, None, None)


@pytest.fixture
def producer(serve: Serve) -> Producer:
    return serve()


@pytest.fixture
def own_redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop, fill and start again."""
    options: dict[str, Any] = {"appendfsync": "always", "guard": orphan_guard, "takes_config": True}
    with EmbeddedRedis(tmp_path, name="own", **options) as server:
        yield server


def entries(client: Redis) -> list[Any]:
    """Return the content of the stream entries, each an event or an array of events."""
    return [json.loads(fields[b"event"]) for _, fields in client.xrange(STREAM)]


def events(client: Redis) -> list[dict[str, Any]]:
    """Return the events of all entries, in their order."""
    return [one for entry in entries(client) for one in (entry if isinstance(entry, list) else [entry])]
