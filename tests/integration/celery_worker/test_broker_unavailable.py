"""With an unavailable broker and a working ledger, pulses continue: live workers are known and lost leases return."""

import json
import time

from tests.integration.celery_worker.conftest import Nightly, cloud_event, long_form, new_logins
from tests.integration.misbehaving import free_port
from tests.waiting import eventually


@long_form
def test_pulses_continue_while_wake_ups_cannot_be_sent(nightly: Nightly) -> None:
    def pulses() -> set[int]:
        return {int(json.loads(raw)["at"]) for raw in nightly.redis.hvals("nightly:workers")}

    nightly.stack.environment["BROKER_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    worker = nightly.stack.start_worker(ready=lambda _: pulses())

    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(3)])
    eventually(lambda: "broker_unreachable" in worker.output(), seconds=30, describe="a wake-up that failed")
    seen, began_at = pulses(), time.monotonic()

    def counted() -> bool:
        seen.update(pulses())
        return len(seen) >= 5

    eventually(counted, seconds=60, describe="five pulses")
    assert time.monotonic() - began_at < 15, "each pulse waited for the broker"
