"""What the handlers work with: `request.app.state.parts`. Every operation has a field here, named as what it is."""

from dataclasses import dataclass

from worker.config.settings import Settings
from worker.ledger import Letters
from worker.ledger.audit import AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.group_views import GroupViews
from worker.ledger.letter_queries import LetterPages
from worker.ledger.queries import Views
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault


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
    letter_pages: LetterPages
    group_views: GroupViews


def build_parts(client: BytesRedis, settings: Settings) -> Parts:
    """Build the parts; Redis is first asked by a request."""
    return Parts(
        client=client,
        settings=settings,
        vault=settings.vault() if settings.login_keys else None,
        views=Views(client),
        letters=Letters(client),
        gate=GateKeeper(client, settings.gate_rules),
        audit=AuditLog(client),
        letter_pages=LetterPages(client),
        group_views=GroupViews(client),
    )
