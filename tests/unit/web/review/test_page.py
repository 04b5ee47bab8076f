from typing import Any

from worker.ledger.dead_letters import Group, Letter
from worker.web.review.page import review_page

NASTY = '<script>alert("x")</script>\x1b\u202e'
GATE = {"state": "closed", "cause": "operator", "by": NASTY, "detail": NASTY, "changed_at": 0, "needs_action": True}
WAY = {"events": None, "unacknowledged": None, "oldest_seconds": None, "problem": NASTY}
STATUS: dict[str, Any] = {
    "instances": {
        NASTY: {
            "gate": GATE, "due_live": 1, "due_backfill": 0, "waiting": 0, "in_flight": 0, "oldest_due_seconds": 1.0,
            "paused_seconds": 0, "rate_cut_to": None, "tally": {"recorded": 1}, "dead_letters_open": {},
        }
    },
    "rejected": 0, "rejected_unkept": 0, "dead_letters_open": 1,
    "workers": [{"name": NASTY, "slots": NASTY, "silent_seconds": 0.1}],
    "reconcilers": 0, "waiting_events": {"stream": WAY, "queue": WAY, "set_aside": WAY},
}  # fmt: skip


def letter(**fields: Any) -> Letter:
    return Letter(id="dl-1", kind="login", status="open", code=NASTY, created_at=0, last_at=0, **fields)


def test_every_value_is_escaped() -> None:
    letters = [letter(message=NASTY, account_id=NASTY, wish=NASTY, login=NASTY)]
    page = review_page(STATUS, [Group(NASTY, NASTY, NASTY, 1, 0, 0)], letters, 0)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_forged_gate_state_adds_no_element_to_the_page() -> None:
    planted = STATUS | {"instances": {"toolbox": STATUS["instances"][NASTY] | {"gate": GATE | {"state": NASTY}}}}
    assert "<script" not in review_page(planted, [], [], 0).lower()


def test_urgent_items_come_first() -> None:
    page = review_page(STATUS, [], [], 0)
    assert page.index("GATE CLOSED") < page.index("Instances")


def test_an_outage_that_needs_no_action_is_shown_without_an_alarm() -> None:
    gate = {"state": "closed", "cause": "outage", "detail": NASTY, "changed_at": 0, "needs_action": False}
    page = review_page(STATUS | {"instances": {"toolbox": STATUS["instances"][NASTY] | {"gate": gate}}}, [], [], 0)
    assert "<title>Nightly: outage: toolbox</title>" in page
    assert "No action is needed" in page
    assert "class=alarm" not in page
    assert "<script" not in page


def test_the_page_of_an_empty_ledger_is_shown() -> None:
    empty = STATUS | {"instances": {}, "workers": [], "dead_letters_open": 0}
    page = review_page(empty, [], [], 0)
    assert "all is well" in page
    assert "No dead letter is open." in page
