"""The settings of the review page: roles, addresses of proxies, and addresses for single sign-on."""

import pytest

from tests.unit.config.loading import CANARY, Set, refused
from worker.config.settings import Settings

NO_URL = "must be a URL such as https://nightly.example.com"
NO_ROLES = "must be a JSON object of group names and roles (viewer, operator, admin)"
NO_NETWORKS = "must be addresses or networks, comma-separated, such as 10.0.0.5 or 10.0.0.0/24"


def test_roles_proxies_and_addresses_are_read(env: Set) -> None:
    env(
        REVIEW_ROLES='{"ops": "operator", "CN=all, staff": "viewer"}',
        REVIEW_PROXY_ADDRESSES="10.0.0.5, 192.0.2.0/24,fd00::/8",
        REVIEW_URL="https://nightly.example.com/",
        REVIEW_OIDC_ISSUER="http://localhost:9000/realms/staff",
        REVIEW_IDLE_MINUTES="5",
    )
    settings = Settings.load()
    assert settings.review_roles == {"ops": "operator", "CN=all, staff": "viewer"}
    assert settings.review_url == "https://nightly.example.com"
    assert settings.review_oidc_issuer == "http://localhost:9000/realms/staff"
    assert settings.review_idle_minutes == 5


@pytest.mark.parametrize("value", [CANARY, "[]", '{"ops": "boss"}', '{"ops": ["admin"]}', '"admin"', "[" * 100_000])
def test_roles_must_be_an_object_of_our_roles(env: Set, value: str) -> None:
    env(REVIEW_ROLES=value)
    assert refused() == [f"REVIEW_ROLES: {NO_ROLES}"]


@pytest.mark.parametrize("value", [CANARY, "10.0.0.5,", "10.0.0.5/24", "proxy.example.com", "10.0.0.300"])
def test_a_proxy_has_addresses_not_names(env: Set, value: str) -> None:
    env(REVIEW_PROXY_ADDRESSES=value)
    assert refused() == [f"REVIEW_PROXY_ADDRESSES: {NO_NETWORKS}"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (CANARY, NO_URL),
        ("ftp://id.example.com", NO_URL),
        ("http://id.example.com", "must be https; plain http is for loopback only"),
        ("https://user:canary@id.example.com", "must hold no user, password, query or fragment"),
        ("https://id.example.com?a=b", "must hold no user, password, query or fragment"),
    ],
)
@pytest.mark.parametrize("name", ["REVIEW_URL", "REVIEW_OIDC_ISSUER"])
def test_an_address_must_be_https_and_hold_no_secret(env: Set, name: str, value: str, reason: str) -> None:
    env(**{name: value})
    assert refused() == [f"{name}: {reason}"]


def test_the_address_of_the_page_has_no_path(env: Set) -> None:
    env(REVIEW_URL="https://nightly.example.com/review")
    assert refused() == ["REVIEW_URL: must hold no path, such as https://nightly.example.com"]
