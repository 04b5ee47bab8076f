import pytest

from sandbox.emulator.api import Reading, read_request

JSON = "application/json"


def test_a_valid_request_is_read() -> None:
    assert read_request(JSON, b'{"loginId": "a", "isActivated": true}') == Reading("a", wish=True)
    assert read_request(f"{JSON}; charset=utf-8", b'{"isActivated": false, "loginId": "a"}') == Reading("a", wish=False)


def test_a_request_without_a_login_is_read_and_names_none() -> None:
    assert read_request(JSON, b'{"isActivated": true}') == Reading(None, wish=True)


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        (None, b'{"loginId": "a", "isActivated": true}', "Content-Type"),
        ("text/plain", b'{"loginId": "a", "isActivated": true}', "Content-Type"),
        (JSON, b"", "not JSON"),
        (JSON, b'{"loginId": "a"', "not JSON"),
        (JSON, b'{"loginId": "\\ud800", "isActivated": true}', "not JSON"),
        (JSON, b"[" * 100_000, "not JSON"),
        (JSON, b'{"loginId": "a", "isActivated": true, "n": NaN}', "not JSON"),
        (JSON, b"[]", "object"),
        (JSON, b'{"loginId": "a"}', "isActivated"),
        (JSON, b'{"loginId": "a", "isActivated": "true"}', "isActivated"),
        (JSON, b'{"loginId": "a", "isActivated": 1}', "isActivated"),
        (JSON, b'{"loginId": "a", "isActivated": null}', "isActivated"),
        (JSON, b'{"loginId": 7, "isActivated": true}', "loginId"),
        (JSON, b'{"loginId": null, "isActivated": true}', "loginId"),
    ],
)
def test_an_invalid_request_is_answered_with_its_problem(content_type: str | None, body: bytes, words: str) -> None:
    assert words in (read_request(content_type, body).problem or "")
