"""A notice is logged and reported, and forgotten only afterwards."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from worker.ledger import Ledger, Notice
from worker.operations import alerts as notices

CLOSED = Notice(
    'gate|toolbox|{"at":5,"state":"closed","cause":"halt","code":"http_401","http_status":"401","detail":"a|b"}'
)
OPENED = Notice('gate|toolbox|{"at":6,"state":"open","cause":"operator","by":"ann","detail":"","held_ms":1}')
GROUP = Notice("group|toolbox|INVALID_LOGIN|off")
UNKEPT = Notice("unkept|7")
EXCLUDED = Notice("excluded|toolbox|celery@host#7|10 calls in a row failed")
OVERWRITTEN = Notice("overwritten|nightly:group:toolbox|INVALID_LOGIN|on")
DAMAGED = Notice("damaged|nightly:login:lgn_a")
KEY = Notice("key|0badcafe|1700000000000")

EACH = [CLOSED, OPENED, GROUP, EXCLUDED, UNKEPT, KEY, OVERWRITTEN, DAMAGED]


class Forgetful:
    def __init__(self) -> None:
        self.forgotten: list[Notice] = []

    def forget_notice(self, notice: Notice) -> None:
        self.forgotten.append(notice)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    names = ("gate", "new_group", "excluded_worker", "unkept", "missing_key", "overwritten", "damaged")
    for name in (f"report_{name}" for name in names):
        monkeypatch.setattr(notices, name, lambda _name=name, **fields: found.append((_name, fields)))
    return found


def test_each_notice_is_logged_reported_and_removed(reported: list[tuple[str, dict[str, Any]]]) -> None:
    ledger = Forgetful()
    with capture_logs() as lines:
        notices.report_notices(cast("Ledger", ledger), EACH)
    assert ledger.forgotten == EACH
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("gate_closed", "error"),
        ("gate_opened", "warning"),
        ("dead_letter_of_new_kind", "warning"),
        ("worker_cannot_reach_flinks", "error"),
        ("rejected_messages_not_kept", "error"),
        ("login_key_missing", "critical"),
        ("overwritten_key_deleted", "error"),
        ("damaged_login_not_called", "error"),
    ]
    assert (lines[0]["detail"], lines[1]["by"]) == ("a|b", "ann")
    shut, opened, group, excluded, unkept, key, overwritten, damaged = reported
    assert shut[1] == {
        "instance": "toolbox",
        "is_closed": True,
        "cause": "halt",
        "code": "http_401",
        "http_status": "401",
        "detail": "a|b",
    }
    assert (opened[1]["is_closed"], opened[1]["cause"]) == (False, "operator")
    assert (excluded[0], excluded[1]["worker"]) == ("report_excluded_worker", "celery@host#7")
    assert unkept == ("report_unkept", {"count": 7})
    assert key == ("report_missing_key", {"key_id": "0badcafe", "since": "2023-11-14T22:13:20+00:00"})
    assert overwritten == ("report_overwritten", {"key": "nightly:group:toolbox|INVALID_LOGIN|on"})
    assert damaged == ("report_damaged", {"key": "nightly:login:lgn_a"})
    assert group == ("report_new_group", {"instance": "toolbox", "code": "INVALID_LOGIN", "wish": "off"})


def test_a_notice_that_cannot_be_reported_is_kept_and_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(notices, "report_gate", fail)
    ledger = Forgetful()
    notices.report_notices(cast("Ledger", ledger), [CLOSED, GROUP])
    assert ledger.forgotten == [GROUP]
