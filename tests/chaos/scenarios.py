"""The table of scenarios that `make prove` runs, by name, in this order.

A scenario is a function `(folder, *, <sizes>, seed, say) -> Report`. The defaults of its sizes are its long form;
each size becomes an option of the runner, so a new scenario needs only a line here.
"""

from collections.abc import Callable

from tests.chaos.backfill import backfill
from tests.chaos.bulk import bulk
from tests.chaos.everything import everything_at_once
from tests.chaos.failover import failover
from tests.chaos.fuzz import fuzz
from tests.chaos.http_fuzz import fuzz_http
from tests.chaos.late_start import late_start
from tests.chaos.long_tests import long_tests
from tests.chaos.outage import outage
from tests.chaos.report import Report
from tests.chaos.rolling_restart import rolling_restart
from tests.chaos.rotation import rotation
from tests.chaos.wrong_customer import wrong_customer

SCENARIOS: dict[str, Callable[..., Report]] = {
    "everything": everything_at_once,
    "late-start": late_start,
    "outage": outage,
    "wrong-customer": wrong_customer,
    "failover": failover,
    "rolling-restart": rolling_restart,
    "rotation": rotation,
    "fuzz": fuzz,
    "http": fuzz_http,
    "backfill": backfill,
    "bulk": bulk,
    "long-tests": long_tests,
}
