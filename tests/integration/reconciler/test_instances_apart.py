"""Two instances in one slice, a real ledger and real servers: the slow one does not affect the healthy one."""

import asyncio
import json
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from typing import Any

from redis import Redis

from tests.integration.misbehaving import Handler, instance_at, read_request, reply, serving
from worker.config.instances import Instance
from worker.flinks.client import FlinksClient
from worker.ledger import Ledger, Wish
from worker.ledger.queries import Views
from worker.reconciler.dispatcher import Bounds, Parts
from worker.reconciler.reconciler import run_slice
from worker.reconciler.retry_policy import RetryLimits
from worker.vault.vault import Vault

WINDOW = 4
BOUNDS = Bounds(
    lease_seconds=8,
    call_seconds=2,
    calls_per_second=100,
    max_in_flight=WINDOW,
    retry=RetryLimits(20, 86_400, 4),
    slice_seconds=4,
)


def confirming(seconds: float, arrived: asyncio.Event) -> Handler:
    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            _, body = await read_request(reader)
            arrived.set()
            await asyncio.sleep(seconds)
            login = json.loads(body)["loginId"]
            writer.write(reply(json.dumps(f"LoginId {login} has now been activated for automatic refresh").encode()))

    return handler


def make_due(ledger: Ledger, vault: Vault, instance: Instance, count: int) -> None:
    wishes = []
    for number in range(count):
        login = f"{instance.name}-{number}"
        reference = vault.reference(instance.name, login)
        sealed = vault.seal_login(reference, login)
        wishes.append(Wish(reference, instance.name, sealed, 1, wants_active=True, event_id=f"evt-{number}"))
    ledger.record(wishes)


def test_a_slow_instance_neither_delays_a_healthy_one_nor_closes_its_gate(redis_client: Redis, vault: Vault) -> None:
    """With a shared pool, calls for the healthy one timed out waiting in it and counted as an outage of Flinks."""
    ledger = Ledger(redis_client)

    async def main() -> None:
        arrived, unused = asyncio.Event(), asyncio.Event()
        async with (
            serving(confirming(1.5, arrived)) as slow_port,
            serving(confirming(0.01, unused)) as healthy_port,
            FlinksClient(max_connections=WINDOW) as flinks,
        ):
            slow, healthy = (
                instance_at(f"http://127.0.0.1:{port}").model_copy(update={"name": name})
                for name, port in (("slow", slow_port), ("healthy", healthy_port))
            )
            pairs = [(instance, instance.fingerprint(vault)) for instance in (slow, healthy)]
            for instance, fingerprint in pairs:
                redis_client.hset(f"nightly:configs:{instance.name}", fingerprint, "proven")
            make_due(ledger, vault, slow, 40)
            working = asyncio.create_task(run_slice(Parts(ledger, vault, flinks, BOUNDS, "w", "o"), pairs))
            await asyncio.wait_for(arrived.wait(), 5)
            await asyncio.to_thread(make_due, ledger, vault, healthy, 40)
            await asyncio.wait_for(working, 20)

    asyncio.run(main())
    found: dict[str, Any] = Views(redis_client).status()["instances"]["healthy"]
    assert found["gate"]["state"] == "open"
    assert (found["tally"].get("applied_on"), found["tally"].get("retried")) == (40, None)
