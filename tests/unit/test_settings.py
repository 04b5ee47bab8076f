"""Each wrong value stops the start with exactly one line, which names the variable and never the value."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.errors import SettingsError
from worker.gate_rules import GateRules
from worker.seal import Vault
from worker.settings import Instance, Settings

CANARY = "cAnArY-5ecret"
GUID = "43387CA6-0391-4C82-857D-70D95F087ECB"
FURTHER = {"customer_id": GUID, "auth_key": "k2", "base_url": "https://eu.example/{instance}/"}

NO_URL = "is no URL; percent-encode special characters in a user or password"
NO_HEADER_VALUE = "must be printable ASCII with no line break and no space at either end"
NO_REDIS = "must begin with one of redis://, rediss://, unix://, sentinel://"
NO_LABEL = "must be a host name label: lower-case letters, digits and hyphens"
NO_GUID = "must be a GUID such as 43387ca6-0391-4c82-857d-70d95f087ecb"
NO_BASE_URL = "must be a URL such as https://{instance}-api.private.fin.ag"
NO_PLAIN_URL = "must hold no user, password, query or fragment"
NO_OBJECT = "must be a JSON object, one entry an instance"
NO_KEYS = "must be comma-separated keys; `nightly keys new` prints one"
NO_SECRET = "entry 1 must be name=whsec_...; `nightly keys webhook` prints the part after ="
NO_REPEAT = "entry 2 repeats the name or the secret of another"
WEBHOOK_SECRET = "crm=whsec_" + "A" * 40

Set = Callable[..., None]


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Set:
    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))

    return put


def refused(*require: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(require=require)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def instance_of(**changes: str) -> Instance:
    parts: dict[str, Any] = {"name": "toolbox", "customer_id": "c", "auth_key": "k", "auth_header": "h"}
    return Instance(**(parts | {"auth_scheme": "", "base_url": "https://a"} | changes))


def test_an_empty_environment_has_every_default() -> None:
    settings = Settings.load()
    assert settings.redis_url is None
    assert settings.flinks_instance == "toolbox"
    assert settings.instances() == {}
    assert (settings.retry_max_attempts, settings.retry_max_age_hours) == (20, 24)
    assert (settings.flinks_calls_per_second, settings.flinks_max_in_flight) == (50, 64)


def test_an_empty_value_means_the_default(env: Set) -> None:
    env(REDIS_URL="", METRICS_PORT="", FLINKS_SETTLE_SECONDS="", FLINKS_INSTANCES="")
    assert Settings.load() == Settings()
    assert refused("REDIS_URL")


def test_a_name_may_be_in_small_letters(env: Set) -> None:
    env(redis_url="redis://a")
    assert Settings.load(require=["REDIS_URL"]).redis_url is not None


@pytest.mark.parametrize(("name", "level"), [("info", "INFO"), ("Debug", "DEBUG"), ("ERROR", "ERROR")])
def test_a_log_level_may_be_written_in_any_case(env: Set, name: str, level: str) -> None:
    env(LOG_LEVEL=name)
    assert Settings.load().log_level == level


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("REDIS_URL", f"http://{CANARY}", NO_REDIS),
        ("REDIS_URL", CANARY, NO_REDIS),
        ("REDIS_URL", f"REDIS://{CANARY}", NO_REDIS),
        ("REDIS_URL", f"amqp://{CANARY}", NO_REDIS),
        ("REDIS_URL", f"redis://:{CANARY}#x@h/0", NO_URL),
        ("REDIS_URL", f"redis://:{CANARY}/x@h/0", NO_URL),
        ("REDIS_URL", f"redis://h:{CANARY}", NO_URL),
        ("REDIS_URL", f"redis://[{CANARY}", NO_URL),
        ("REDIS_URL", f"redis://:{CANARY}℀@h", NO_URL),
        ("REDIS_URL", f"redis://:{CANARY} x@h", NO_URL),
        ("REDIS_URL", f"unix:///{CANARY}\n", NO_URL),
        (
            "BROKER_URL",
            f"kafka://{CANARY}",
            "must begin with one of redis://, rediss://, unix://, sentinel://, amqp://, amqps://",
        ),
        ("FLINKS_INSTANCE", CANARY, NO_LABEL),
        ("FLINKS_INSTANCE", "-acme", NO_LABEL),
        ("FLINKS_INSTANCE", "a.evil.example/", NO_LABEL),
        ("FLINKS_INSTANCE", "a" * 64, NO_LABEL),
        ("FLINKS_CUSTOMER_ID", CANARY, NO_GUID),
        ("FLINKS_CUSTOMER_ID", GUID + "0", NO_GUID),
        ("FLINKS_AUTH_KEY", CANARY + "\n", NO_HEADER_VALUE),
        ("FLINKS_AUTH_KEY", " " + CANARY, NO_HEADER_VALUE),
        ("FLINKS_AUTH_KEY", CANARY + "é", NO_HEADER_VALUE),
        ("FLINKS_API_SECRET", CANARY + "\r\nx: y", NO_HEADER_VALUE),
        ("FLINKS_AUTH_HEADER", CANARY + ":", "must be an HTTP header name"),
        ("FLINKS_AUTH_SCHEME", CANARY + " x", "string should match pattern '^[A-Za-z0-9_-]*$'"),
        ("FLINKS_BASE_URL", CANARY, NO_BASE_URL),
        ("FLINKS_BASE_URL", f"ftp://{CANARY}", NO_BASE_URL),
        ("FLINKS_BASE_URL", "https:///x", NO_BASE_URL),
        ("FLINKS_BASE_URL", f"https://h:{CANARY}", NO_URL),
        ("FLINKS_BASE_URL", "https://h\n.example", NO_URL),
        ("FLINKS_BASE_URL", f"https://{CANARY}@h", NO_PLAIN_URL),
        ("FLINKS_BASE_URL", f"https://h/?{CANARY}", NO_PLAIN_URL),
        ("FLINKS_BASE_URL", "https://h/?", NO_PLAIN_URL),
        ("FLINKS_BASE_URL", f"https://h/#{CANARY}", NO_PLAIN_URL),
        ("FLINKS_INSTANCES", CANARY, NO_OBJECT),
        ("FLINKS_INSTANCES", f'["{CANARY}"]', NO_OBJECT),
        ("FLINKS_INSTANCES", "[" * 100_000, NO_OBJECT),
        ("FLINKS_TIMEOUT_SECONDS", CANARY, "input should be a valid number, unable to parse string as a number"),
        ("FLINKS_TIMEOUT_SECONDS", "0", "input should be greater than 0"),
        ("FLINKS_TIMEOUT_SECONDS", "nan", "input should be less than or equal to 120"),
        ("FLINKS_TIMEOUT_SECONDS", "121", "input should be less than or equal to 120"),
        ("FLINKS_SETTLE_SECONDS", "-1", "input should be greater than or equal to 0"),
        ("FLINKS_SETTLE_SECONDS", "3601", "input should be less than or equal to 3600"),
        ("FLINKS_CALLS_PER_SECOND", "0", "input should be greater than 0"),
        ("FLINKS_CALLS_PER_SECOND", "inf", "input should be less than or equal to 100000"),
        ("FLINKS_MAX_IN_FLIGHT", "0", "input should be greater than or equal to 1"),
        ("FLINKS_MAX_IN_FLIGHT", "10001", "input should be less than or equal to 10000"),
        ("FLINKS_MAX_IN_FLIGHT", "1.5", "input should be a valid integer, unable to parse string as an integer"),
        ("RETRY_MAX_ATTEMPTS", "0", "input should be greater than or equal to 1"),
        ("RETRY_MAX_ATTEMPTS", "1001", "input should be less than or equal to 1000"),
        ("RETRY_MAX_AGE_HOURS", "0", "input should be greater than 0"),
        ("RETRY_MAX_AGE_HOURS", "8761", "input should be less than or equal to 8760"),
        ("EVENT_MAX_AHEAD_SECONDS", "-1", "input should be greater than or equal to 0"),
        ("EVENT_MAX_AHEAD_SECONDS", "604801", "input should be less than or equal to 604800"),
        ("LOGIN_KEYS", CANARY, NO_KEYS),
        ("LOGIN_KEYS", ",", NO_KEYS),
        ("LOGIN_KEYS", "A" * 43 + ",", NO_KEYS),
        ("LOGIN_KEYS", "A" * 43 + ", " + "A" * 43 + "=", "holds the same key twice"),
        ("HTTP_EVENTS_SECRETS", CANARY, NO_SECRET),
        ("HTTP_EVENTS_SECRETS", f"crm={CANARY}", NO_SECRET),
        ("HTTP_EVENTS_SECRETS", "crm=whsec_" + "A" * 30, NO_SECRET),
        ("HTTP_EVENTS_SECRETS", "crm=whsec_" + "A" * 88, NO_SECRET),
        ("HTTP_EVENTS_SECRETS", "crm=whsec_" + "é" * 40, NO_SECRET),
        ("HTTP_EVENTS_SECRETS", "c m=whsec_" + "A" * 43, NO_SECRET),
        ("HTTP_EVENTS_SECRETS", WEBHOOK_SECRET + ",", NO_SECRET.replace("1", "2")),
        ("HTTP_EVENTS_SECRETS", f"{WEBHOOK_SECRET}, {WEBHOOK_SECRET}BBBB", NO_REPEAT),
        ("HTTP_EVENTS_SECRETS", f"{WEBHOOK_SECRET}, b{WEBHOOK_SECRET}", NO_REPEAT),
        ("HTTP_EVENTS_PER_SECOND", "0", "input should be greater than 0"),
        ("HTTP_EVENTS_REPLICAS", "-1", "input should be greater than or equal to 0"),
        ("LOG_FORMAT", CANARY, "input should be 'json' or 'console'"),
        ("LOG_LEVEL", CANARY, "input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("METRICS_PORT", CANARY, "input should be a valid integer, unable to parse string as an integer"),
        ("METRICS_PORT", "0", "input should be greater than or equal to 1"),
        ("METRICS_PORT", "65536", "input should be less than or equal to 65535"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(env: Set, name: str, value: str, rule: str) -> None:
    env(**{name: value})
    assert refused() == [f"{name}: {rule}"]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_no_line_and_no_representation_repeats_a_value(env: Set, name: str) -> None:
    env(**{name.upper(): f"{CANARY}\n"})
    try:
        told = repr(Settings.load())
    except SettingsError as error:
        told = repr(error) + str(error.__cause__)
    if name != "sentry_environment":  # shown in Sentry by its nature
        assert CANARY not in told


def test_every_wrong_and_every_missing_value_is_told_at_once(env: Set) -> None:
    env(FLINKS_INSTANCES=CANARY, FLINKS_TIMEOUT_SECONDS="x", FLINKS_AUTH_KEYS="k", LOGIN_KEYS=CANARY)
    lines = refused("REDIS_URL", "LOGIN_KEYS", "FLINKS_AUTH_KEY")
    assert [line.partition(":")[0] for line in lines] == [
        "FLINKS_AUTH_KEYS",
        "FLINKS_INSTANCES",
        "FLINKS_TIMEOUT_SECONDS",
        "LOGIN_KEYS",
        "REDIS_URL",
        "FLINKS_AUTH_KEY",
    ]


@pytest.mark.parametrize("name", ["REDIS_URL", "LOGIN_KEYS", "FLINKS_AUTH_KEY"])
def test_a_required_value_that_is_missing_says_what_it_is_for(name: str) -> None:
    (line,) = refused(name)
    assert line.startswith(f"{name}: is required here; it ")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FLINKS_AUTH_KEYS", "FLINKS_AUTH_KEY"),
        ("FLINKS_TIMOUT_SECONDS", "FLINKS_TIMEOUT_SECONDS"),
        ("flinks_instanse", "FLINKS_INSTANCE"),
        ("RETRY_MAX_ATEMPTS", "RETRY_MAX_ATTEMPTS"),
        ("LOGIN_KEY", "LOGIN_KEYS"),
        ("REVIEW_USER", "REVIEW_USERS"),
        ("METRICS_PROT", "METRICS_PORT"),
        ("REDIS_ULR", "REDIS_URL"),
        ("REDDIS_URL", "REDIS_URL"),
        ("BROKER_UR", "BROKER_URL"),
        ("SENTRY_DNS", "SENTRY_DSN"),
        ("SENTRY_ENVIROMENT", "SENTRY_ENVIRONMENT"),
        ("LOG_LEVLE", "LOG_LEVEL"),
    ],
)
def test_a_slip_in_a_name_stops_the_start_and_says_what_was_meant(env: Set, name: str, meant: str) -> None:
    env(**{name: CANARY})
    assert refused() == [f"{name.upper()}: is not a setting of Nightly; did you mean {meant}?"]


def test_a_name_that_is_like_none_of_ours_but_begins_so_is_refused(env: Set) -> None:
    env(FLINKS_COLOUR=CANARY)
    assert refused() == ["FLINKS_COLOUR: is not a setting of Nightly"]


@pytest.mark.parametrize(
    "name",
    [
        *("REDIS_HOST", "REDIS_PORT", "REDIS_URI", "REDIS_URLS", "REDIS_PASSWORD", "REDIS_TLS_URL", "BROKER_URI"),
        *("SENTRY_RELEASE", "SENTRY_TRACES_SAMPLE_RATE", "SENTRY_ENV", "SENTRY_AUTH_TOKEN"),
        *("LOG", "LOGS", "LOGLEVEL", "LOG__LEVEL", "LOGFORMAT", "LOG_FILE", "LOG_DIR", "LOGNAME"),
        *("FLINKS_EMULATOR_SERVICE_HOST", "FLINKS_EMULATOR_SERVICE_PORT_HTTP", "FLINKS_EMULATOR_PORT"),
        *("REVIEW_SERVICE_PORT", "REVIEW_PORT_80_TCP", "REVIEW_PORT_80_TCP_ADDR", "METRICS_SERVICE_HOST"),
    ],
)
def test_what_other_tools_read_does_not_stop_the_start(env: Set, name: str) -> None:
    env(**{name: "tcp://10.0.0.1:80"})
    assert Settings.load() == Settings()


def test_dotenv_is_read_where_the_process_stands_and_the_environment_wins(env: Set) -> None:
    Path(".env").write_text("FLINKS_INSTANCE=acme-ca\nFLINKS_TIMEOUT_SECONDS=7\nREDIS_URL=redis://h\n")
    env(FLINKS_TIMEOUT_SECONDS="8", REDIS_URL="")
    settings = Settings.load(require=["REDIS_URL"])
    assert (settings.flinks_instance, settings.flinks_timeout_seconds) == ("acme-ca", 8)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("REDIS_ULR=x", "REDIS_ULR: is not a setting of Nightly; did you mean REDIS_URL?"),
        ("redis_ulr=x", "REDIS_ULR: is not a setting of Nightly; did you mean REDIS_URL?"),
        ("SENTRY_RELEASE=x", "SENTRY_RELEASE: is not a setting of Nightly"),
        ("DEBUG=1", "DEBUG: is not a setting of Nightly"),
        (CANARY, "a name in .env or the environment: is not a setting of Nightly"),
        ("c4na5ecr3tkey=", "a name in .env or the environment: is not a setting of Nightly"),
        ("A" * 43, "a name in .env or the environment: is not a setting of Nightly"),
    ],
)
def test_in_dotenv_every_name_must_be_ours_and_what_may_be_a_key_is_not_repeated(line: str, told: str) -> None:
    Path(".env").write_text(line + "\n")
    assert refused() == [told]


def test_a_wrong_value_in_dotenv_hides_no_missing_one() -> None:
    Path(".env").write_text(f"METRICS_PORT={CANARY}\nREDIS_URL=redis://h\nLOGIN_KEYS=\n")
    lines = refused("REDIS_URL", "LOGIN_KEYS")
    assert [line.partition(":")[0] for line in lines] == ["METRICS_PORT", "LOGIN_KEYS"]


def test_a_dotenv_that_is_no_text_is_refused_in_one_line() -> None:
    Path(".env").write_bytes(b"REDIS_URL=\xff" + CANARY.encode())
    assert refused() == [".env: cannot be read; it must be a text file in UTF-8"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_plain_http_is_accepted_for_loopback(env: Set, host: str) -> None:
    env(FLINKS_BASE_URL=f"http://{host}:8000/", FLINKS_AUTH_KEY="k")
    assert Settings.load().instances()["toolbox"].base_url == f"http://{host}:8000"


@pytest.mark.parametrize(
    "url",
    [
        "http://flinks.example",
        "http://localhost.flinks.example",
        "http://127.0.0.1.nip.io",
        "http://localhost@flinks.example",
        "http://{instance}",
        "http://0.0.0.0",
        "HTTP://flinks.example",
    ],
)
def test_plain_http_to_any_other_host_is_refused(env: Set, url: str) -> None:
    env(FLINKS_BASE_URL=url)
    assert refused() == [
        "FLINKS_BASE_URL: must be https, because the loginId is a secret; plain http is for loopback only"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p%23w@h:6380/1",
        "rediss://u:p@h/0",
        "unix:///run/redis.sock",
        "sentinel://:p@a:1,b:2/service/0",
    ],
)
def test_every_kind_of_redis_address_is_accepted_for_ledger_and_broker(env: Set, url: str) -> None:
    env(REDIS_URL=url, BROKER_URL=url)
    settings = Settings.load()
    assert settings.redis_url == settings.broker_url
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


def test_the_broker_may_be_several_rabbitmqs(env: Set) -> None:
    env(BROKER_URL="amqp://a:1//;amqp://b:2//")
    assert Settings.load().broker_url is not None


def test_a_login_rests_twice_the_timeout_unless_told_otherwise(env: Set) -> None:
    env(FLINKS_TIMEOUT_SECONDS="7")
    assert Settings.load().flinks_settle_seconds == 14
    env(FLINKS_SETTLE_SECONDS="0")
    assert Settings.load().flinks_settle_seconds == 0


def test_a_lease_outlasts_the_call(env: Set) -> None:
    env(FLINKS_TIMEOUT_SECONDS="7")
    settings = Settings.load()
    assert settings.lease_seconds == 7 + settings.lease_margin_seconds == 12


def test_webhook_secrets_are_read_in_order_with_and_without_padding(env: Set) -> None:
    assert Settings.load().webhook_keys() == {}
    env(HTTP_EVENTS_SECRETS=f" new=whsec_{'A' * 43}= , old=whsec_{'B' * 42}A")
    keys = Settings.load().webhook_keys()
    assert list(keys) == ["new", "old"]
    assert keys["new"] == bytes(32)
    assert "BBBB" not in repr(Settings.load())


def test_login_keys_make_a_vault_that_keeps_the_oldest_reference(env: Set) -> None:
    env(LOGIN_KEYS=" " + "A" * 43 + " , " + "B" * 42 + "A ")
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
def test_a_wrong_entry_is_told_by_its_number(env: Set, entries: dict[str, object], lines: list[str]) -> None:
    env(FLINKS_INSTANCES=entries)
    expected = [line if line.startswith("F") else f"FLINKS_INSTANCES (entry {line[0]}){line[1:]}" for line in lines]
    assert refused() == expected


def test_two_keys_for_one_instance_are_refused(env: Set) -> None:
    env(FLINKS_INSTANCES={"toolbox": FURTHER})
    assert Settings.load().instances()["toolbox"].auth_key.get_secret_value() == "k2"
    env(FLINKS_AUTH_KEY="k")
    assert refused() == ["FLINKS_INSTANCES: names FLINKS_INSTANCE again, which FLINKS_AUTH_KEY is for"]


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


def test_the_environment_is_left_as_it_was() -> None:
    Path(".env").write_text("FLINKS_INSTANCE=acme-ca\n")
    before = dict(os.environ)
    Settings.load()
    assert dict(os.environ) == before


def test_the_thresholds_of_the_gate_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().gate_rules == GateRules()
    for name, value in {"RATIO": "0.25", "MIN_CALLS": "30", "WINDOW_SECONDS": "60", "IN_A_ROW": "15"}.items():
        monkeypatch.setenv(f"GATE_OUTAGE_{name}", value)
    monkeypatch.setenv("GATE_STORM_LOGINS", "40")
    assert Settings.load().gate_rules == GateRules(0.25, 30, 60, 15, 40)
    monkeypatch.setenv("GATE_STORM_LOGIN", "40")
    with pytest.raises(SettingsError, match="did you mean GATE_STORM_LOGINS"):
        Settings.load()
