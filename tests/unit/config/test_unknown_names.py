"""A misspelt setting name prevents the start, in the environment and in `.env`."""

from pathlib import Path

import pytest

from tests.unit.config.loading import CANARY, Set, refused
from worker.config.settings import Settings


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
def test_a_misspelt_name_prevents_the_start_and_suggests_the_right_one(env: Set, name: str, meant: str) -> None:
    env(**{name: CANARY})
    assert refused() == [f"{name.upper()}: is not a setting of Nightly; did you mean {meant}?"]


def test_an_unknown_name_with_a_prefix_of_ours_is_refused(env: Set) -> None:
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
def test_names_of_other_tools_do_not_prevent_the_start(env: Set, name: str) -> None:
    env(**{name: "tcp://10.0.0.1:80"})
    assert Settings.load() == Settings()


def test_dotenv_is_read_from_the_working_folder_and_the_environment_wins(env: Set) -> None:
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
def test_dotenv_allows_only_known_names_and_a_possible_key_is_not_repeated(line: str, told: str) -> None:
    Path(".env").write_text(line + "\n")
    assert refused() == [told]


def test_a_wrong_value_in_dotenv_does_not_hide_a_missing_one() -> None:
    Path(".env").write_text(f"METRICS_PORT={CANARY}\nREDIS_URL=redis://h\nLOGIN_KEYS=\n")
    lines = refused("REDIS_URL", "LOGIN_KEYS")
    assert [line.partition(":")[0] for line in lines] == ["METRICS_PORT", "LOGIN_KEYS"]


def test_a_dotenv_file_that_is_not_text_is_refused_in_one_line() -> None:
    Path(".env").write_bytes(b"REDIS_URL=\xff" + CANARY.encode())
    assert refused() == [".env: cannot be read; it must be a text file in UTF-8"]
