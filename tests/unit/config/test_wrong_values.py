"""Each wrong value prevents the start with exactly one line, which names the variable and never the value."""

import pytest

from tests.unit.config.loading import CANARY, GUID, NO_BASE_URL, NO_GUID, NO_HEADER_VALUE, NO_LABEL, Set, refused
from worker.config.settings import Settings
from worker.errors import SettingsError

NO_URL = "is not a URL; percent-encode special characters in a user or password"
NO_REDIS = "must begin with one of redis://, rediss://, unix://, sentinel://"
NO_PLAIN_URL = "must hold no user, password, query or fragment"
NO_OBJECT = "must be a JSON object, one entry per instance"
NO_KEYS = "must be comma-separated keys; `nightly keys new` prints one"
NO_SECRET = "entry 1 must be name=whsec_...; `nightly keys webhook` prints the part after ="
NO_REPEAT = "entry 2 repeats the name or the secret of another"
WEBHOOK_SECRET = "crm=whsec_" + "A" * 40


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
        ("SEAL_TO", CANARY, "is not a public key; `nightly keys public` prints it"),
        ("SEAL_TO", f"00000000.{'A' * 43}", "is not a public key; `nightly keys public` prints it"),
        ("REQUIRE_SEALED", CANARY, "input should be a valid boolean, unable to interpret input"),
        ("FLINKS_INSTANCE", CANARY, NO_LABEL),
        ("FLINKS_INSTANCE", "-acme", NO_LABEL),
        ("FLINKS_INSTANCE", "a.evil.example/", NO_LABEL),
        ("FLINKS_INSTANCE", "a" * 64, NO_LABEL),
        ("FLINKS_CUSTOMER_ID", CANARY, NO_GUID),
        ("FLINKS_CUSTOMER_ID", GUID + "0", NO_GUID),
        ("FLINKS_AUTH_KEY", CANARY + "\n", NO_HEADER_VALUE),
        ("FLINKS_AUTH_KEY", " " + CANARY, NO_HEADER_VALUE),
        ("FLINKS_AUTH_KEY", CANARY + "é", NO_HEADER_VALUE),
        ("FLINKS_AUTH_KEY", CANARY + "\r\nx: y", NO_HEADER_VALUE),
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
        ("INTAKE_REPLICAS", "-1", "input should be greater than or equal to 0"),
        ("LOG_FORMAT", CANARY, "input should be 'json' or 'console'"),
        ("LOG_LEVEL", CANARY, "input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("METRICS_HOST", "a b", "string should match pattern '^[A-Za-z0-9_.:-]+$'"),
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
    if name != "sentry_environment":  # Sentry shows it on purpose
        assert CANARY not in told


def test_every_wrong_and_every_missing_value_is_reported_at_once(env: Set) -> None:
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
