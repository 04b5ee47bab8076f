"""Checks whether a child process is ready: the emulator has printed its address, or a worker answers a ping."""

import json

from celery import Celery
from celery.utils.nodenames import gethostname, nodename
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from sandbox.stack.processes import ManagedProcess
from worker.broker.celery_config import kombu_address

PING_SECONDS = 0.5


def listening_url(process: ManagedProcess) -> str | None:
    """Return the URL from the output line `{"listening": "http://127.0.0.1:PORT"}`, or None before it appears."""
    for line in process.output().splitlines():
        if line.startswith("{") and line.endswith("}") and "listening" in line:
            return str(json.loads(line)["listening"])
    return None


def answers_ping(broker_url: str, name: str) -> bool:
    """Return whether the Celery worker `name@<this host>` answers a ping on its control channel in half a second."""
    url, options = kombu_address(broker_url)
    app = Celery(broker=url, set_as_current=False)
    app.conf.broker_transport_options = options
    node = nodename(name, gethostname())
    try:
        with app.connection_for_write() as connection:
            inspect = app.control.inspect(destination=[node], timeout=PING_SECONDS, connection=connection)
            return bool(inspect.ping())
    except (OSError, KombuError, OperationalError, RedisError):
        return False
    finally:
        app.close()
