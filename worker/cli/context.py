"""Opens what a command needs: Redis for reading, and LOGIN_KEYS for commands that name or open logins."""

import getpass
from typing import TYPE_CHECKING, NoReturn

import typer

from worker.config.settings import Settings
from worker.errors import LedgerMismatch
from worker.ledger.ledger import MISMATCHES
from worker.ledger.queries import Views
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import open_redis

if TYPE_CHECKING:
    from worker.services import Services

CLIENT_NAME = "nightly-cli"


def open_ledger(*, to_change: bool = False) -> tuple[Settings, BytesRedis]:
    """Return the settings and a client that is not connected yet; raises SettingsError.

    `to_change` asks Redis whether the ledger is of our kind, and raises LedgerMismatch and RedisError too.
    """
    settings = Settings.load(require=("REDIS_URL",))
    client = open_redis(settings.redis_address(), name=CLIENT_NAME)
    if to_change:
        _refuse_another_kind(settings, client)
    return settings, client


def open_services(*, to_change: bool = False) -> "Services":
    """Return every part; raises SettingsError, LedgerMismatch where LOGIN_KEYS are not the ledger's, RedisError.

    `to_change` raises LedgerMismatch also where the ledger is a sandbox and we are none, or the other way round.
    """
    from worker.services import build_services  # noqa: PLC0415 - heavy, and most commands only look
    from worker.telemetry.logs import configure_logging  # noqa: PLC0415 - the same

    settings = Settings.load(require=("REDIS_URL", "LOGIN_KEYS"))
    open_redis(settings.redis_address(), name=CLIENT_NAME)
    configure_logging(log_format=settings.log_format, log_level="ERROR")  # a command answers in its own words
    services = build_services(settings, name=CLIENT_NAME)
    services.ledger.open_ledger(services.vault.fingerprint("reference"), only_look=True)
    if to_change:
        _refuse_another_kind(settings, services.redis)
    return services


def _refuse_another_kind(settings: Settings, client: BytesRedis) -> None:
    kind = Views(client).kind()
    if kind is not None and (kind == "sandbox") is not settings.sandbox:
        raise LedgerMismatch(MISMATCHES[kind])


def operator() -> str:
    """Return the name of the operating-system user, which the ledger stores with a decision."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def misuse(message: str) -> NoReturn:
    """End with exit code 2 and the reason."""
    raise typer.BadParameter(message)


def known_instances(settings: Settings, client: BytesRedis) -> list[str]:
    """Return the instances that are configured here or that the ledger has seen, the default one first."""
    seen = {raw.decode() for raw in client.smembers("nightly:instances")} | set(settings.instances())
    return [settings.flinks_instance, *sorted(seen - {settings.flinks_instance})]
