"""Only a request signed with a secret is accepted: unaltered and recent."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_events import OTHER_SECRET, SECRET, signed
from worker.config.validators import split_webhook_secrets
from worker.web.webhook.signature import TOLERANCE_SECONDS, BadSignature, Headers, new_secret, verify

NOW = 1_795_000_000.0
BODY = b'{"test": 2432232314}'
KEYS = split_webhook_secrets(f"new={SECRET},old={OTHER_SECRET}")


def headers(**signing: Any) -> list[tuple[str, str]]:
    return list(signed(BODY, **({"at": NOW} | signing)).items())


def replaced(name: str, value: str) -> Headers:
    return [(given, value if given == name else old) for given, old in headers()]


def refusal(given: Headers, *, content: bytes = BODY, now: float = NOW) -> str:
    with pytest.raises(BadSignature) as caught:
        verify(KEYS, given, content, now=now)
    return str(caught.value)


def test_a_signature_of_the_reference_library_is_accepted() -> None:
    keys = split_webhook_secrets("spec=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    by_library = [  # PyPI's standardwebhooks 1.1.0
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ]
    assert verify(keys, by_library, BODY, now=1_614_265_330).sender == "spec"


@pytest.mark.parametrize(("secret", "name"), [(SECRET, "new"), (OTHER_SECRET, "old")])
def test_either_of_two_secrets_is_accepted_during_a_rotation(secret: str, name: str) -> None:
    assert verify(KEYS, headers(secret=secret), BODY, now=NOW).sender == name


def test_one_valid_signature_among_others_is_enough() -> None:
    assert verify(KEYS, headers(more="v1a,Zm9v v1,Zm9v v1,%%% v2 v1 "), BODY, now=NOW).sender == "new"


@pytest.mark.parametrize("off", [-TOLERANCE_SECONDS, 0, TOLERANCE_SECONDS])
def test_a_timestamp_may_differ_by_five_minutes_either_way(off: int) -> None:
    assert verify(KEYS, headers(at=NOW + off), BODY, now=NOW)


@pytest.mark.parametrize("off", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1])
def test_a_timestamp_that_differs_by_more_is_refused(off: int) -> None:
    assert refusal(headers(at=NOW + off)) == "webhook-timestamp: differs by more than 300 s from this server's clock"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_required_once(name: str) -> None:
    without = [pair for pair in headers() if pair[0] != name]
    assert refusal(without) == refusal([*headers(), (name, "x")]) == f"{name}: is required exactly once"


@pytest.mark.parametrize("value", ["", "a.b", "a b", "é", "x" * 257])
def test_an_id_that_would_make_the_signed_text_ambiguous_is_refused(value: str) -> None:
    assert refusal(replaced("webhook-id", value)).startswith("webhook-id: must be")


@pytest.mark.parametrize("value", ["", "nan", "-5", "1e9", "1795000000.5", "٣", "9" * 400])
def test_a_timestamp_is_whole_seconds(value: str) -> None:
    assert refusal(replaced("webhook-timestamp", value)) == "webhook-timestamp: must be whole seconds since 1970"


def test_an_altered_request_is_refused() -> None:
    assert refusal(headers(), content=BODY + b" ").startswith("webhook-signature: ")
    assert refusal(replaced("webhook-id", "msg-2")).startswith("webhook-signature: ")
    assert refusal(replaced("webhook-timestamp", str(int(NOW) + 1))).startswith("webhook-signature: ")
    assert refusal(headers(secret=new_secret())).startswith("webhook-signature: ")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_garbage_is_refused_without_repeating_it(one: str, two: str, three: str) -> None:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    reason = refusal([*zip(names, (f"canary{one}", two, three), strict=True)])
    assert "canary" not in reason


def test_a_new_secret_is_valid_and_differs_each_time() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(split_webhook_secrets(f"a={one}")["a"]) == len(base64.b64decode(one[6:])) == 32
