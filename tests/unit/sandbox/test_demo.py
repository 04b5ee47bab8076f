import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from rich.console import Console

from sandbox.demo import command as demo
from sandbox.demo.mix import CeleryMessage, Event, Mix, Parcel, mix_of, newest_wishes
from sandbox.demo.outcome import Evidence, Outcome, judge
from sandbox.demo.screen import Look, Screen
from sandbox.demo.table import picture
from sandbox.emulator.knobs import KNOBS
from worker.cli.shell import told_to_stop
from worker.ledger.dead_letters import Letter

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MIX = mix_of(2000, random.Random(3), NOW)


def reference(login_id: str) -> str:
    return f"lgn_{login_id[::-1]}"


def on_the_wire(parcels: list[Parcel]) -> Iterator[tuple[str, str, str, str]]:
    """Every event (login, time, type, id) for a login of the mix, in the order of sending."""
    ours = MIX.newest.keys() | MIX.unknown
    for parcel in parcels:
        if isinstance(parcel, CeleryMessage):
            got: Any = parcel.kwargs
            events = [(got.get("login_id"), got.get("occurred_at"), parcel.task, got.get("event_id"))]
        else:
            try:
                document = json.loads(parcel.fields.get("event", b"{}"))
            except ValueError:
                continue
            found = document if isinstance(document, list) else [document]
            events = [
                (each["data"].get("loginId"), each.get("time"), each["type"], each["id"]) for each in found if each
            ]
        yield from (event for event in events if event[0] in ours)


def test_the_mix_has_the_promised_number_of_events_and_logins() -> None:
    assert MIX.events >= 2000
    assert MIX.logins == 1000
    assert sum(parcel.events for parcel in MIX.parcels) == MIX.events
    assert len(list(on_the_wire(list(MIX.parcels)))) == MIX.good
    assert set(MIX.rejected) == {"invalid_event", "unknown_instance"}


def test_the_same_seed_gives_the_same_mix_and_another_seed_another() -> None:
    assert mix_of(2000, random.Random(3), NOW) == MIX
    assert mix_of(2000, random.Random(4), NOW) != MIX


def test_the_wishes_are_those_of_the_latest_event_on_the_wire() -> None:
    latest: dict[str, tuple[str, bool]] = {}
    for login, time, kind, _ in on_the_wire(list(MIX.parcels)):
        latest[login] = max(latest.get(login, ("", False)), (time, kind == "account.inactive"))
    assert MIX.newest == {login: not is_off for login, (_, is_off) in latest.items() if login not in MIX.unknown}


def test_hundreds_of_logins_get_their_newest_event_before_an_older_one_and_many_get_one_twice() -> None:
    sent: dict[str, list[str]] = {}
    ids: Counter[str] = Counter()
    for login, time, _, event_id in on_the_wire(list(MIX.parcels)):
        sent.setdefault(login, []).append(time)
        ids[event_id] += 1
    assert sum(times[-1] != max(times) for times in sent.values()) > 200
    assert sum(count > 1 for count in ids.values()) > 100


def test_an_unknown_login_has_one_event_so_that_one_call_is_right() -> None:
    told = {(login, event_id) for login, _, _, event_id in on_the_wire(list(MIX.parcels)) if login in MIX.unknown}
    assert len(told) == len(MIX.unknown) == 40


@pytest.mark.parametrize("order", [1, -1])
def test_time_decides_and_at_the_same_instant_inactive_wins(order: int) -> None:
    events = [
        Event("later", wants_active=False, occurred_at=NOW, event_id="a"),
        Event("later", wants_active=True, occurred_at=NOW + timedelta(microseconds=1), event_id="b"),
        Event("tie", wants_active=True, occurred_at=NOW, event_id="d"),
        Event("tie", wants_active=False, occurred_at=NOW, event_id="c"),
    ]
    assert newest_wishes(events[::order]) == {"later": True, "tie": False}


def test_the_emulator_knows_every_fault_and_each_of_them_ends() -> None:
    for fault in (*MIX.faults, *MIX.volleys):
        assert KNOBS[fault["knob"]].model_validate(fault)
        is_harmless = fault["knob"] == "latency" or set(fault.get("logins", ())) <= MIX.unknown
        assert is_harmless or fault.keys() & {"once_per_login", "times"}
    struck = Counter(login for fault in MIX.faults for login in fault.get("logins", ()) if login in MIX.newest)
    assert set(struck.values()) == {1}


def evidence(mix: Mix) -> Evidence:
    """The state after a run without a mistake."""
    dead = len(mix.unknown)
    tally = {"recorded": mix.good, "applied_on": mix.good - dead, "dead_lettered": dead, "dead:INVALID_LOGIN": dead}
    letters = [letter("login", "INVALID_LOGIN", login=reference(login)) for login in mix.unknown]
    letters += [letter("message", code, seen=count) for code, count in mix.rejected.items()]
    look = Look(published=mix.events, rejected=sum(mix.rejected.values()), tally=tally)
    return Evidence(look, letters, dict(mix.newest), dict.fromkeys(mix.unknown, 1), calls=1500, seconds=10.0)


