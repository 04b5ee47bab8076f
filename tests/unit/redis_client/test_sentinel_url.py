"""The ledger and Celery read a sentinel:// address in the same way."""

import pytest

from worker.redis_client.sentinel_url import SentinelAddress


def test_nodes_service_and_database_are_read() -> None:
    address = SentinelAddress.read("sentinel://a:1,b,[::1]:3/main/4")
    assert address.nodes == (("a", 1), ("b", 26379), ("::1", 3))
    assert (address.service, address.database) == ("main", 4)
    assert (address.username, address.password, address.sentinel_login) == (None, None, {})


def test_both_credentials_are_percent_decoded() -> None:
    address = SentinelAddress.read("sentinel://u:p%40s%2Fs@a:1/main?sentinel_username=s&sentinel_password=x%26y%2B")
    assert (address.username, address.password, address.database) == ("u", "p@s/s", 0)
    assert address.sentinel_login == {"username": "s", "password": "x&y+"}
    assert "p@s/s" not in repr(address)
    assert "x&y+" not in repr(address)


def test_a_password_without_a_user_is_read() -> None:
    address = SentinelAddress.read("sentinel://:word@a:1/main")
    assert (address.username, address.password) == (None, "word")


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://a:1",
        "sentinel://a:1/",
        "sentinel://a:1/main/x",
        "sentinel:///main",
        "sentinel://a:x/main",
        "sentinel://a:1,/main",
        "sentinel://u:canary@a:1/main?pasword=canary",
    ],
)
def test_an_invalid_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        SentinelAddress.read(url)
    assert "canary" not in str(caught.value)
