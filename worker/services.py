"""The composition root: builds every part from the settings, for the Celery app, the tasks and the commands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.config.instances import Instance
from worker.config.plain_text import ADVICE, plain_text_settings
from worker.config.settings import Settings
from worker.events.contract import Requirements
from worker.intake.accept import Dispatch, Intake, Rejected
from worker.ledger import Ledger, Letters, Recorded, Wish
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views
from worker.redis_client.connect import BytesRedis, connect
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_new_group
from worker.vault.vault import Vault

WORKER_SETTINGS = ("REDIS_URL", "FLINKS_AUTH_KEY", "LOGIN_KEYS")

log = get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """Everything that one process needs. Connections open at first use; a forked process must build its own."""

    settings: Settings
    vault: Vault
    redis: BytesRedis
    ledger: Ledger
    letters: Letters
    views: Views
    gate: GateKeeper
    instances: dict[str, Instance]
    fingerprints: dict[str, str]
    intake: Intake
    backfills: Backfills
    jobs: Jobs

    def open_ledger(self) -> None:
        """Open the ledger with these keys, as sandbox or production; raises LedgerMismatch and redis.RedisError."""
        self.ledger.open_ledger(self.vault.fingerprint("reference"), is_sandbox=self.settings.sandbox)


def build_services(settings: Settings, *, name: str = "nightly", dispatch: Dispatch | None = None) -> Services:
    """Build the parts; needs REDIS_URL and LOGIN_KEYS. `dispatch`: see Intake."""
    if settings.redis_url is None:
        raise AssertionError("the caller must require REDIS_URL")
    vault = settings.vault()
    client = connect(settings.redis_url.get_secret_value(), name=name)
    ledger, letters = Ledger(client), Letters(client)
    instances = settings.instances()
    return Services(
        settings=settings,
        vault=vault,
        redis=client,
        ledger=ledger,
        letters=letters,
        views=Views(client),
        gate=GateKeeper(client, settings.gate_rules),
        instances=instances,
        fingerprints={name: instance.fingerprint(vault) for name, instance in instances.items()},
        intake=build_intake(settings, ledger, letters, vault, dispatch),
        backfills=Backfills(client, vault),
        jobs=Jobs(client),
    )


def build_intake(
    settings: Settings,
    ledger: Ledger,
    letters: Letters,
    vault: Vault,
    dispatch: Dispatch | None = None,
    *,
    requirements: Requirements | None = None,
) -> Intake:
    """Build the intake, which logs each event and reports each new kind of rejection.

    `requirements`: those of the settings, if not given.
    """
    return Intake(
        ledger,
        letters,
        vault,
        requirements=requirements or requirements_of(settings),
        default_instance=settings.flinks_instance,
        replicas=settings.intake_replicas,
        on_recorded=_log_recorded,
        on_rejected=_report_rejected,
        dispatch=dispatch,
    )


def requirements_of(settings: Settings) -> Requirements:
    """Return what a worker with these settings requires of an event."""
    return Requirements(
        max_ahead_seconds=settings.event_max_ahead_seconds,
        instances=frozenset({*settings.instances(), settings.flinks_instance}),
        require_sealed=settings.require_sealed,
    )


def warn_of_plain_text(settings: Settings) -> None:
    """Log each setting that connects to another machine without TLS: the host names, never a password."""
    for setting, hosts in plain_text_settings(settings).items():
        log.warning("plain_text_connection", setting=setting, hosts=hosts, advice=ADVICE)


def _log_recorded(wishes: Sequence[Wish], results: Sequence[Recorded], seconds: float) -> None:
    if wishes:
        log.info("event_received", each=_fields_of_recorded(wishes, results, round(seconds * 1000)))


def _fields_of_recorded(
    wishes: Sequence[Wish], results: Sequence[Recorded], record_ms: int
) -> Iterator[dict[str, object]]:
    for wish, result in zip(wishes, results, strict=True):
        if result is not Recorded.AHEAD:  # rejected
            yield {
                "event_id": wish.event_id,
                "login": wish.reference,
                "account_id": wish.account_id,
                "instance": wish.instance,
                "wish": "on" if wish.wants_active else "off",
                "result": result.value,
                "record_ms": record_ms,
            }


def _report_rejected(rejected: Rejected) -> None:
    log.warning(
        "event_received",
        event_id=rejected.event_id or None,
        result="rejected",
        reason=rejected.reason,
        code=rejected.code,
        source=rejected.source,
        letter=rejected.letter_id,
        is_kept=rejected.is_kept,
    )
    if rejected.is_new_group:
        report_new_group(instance="", code=rejected.code, wish="")