def letter(kind: str, code: str, **fields: Any) -> Letter:
    return Letter(id="dl-1", kind=kind, status="open", code=code, created_at=0, last_at=0, **fields)


def judged(found: Evidence) -> Outcome:
    return judge(MIX, found, reference)


RIGHT = evidence(MIX)
KNOWN, OTHER = list(MIX.newest)[:2]
UNKNOWN = min(MIX.unknown)


def test_a_correct_result_is_reported_as_correct() -> None:
    outcome = judged(RIGHT)
    assert outcome.is_right
    assert outcome.document()["ok"]
    assert outcome.document()["logins"] == {"compared": 1000, "equal": 1000, "differing": []}


@pytest.mark.parametrize(
    ("login", "found"),
    [
        (KNOWN, replace(RIGHT, flags={**RIGHT.flags, KNOWN: not RIGHT.flags[KNOWN]})),
        (KNOWN, replace(RIGHT, flags={login: flag for login, flag in RIGHT.flags.items() if login != KNOWN})),
        (KNOWN, replace(RIGHT, letters=[*RIGHT.letters, letter("login", "X", login=reference(KNOWN))])),
        (UNKNOWN, replace(RIGHT, flags={**RIGHT.flags, UNKNOWN: True})),
        (UNKNOWN, replace(RIGHT, refusals={**RIGHT.refusals, UNKNOWN: 2})),
        (UNKNOWN, replace(RIGHT, refusals={**RIGHT.refusals, UNKNOWN: 0})),
        (UNKNOWN, replace(RIGHT, letters=[each for each in RIGHT.letters if each.login != reference(UNKNOWN)])),
        (UNKNOWN, replace(RIGHT, letters=[*RIGHT.letters, letter("login", "X", login=reference(UNKNOWN))])),
        ("nobody", replace(RIGHT, flags={**RIGHT.flags, "nobody": True})),
    ],
    ids=["flipped", "missing", "dead", "written", "called twice", "never called", "no letter", "letters", "stranger"],
)
def test_a_login_with_a_wrong_state_is_named_by_reference(login: str, found: Evidence) -> None:
    outcome = judged(found)
    assert not outcome.is_right
    assert outcome.differing == [reference(login)]


@pytest.mark.parametrize(
    "look",
    [
        replace(RIGHT.look, published=MIX.events - 1),
        replace(RIGHT.look, rejected=RIGHT.look.rejected + 1),
        replace(RIGHT.look, tally={**RIGHT.look.tally, "applied_on": 1}),
        replace(RIGHT.look, tally={**RIGHT.look.tally, "recorded": MIX.good - 1}),
        replace(RIGHT.look, still_open={"waiting": 1}),
    ],
)
def test_a_missing_or_extra_event_is_wrong(look: Look) -> None:
    outcome = judged(replace(RIGHT, look=look))
    assert not outcome.is_right
    assert outcome.differing == []


def test_a_rejection_under_another_code_is_wrong() -> None:
    letters = [replace(each, code="invalid_event") for each in RIGHT.letters if each.kind == "message"]
    others = [each for each in RIGHT.letters if each.kind != "message"]
    assert not judged(replace(RIGHT, letters=letters + others)).is_accounted_for


def shown(outcome: Outcome) -> str:
    screen = Console(width=80, markup=False, highlight=False)
    with screen.capture() as captured:
        screen.print(picture(outcome))
    return captured.get()


def test_the_result_fits_a_terminal_and_names_what_was_compared() -> None:
    text = shown(judged(RIGHT))
    assert max(map(len, text.splitlines())) <= 80
    assert "1,000 of 1,000 logins at Flinks match their newest event" in text
    assert "every event is accounted for" in text
    assert "make run" in text


def test_no_login_id_is_shown_when_everything_is_wrong() -> None:
    outcome = judged(replace(RIGHT, flags={}, letters=[], look=replace(RIGHT.look, still_open={"waiting": 7})))
    text = shown(outcome) + json.dumps(outcome.document())
    assert "and 980 more" in text
    assert "still open: waiting 7" in text
    assert outcome.differing[0] in text
    assert not [login for login in MIX.newest if login in text]


@pytest.mark.parametrize(("found", "exit_code"), [(RIGHT, None), (replace(RIGHT, flags={}), 1)], ids=["right", "wrong"])
def test_the_exit_code_and_the_json_object_state_the_result(
    found: Evidence, exit_code: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_run", lambda *_, **__: judged(found))
    got = None
    try:
        demo.demo(as_json=True, seed=3)
    except typer.Exit as ended:
        got = ended.exit_code
    assert got == exit_code
    document = json.loads(capsys.readouterr().out)
    assert (document["seed"], document["ok"]) == (3, exit_code is None)


def test_without_a_terminal_plain_lines_appear_at_a_limited_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(Console(force_terminal=False), total=10) as screen:
        screen.show(Look(published=4, rejected=1, tally={"recorded": 2, "applied_on": 1, "calls": 3}))
        screen.show(Look(published=5))
    assert capsys.readouterr().out == (
        "  published 4, recorded 3, settled 2 of 10; calls 3, applied on 1, rejected 1\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_repeated_signals_interrupt_once(number: int) -> None:
    before = signal.getsignal(number)
    with told_to_stop():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
