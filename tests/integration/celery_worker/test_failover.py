"""The machine of the primary is lost under load and a replica takes over: no acknowledged event is lost."""

import sys
from pathlib import Path

import pytest

from tests.chaos.failover import failover

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="NOT TESTED: the parties need loopback addresses of their own"
)


def test_a_failover_loses_no_event_that_a_replica_had_confirmed(tmp_path: Path) -> None:
    report = failover(tmp_path, seed=1, say=print, ways=("kill",), workers=1, waits_for_celery=False)
    assert not report.broken, report.text()
