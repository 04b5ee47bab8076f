"""Texts that look like tokens are recognised, and common ids are not."""

import base64
import secrets
import string
import uuid

import pytest

from worker.vault.tokens import looks_like_token

BASE62 = string.ascii_letters + string.digits


def jwt() -> str:
    parts = (b'{"alg":"none"}', b'{"sub":"1234567890"}', secrets.token_bytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_json_web_token_is_a_token_in_every_position() -> None:
    for _ in range(100):
        assert looks_like_token(jwt())
        assert looks_like_token(f"login:{jwt()}/1")
    assert looks_like_token("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_nearly_every_random_key_is_a_token(encode: object) -> None:
    keys = [encode(secrets.token_bytes(32)).decode() for _ in range(2_000)]  # type: ignore[operator]
    assert sum(looks_like_token(key) and looks_like_token(f"key-{key}:1") for key in keys) > 1_980
    assert sum(looks_like_token("".join(secrets.choice(BASE62) for _ in range(32))) for _ in range(2_000)) > 1_980


@pytest.mark.parametrize(
    "text",
    [
        "evt-1",
        "cust-42",
        "account.linked/Toronto-West/2024-11-22T10:00:00Z",
        "CUST-0042-EU-west-1-Prod-20241122T100000Z",
        "The-Account-Of-Anne-Marie-Dupont-And-Sons-2024-Q3",
        "QuarterlyReportForCustomer42BranchToronto",
        "Invoice2024-Customer42-Branch7-Line12",
        "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
        "evt_0ujtsYcgvSTl8PAuAdqWYSMnLOv",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "12345678901234567890123456789012345678901234567890",
        "masked-seunhwgvroc4",
        "lgn_qczxyfu5kgat7jjnkev3sgbpma",
        "eyJ.is-no-token",
    ],
)
def test_an_ordinary_id_is_no_token(text: str) -> None:
    assert not looks_like_token(text)


def test_guids_digests_and_ksuids_are_no_tokens_with_any_prefix() -> None:
    for _ in range(2_000):
        guid, ksuid = uuid.uuid4(), "".join(secrets.choice(BASE62) for _ in range(27))
        for one in (
            str(guid),
            str(guid).upper(),
            guid.hex,
            secrets.token_hex(32),
            secrets.token_hex(20).upper(),
            ksuid,
        ):
            for prefix in ("", "evt-", "EVT_", "Link:", "cust/"):
                assert not looks_like_token(prefix + one)
        assert not looks_like_token(f"SM{guid.hex}")
