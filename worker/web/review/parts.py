"""What the handlers work with: `request.app.state.parts`. Every operation has a field here, named as what it is."""

from dataclasses import dataclass

from worker.backfill.store import Backfills
from worker.config.settings import Settings
from worker.ledger import Ledger, Letters
from worker.ledger.audit import AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.group_views import GroupViews
from worker.ledger.letter_queries import LetterPages
from worker.ledger.minutes import Minutes
from worker.ledger.queries import Views
from worker.operations.bulk import BulkJobs
from worker.operations.group_actions import GroupActions
from worker.operations.letter_actions import LetterActions
from worker.operations.search import Search
from worker.operations.timeline import Timeline
from worker.operations.workers_requirements import WorkersRequirements
from worker.redis_client.connect import BytesRedis
from worker.services import build_intake
from worker.vault.vault import Vault
from worker.web.review.day_pictures import DayPictures
from worker.web.review.paces import Paces


@dataclass(frozen=True)
class Parts:
    """The parts of one process that serves the page."""

    client: BytesRedis
    settings: Settings
    vault: Vault | None
    """None without LOGIN_KEYS: then whatever needs a loginId raises NeedsLoginKeys."""
    views: Views
    letters: Letters
    gate: GateKeeper
    audit: AuditLog
    backfills: Backfills
    bulk: BulkJobs
    minutes: Minutes
    letter_pages: LetterPages
    group_views: GroupViews
    search: Search
    paces: Paces
    day_pictures: DayPictures
    letter_actions: LetterActions
    timeline: Timeline
    group_actions: GroupActions

    def check_ledger(self) -> None:
        """Check that people may change this ledger from here; raises LedgerMismatch and redis.RedisError.

        Under other LOGIN_KEYS a corrected login would get a second entry, which no worker can open. And a person must
        not take a sandbox for production.
        """
        Ledger(self.client).check_kind(is_sandbox=self.settings.sandbox)
        if self.vault:
            _checked(self.client, self.vault)


def build_parts(client: BytesRedis, settings: Settings, *, vault: Vault | None = None) -> Parts:
    """Build the parts, with the vault of the settings if none is given; Redis is first asked by a request."""
    vault = vault or (settings.vault() if settings.login_keys else None)
    letters = Letters(client)
    requirements = WorkersRequirements(settings, client)
    intake = build_intake(settings, Ledger(client), letters, vault, requirements=requirements) if vault else None
    return Parts(
        client=client,
        settings=settings,
        vault=vault,
        views=Views(client),
        letters=letters,
        gate=GateKeeper(client, settings.gate_rules),
        audit=AuditLog(client),
        backfills=Backfills(client, vault),
        bulk=BulkJobs(client, calls_per_second=settings.flinks_calls_per_second),
        minutes=Minutes(client),
        letter_pages=LetterPages(client),
        group_views=GroupViews(client),
        letter_actions=LetterActions(client, vault=vault, intake=intake),
        timeline=Timeline(client),
        group_actions=GroupActions(client),
        search=Search(
            client,
            open_vault=(lambda: _checked(client, vault)) if vault else None,
            instances=lambda: _instances(client, settings),
        ),
        paces=Paces(),
        day_pictures=DayPictures(Minutes(client)),
    )


def _checked(client: BytesRedis, vault: Vault) -> Vault:
    """Return the vault; raises LedgerMismatch if the ledger was begun under other LOGIN_KEYS."""
    Ledger(client).open_ledger(vault.fingerprint("reference"), only_look=True)
    return vault


def _instances(client: BytesRedis, settings: Settings) -> list[str]:
    known = {raw.decode() for raw in client.smembers("nightly:instances")}
    return sorted({settings.flinks_instance, *settings.flinks_instances, *known})
