"""The headers of a proxy count only from its own addresses."""

import unicodedata

import pytest
from starlette.requests import Request

from worker.config.validators import split_networks
from worker.web.review.trusted_proxy import TrustedProxy

PROXY = TrustedProxy(
    split_networks("10.0.0.5, 192.0.2.0/24, 2001:db8::/64"),
    "x-user",
    "x-groups",
    {"ops": "operator", "all staff": "viewer", "CN=admins": "admin"},
)


def request(peer: str, *headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": (peer, 1)})


@pytest.mark.parametrize("peer", ["10.0.0.5", "192.0.2.77", "2001:db8::1", "::ffff:10.0.0.5"])
def test_the_proxy_names_a_person_with_the_highest_role_of_their_groups(peer: str) -> None:
    person = PROXY.person(request(peer, ("x-user", "ann@example.com"), ("x-groups", "all staff, ops,none")))
    assert person
    assert (person.name, person.role, person.how) == ("ann@example.com", "operator", "proxy")


@pytest.mark.parametrize("peer", ["10.0.0.6", "127.0.0.1", "2001:db8:1::1", "", "testclient"])
def test_the_same_headers_from_another_address_count_for_nothing(peer: str) -> None:
    forged = request(peer, ("x-user", "ann"), ("x-groups", "CN=admins"), ("x-forwarded-for", "10.0.0.5"))
    assert PROXY.person(forged) is None
    assert PROXY.is_forged(forged)
    assert PROXY.address_of(forged) == peer


@pytest.mark.parametrize("name", ["Łukasz", "Già", "Gia\u0300", "Zoë", "渡辺", "O'Neil"])
def test_a_name_and_its_groups_may_hold_letters_of_every_language(name: str) -> None:
    proxy = TrustedProxy(PROXY.networks, "x-user", "x-groups", {"Équipe": "operator"})
    sent = [(header, text.encode().decode("latin-1")) for header, text in (("x-user", name), ("x-groups", "a, Équipe"))]
    person = proxy.person(request("10.0.0.5", *sent))
    assert person
    assert (person.name, person.role) == (unicodedata.normalize("NFC", name), "operator")


def test_a_person_without_a_group_of_ours_has_no_role() -> None:
    for groups in ("", "admin", "operator", "OPS"):
        person = PROXY.person(request("10.0.0.5", ("x-user", "ann"), ("x-groups", groups)))
        assert person
        assert not person.may("viewer")


@pytest.mark.parametrize("name", ["", " ", "a" * 200, "a\u0085b"])
def test_a_name_that_nobody_can_read_is_refused(name: str) -> None:
    assert PROXY.person(request("10.0.0.5", ("x-user", name), ("x-groups", "ops"))) is None


def test_a_header_that_comes_twice_is_refused() -> None:
    twice = request("10.0.0.5", ("x-user", "ann"), ("x-user", "bob"), ("x-groups", "ops"))
    assert PROXY.person(twice) is None


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first one is what the client claims
        ("203.0.113.9, 192.0.2.8", "203.0.113.9"),
        ("nonsense", "10.0.0.5"),
        ("", "10.0.0.5"),
    ],
)
def test_the_address_is_the_last_one_that_is_not_the_proxys(forwarded: str, address: str) -> None:
    assert PROXY.address_of(request("10.0.0.5", ("x-forwarded-for", forwarded))) == address


def test_without_settings_no_header_counts() -> None:
    plain = request("127.0.0.1", ("x-user", "ann"), ("x-forwarded-for", "203.0.113.9"))
    assert TrustedProxy().person(plain) is None
    assert not TrustedProxy().is_forged(plain)
    assert TrustedProxy().address_of(plain) == "127.0.0.1"
