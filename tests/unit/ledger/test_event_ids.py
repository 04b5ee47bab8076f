"""Event ids come back as they went in, and only those that may be shortened are."""

import pytest

from worker.ledger.event_ids import event_id_of, pack_event_id

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_a_guid_takes_seventeen_bytes_and_comes_back_whole() -> None:
    packed = pack_event_id(GUID)
    assert (len(packed), event_id_of(packed)) == (17, GUID)


@pytest.mark.parametrize(
    "text", ["evt-1", "é", GUID.upper(), f"{{{GUID[1:-1]}}}", GUID[:-1] + "g", "x" * 17, GUID + "0"]
)
def test_any_other_text_is_kept_as_it_is(text: str) -> None:
    assert pack_event_id(text) == text.encode()
    assert event_id_of(text.encode()) == text
