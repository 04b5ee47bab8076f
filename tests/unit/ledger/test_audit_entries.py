"""The chain of the audit log: what an entry holds, and which changes to the log are found."""

import json
from collections.abc import Sequence

import pytest

from worker.ledger.audit_entries import Actor, Broken, Chain, Deed, Entry, Head, Verification, next_entry, verify_chain

ANN = Actor("ann", "operator", "page", "10.0.0.7")


def chain_of(count: int, *, why: str = "") -> list[Entry]:
    entries: list[Entry] = []
    for number in range(count):
        head = entries[-1].head if entries else Head()
        deed = Deed(ANN, "letter.replay", f"dl-{number}", why, {"version": number})
        entries.append(next_entry(deed, head, 1_700_000_000_000 + number))
    return entries


def check(texts: Sequence[str], stored: Head, *, logged: Sequence[Head] = ()) -> None:
    chain = Chain(logged=logged)
    for text in texts:
        chain.add(text)
    chain.end(stored)


def test_an_entry_says_who_did_what_to_what_and_why_and_from_where() -> None:
    (entry,) = chain_of(1, why="they called us")
    assert json.loads(entry.text) == {
        "n": 1,
        "at": 1_700_000_000_000,
        "by": "ann",
        "role": "operator",
        "via": "page",
        "address": "10.0.0.7",
        "action": "letter.replay",
        "target": "dl-0",
        "why": "they called us",
        "detail": {"version": 0},
        "before": "",
    }
    assert Entry.read(entry.text) == entry


def test_what_looks_like_a_login_id_is_masked_in_the_reason() -> None:
    (entry,) = chain_of(1, why="login 5c9d9ab6-7f2c-4a51-9a53-0d2f6a6c4f10 is gone")
    assert "5c9d9ab6" not in entry.text
    assert entry.why == "login [masked] is gone"


def test_a_name_that_is_no_text_can_be_recorded() -> None:
    deed = Deed(Actor("\ud800\x00" + "x" * 999, "viewer", "page"), "session.begin", "x", "y" * 9999)
    entry = next_entry(deed, Head(), 1)
    assert len(entry.by) == 200
    assert len(entry.why) <= 2010
    check([entry.text], entry.head)


def test_each_entry_holds_the_hash_of_the_one_before() -> None:
    first, second = chain_of(2)
    assert (second.n, second.before) == (2, first.hash)
    check([first.text, second.text], second.head, logged=[first.head, second.head])


@pytest.mark.parametrize("changed", range(4))
def test_a_changed_entry_is_found(changed: int) -> None:
    entries = chain_of(4)
    texts = [entry.text for entry in entries]
    texts[changed] = texts[changed].replace('"by":"ann"', '"by":"bob"')
    with pytest.raises(Broken) as broken:
        check(texts, entries[-1].head)
    assert broken.value.number in {changed + 1, changed + 2}


@pytest.mark.parametrize("deleted", range(4))
def test_a_deleted_entry_is_found(deleted: int) -> None:
    entries = chain_of(4)
    with pytest.raises(Broken) as broken:
        check([entry.text for entry in entries if entry.n != deleted + 1], entries[-1].head)
    assert broken.value.number == min(deleted + 1, 3)


def test_entries_that_changed_places_are_found() -> None:
    first, second, third = chain_of(3)
    with pytest.raises(Broken, match=r"^entry 3 is in its place: entries were removed, added or moved$"):
        check([first.text, third.text, second.text], third.head)


def test_a_log_without_its_end_is_found_by_the_stored_head() -> None:
    entries = chain_of(3)
    with pytest.raises(Broken, match="the stored head is that of entry 3"):
        check([entry.text for entry in entries[:2]], entries[-1].head)


def test_a_log_without_its_end_and_with_another_head_is_found_by_a_logged_head() -> None:
    entries = chain_of(4)
    logged = [entries[3].head, entries[2].head, entries[0].head]
    with pytest.raises(Broken, match=r"^it is the last one, but entry 4 was logged: the end is lost$"):
        check([entry.text for entry in entries[:2]], entries[1].head, logged=logged)


def test_a_log_that_was_rewritten_as_a_whole_is_found_by_a_logged_head() -> None:
    logged, rewritten = chain_of(3), chain_of(3, why="nothing happened")
    check([entry.text for entry in rewritten], rewritten[-1].head)
    with pytest.raises(
        Broken, match=r"^its hash is not the one that was logged: the log was rewritten up to here$"
    ) as broken:
        check([entry.text for entry in rewritten], rewritten[-1].head, logged=[logged[1].head])
    assert broken.value.number == 2


@pytest.mark.parametrize("text", ["", "7", "[]", "{}", "null", "[" * 100_000, '{"n": 1}'])
def test_a_text_that_is_no_entry_is_found(text: str) -> None:
    with pytest.raises(Broken, match="no entry of the audit log"):
        Chain().add(text)


@pytest.mark.parametrize(
    ("name", "value"), [("at", -1), ("at", 10**30), ("at", "1"), ("n", True), ("by", None), ("why", 7), ("detail", "x")]
)
def test_an_entry_with_a_value_of_another_kind_is_no_entry(name: str, value: object) -> None:
    (entry,) = chain_of(1)
    with pytest.raises(ValueError, match="not an entry"):
        Entry.read(json.dumps(json.loads(entry.text) | {name: value}))


@pytest.mark.parametrize("at", [0, 253_402_300_799_999])
def test_an_entry_of_any_time_that_a_calendar_has_is_read(at: int) -> None:
    entry = next_entry(Deed(Actor("ann", "viewer", "cli"), "session.open", "ann"), Head(), at)
    assert Entry.read(entry.text) == entry
    assert (entry.address, entry.why, entry.detail) == ("", "", {})
    with pytest.raises(ValueError, match=r"^it is not an entry of the audit log$"):
        Entry.read(entry.text.replace(f'"at":{at}', f'"at":{at + 1 if at else -1}'))


def test_a_ledger_without_entries_has_an_empty_head() -> None:
    assert str(Head()) == ""


def test_a_head_is_read_in_both_of_its_forms() -> None:
    (entry,) = chain_of(1)
    assert Head.read(str(entry.head)) == entry.head
    assert Head.read(f"1 {entry.head.grouped}") == entry.head


@pytest.mark.parametrize(
    "text",
    ["", "1", "x " + "a" * 64, "1 " + "a" * 63, "1 " + "g" * 64, "-1 " + "a" * 64, "0 " + "a" * 64, "٣ " + "a" * 64],
)
def test_a_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a head is a number and 64 hexadecimal digits$"):
        Head.read(text)


def test_a_verification_counts_what_it_checked_and_names_what_does_not_fit() -> None:
    entries = chain_of(4)
    texts, end = [entry.text for entry in entries], entries[-1].head
    assert verify_chain(texts, stored=end) == Verification(4, end)
    assert verify_chain(texts[2:], start=entries[1].head) == Verification(2, end)
    assert verify_chain(texts[2:], start=entries[1].head).reason == ""
    found = verify_chain([texts[2], "x", texts[3]], start=entries[1].head)
    assert (found.count, found.head, found.broken_at) == (1, entries[2].head, 4)
    assert found.reason == "it is no entry of the audit log"
    assert verify_chain(texts, stored=entries[2].head).broken_at == 4
    assert verify_chain([], logged=[end]).broken_at == 0
    assert verify_chain([]) == Verification(0, Head())
