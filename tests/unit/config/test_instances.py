"""Keys and instances: which credentials an instance uses, and how two instances differ."""

from typing import Any

import pytest

from tests.unit.config.loading import (
    CANARY,
    FURTHER,
    GUID,
    NO_BASE_URL,
    NO_GUID,
    NO_HEADER_VALUE,
    NO_LABEL,
    Set,
    refused,
)
from worker.config.instances import Instance
from worker.config.settings import Settings
from worker.vault.vault import Vault, decode_key


def instance_of(**changes: str) -> Instance:
    parts: dict[str, Any] = {"name": "toolbox", "customer_id": "c", "auth_key": "k", "auth_header": "h"}
    return Instance(**(parts | {"auth_scheme": "", "base_url": "https://a"} | changes))


def test_webhook_secrets_are_read_in_order_with_and_without_padding(env: Set) -> None:
    assert Settings.load().webhook_keys() == {}
    env(HTTP_EVENTS_SECRETS=f" new=whsec_{'A' * 43}= , old=whsec_{'B' * 42}A")
    keys = Settings.load().webhook_keys()
    assert list(keys) == ["new", "old"]
    assert keys["new"] == bytes(32)
    assert "BBBB" not in repr(Settings.load())


def test_references_depend_on_the_oldest_of_login_keys(env: Set) -> None:
    env(LOGIN_KEYS=" " + "A" * 43 + " , " + "B" * 42 + "A ", SANDBOX="1")
    assert Settings.load().vault().reference("i", "l") == Vault([b"\x04\x10A" * 10 + b"\x04\x10"]).reference("i", "l")


def test_the_default_instance_exists_when_it_has_a_key(env: Set) -> None:
    env(FLINKS_AUTH_KEY="k", FLINKS_CUSTOMER_ID=GUID, FLINKS_AUTH_SCHEME="Bearer", FLINKS_INSTANCE="acme-ca")
    (instance,) = Settings.load().instances().values()
    assert instance.auth_key.get_secret_value() == "k"
    assert instance.model_dump(exclude={"auth_key"}) == {
        "name": "acme-ca",
        "customer_id": GUID.lower(),
        "auth_header": "flinks-auth-key",
        "auth_scheme": "Bearer",
        "base_url": "https://acme-ca-api.private.fin.ag",
    }


def test_further_instances_have_their_own_credentials_and_may_have_their_own_address(env: Set) -> None:
    env(FLINKS_AUTH_KEY="k", FLINKS_INSTANCES={"eu": FURTHER, "us": {"customer_id": GUID, "auth_key": "k3"}})
    instances = Settings.load().instances()
    assert {name: item.auth_key.get_secret_value() for name, item in instances.items()} == {
        "toolbox": "k",
        "eu": "k2",
        "us": "k3",
    }
    assert instances["eu"].base_url == "https://eu.example/eu"
    assert instances["us"].base_url == "https://us-api.private.fin.ag"


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        ({"a": FURTHER, "b": {"customer_id": GUID}}, ["FLINKS_INSTANCES (entry 2, auth_key): is required"]),
        ({"a": CANARY}, ["FLINKS_INSTANCES (entry 1): must be a JSON object"]),
        ({"a": None, CANARY: FURTHER}, ["FLINKS_INSTANCES (entry 1): must be a JSON object", f"2: {NO_LABEL}"]),
        ({"a": FURTHER | {"customer_id": CANARY}}, [f"FLINKS_INSTANCES (entry 1, customer_id): {NO_GUID}"]),
        ({"a": FURTHER | {"auth_key": ""}}, [f"FLINKS_INSTANCES (entry 1, auth_key): {NO_HEADER_VALUE}"]),
        ({"a": FURTHER | {"base_url": CANARY}}, [f"FLINKS_INSTANCES (entry 1, base_url): {NO_BASE_URL}"]),
        (
            {"a": FURTHER | {CANARY: "x"}},
            ["FLINKS_INSTANCES (entry 1): holds a field other than customer_id, auth_key, base_url"],
        ),
    ],
)
def test_a_wrong_entry_is_named_by_its_number(env: Set, entries: dict[str, object], lines: list[str]) -> None:
    env(FLINKS_INSTANCES=entries)
    expected = [line if line.startswith("F") else f"FLINKS_INSTANCES (entry {line[0]}){line[1:]}" for line in lines]
    assert refused() == expected


def test_two_keys_for_one_instance_are_refused(env: Set) -> None:
    env(FLINKS_INSTANCES={"toolbox": FURTHER})
    assert Settings.load().instances()["toolbox"].auth_key.get_secret_value() == "k2"
    env(FLINKS_AUTH_KEY="k")
    assert refused() == ["FLINKS_INSTANCES: repeats FLINKS_INSTANCE, whose key is FLINKS_AUTH_KEY"]


def test_an_instance_s_fingerprint_changes_with_any_part_and_with_the_keys(vault: Vault) -> None:
    changes = [
        {},
        {"name": "other"},
        {"customer_id": "d"},
        {"auth_key": CANARY},
        {"auth_header": "authorization"},
        {"auth_scheme": "Bearer"},
        {"base_url": "https://b"},
    ]
    fingerprints = [instance_of(**change).fingerprint(vault) for change in changes]
    assert len(set(fingerprints)) == len(changes)
    assert instance_of().fingerprint(vault) == fingerprints[0]
    assert instance_of().fingerprint(Vault([bytes(32)])) not in fingerprints
    assert CANARY not in repr(instance_of(auth_key=CANARY))


def test_a_new_key_in_front_of_login_keys_changes_no_fingerprint_of_an_instance(login_keys: str, vault: Vault) -> None:
    rotated = Vault([bytes(32), decode_key(login_keys)])
    assert instance_of().fingerprint(rotated) == instance_of().fingerprint(vault)
