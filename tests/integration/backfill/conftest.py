"""The `nightly backfill` command in the test's own process, and a worker's two steps by hand: feed rows, settle
calls.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests import ledger_calls
from tests.integration.command import Command, Done
from worker.backfill.feeder import Feeder
from worker.backfill.models import Backfill
from worker.config.settings import Settings
from worker.services import Services, build_services

Nightly = Callable[..., Done]


@pytest.fixture
def services(redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch) -> Services:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "a-key"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "160")
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    return services


@pytest.fixture
def nightly(services: Services, capfd: pytest.CaptureFixture[str]) -> Nightly:
    """Run `nightly backfill ...` in this process."""
    assert services.redis.ping()
    return partial(Command(capfd), "backfill")


def work_off(services: Services, *, outcome: str = "applied", code: str = "", instance: str = "toolbox") -> None:
    """Feed, call and settle until nothing is left, as a quiet system would; every call ends with `outcome`."""
    terms: dict[str, Any] = {"owner": "o", "worker": "w", "calls_per_second": 100_000, "fingerprint": "tests"}
    bounds: dict[str, Any] = {"at_most": 1000, "lease_seconds": 15, "settle_seconds": 20, "max_in_flight": 1000}
    services.redis.hset(f"nightly:configs:{instance}", "tests", "proven")
    feeder = Feeder(services.backfills, services.vault, {instance: "tests"})
    for _ in range(1000):
        fed = feeder.feed()
        claims = ledger_calls.claim(services.ledger, instance, **bounds, **terms).claims
        settlements = [ledger_calls.ended(claim, outcome, code=code) for claim in claims]
        ledger_calls.settle(services.ledger, instance, settlements, **terms)
        if not fed and not claims and not services.backfills.running():
            return
    pytest.fail("the backfill did not end")


def only(services: Services) -> Backfill:
    """Return the only backfill."""
    [found] = services.backfills.all()
    return found
