"""Opens what a command needs: Redis only, or all services if it needs LOGIN_KEYS; and names the operator."""

import getpass
from typing import TYPE_CHECKING, NoReturn

import typer

from worker.config.settings import Settings
from worker.ledger.audit_entries import Actor
from worker.ledger.ledger import Ledger
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import open_redis

if TYPE_CHECKING:
    from worker.services import Services

CLIENT_NAME = "nightly-cli"


def settings_and_client(*, to_change: bool = False) -> tuple[Settings, BytesRedis]:
    """Return the settings and a client that is not connected yet; raises SettingsError.

    `to_change`: for a command that changes the ledger. Then it also raises RedisError, and LedgerMismatch if the
    ledger is a sandbox and SANDBOX is not set, or the other way round.
    """
    settings = Settings.load(require=("REDIS_URL",))
    client = open_redis(settings.redis_address(), name=CLIENT_NAME)
    if to_change:
        _print_only_own_messages(settings)
        Ledger(client).check_kind(is_sandbox=settings.sandbox)
    return settings, client


def open_services(*, to_change: bool = False) -> "Services":
    """Return all services; raises SettingsError, RedisError, and LedgerMismatch if LOGIN_KEYS are not the ledger's.

    `to_change`: as for `settings_and_client`.
    """
    from worker.services import build_services  # noqa: PLC0415 - heavy, and most commands need only Redis

    settings = Settings.load(require=("REDIS_URL", "LOGIN_KEYS"))
    open_redis(settings.redis_address(), name=CLIENT_NAME)
    _print_only_own_messages(settings)
    services = build_services(settings, name=CLIENT_NAME)
    services.ledger.open_ledger(services.vault.fingerprint("reference"), only_look=True)
    if to_change:
        services.ledger.check_kind(is_sandbox=settings.sandbox)
    return services


def _print_only_own_messages(settings: Settings) -> None:
    from worker.telemetry.logs import configure_logging  # noqa: PLC0415 - commands that only read do not log

    configure_logging(log_format=settings.log_format, log_level="ERROR")


def operator() -> Actor:
    """Return the operating-system user, whom the audit log names. Whoever has the keys of Redis may do everything."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "unknown"
    return Actor(name, "admin", "cli")


def misuse(message: str) -> NoReturn:
    """Exit with code 2 and print the reason."""
    raise Misuse(message)


class Misuse(typer.BadParameter):
    """Wrong usage that concerns no single parameter, so that the message is the whole line."""

    def format_message(self) -> str:
        """Return the message without a prefix."""
        return self.message


def known_instances(settings: Settings, client: BytesRedis) -> list[str]:
    """Return the instances in the settings and in the ledger, the default one first."""
    seen = {raw.decode() for raw in client.smembers("nightly:instances")} | set(settings.instances())
    return [settings.flinks_instance, *sorted(seen - {settings.flinks_instance})]
