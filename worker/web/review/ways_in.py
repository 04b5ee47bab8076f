"""Builds the ways into the page that the settings name: users, tokens, a trusted proxy, single sign-on."""

from worker.config.settings import Settings
from worker.config.validators import split_networks
from worker.errors import SettingsError
from worker.ledger.sessions import Sessions
from worker.redis_client.connect import BytesRedis
from worker.web.review.access import Access
from worker.web.review.cookies import Signing, new_id
from worker.web.review.password_sign_in import PasswordSignIn
from worker.web.review.single_sign_on import CALLBACK, SingleSignOn
from worker.web.review.tokens import parse_tokens
from worker.web.review.trusted_proxy import TrustedProxy
from worker.web.review.users import parse_users

HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def build_access(client: BytesRedis, settings: Settings) -> Access:
    """Return the ways in; raises SettingsError."""
    if lines := _missing(settings):
        raise SettingsError(lines)
    users = parse_users(settings.review_users.get_secret_value() if settings.review_users else "")
    return Access(
        users=users,
        signing=Signing(settings.login_keys.get_secret_value().encode() if settings.login_keys else None),
        sessions=_sessions(client, settings),
        passwords=PasswordSignIn(users),
        tokens=parse_tokens(settings.review_tokens.get_secret_value() if settings.review_tokens else ""),
        proxy=_proxy(settings),
        oidc=_single_sign_on(settings),
    )


def new_link(client: BytesRedis, settings: Settings, name: str, *, minutes: float) -> str:
    """Return the token of a link (`/sign-in/once?token=...`) that signs in this user of REVIEW_USERS once."""
    token = new_id()
    _sessions(client, settings).keep_link(token, name, valid_ms=round(minutes * MINUTE_MS))
    return token


def _sessions(client: BytesRedis, settings: Settings) -> Sessions:
    return Sessions(
        client,
        idle_ms=round(settings.review_idle_minutes * MINUTE_MS),
        longest_ms=round(settings.review_session_hours * HOUR_MS),
    )


def _missing(settings: Settings) -> list[str]:
    """Return a line for each setting that needs another one."""
    needs = {
        "REVIEW_PROXY_USER_HEADER": ("REVIEW_PROXY_ADDRESSES", "REVIEW_PROXY_ROLES_HEADER", "REVIEW_ROLES"),
        "REVIEW_PROXY_ROLES_HEADER": ("REVIEW_PROXY_USER_HEADER",),
        "REVIEW_OIDC_ISSUER": ("REVIEW_OIDC_CLIENT_ID", "REVIEW_OIDC_CLIENT_SECRET", "REVIEW_URL", "REVIEW_ROLES"),
        "REVIEW_OIDC_CLIENT_ID": ("REVIEW_OIDC_ISSUER",),
        "REVIEW_OIDC_CLIENT_SECRET": ("REVIEW_OIDC_ISSUER",),
    }
    return [
        f"{name}: needs {needed} too"
        for name, all_needed in needs.items()
        for needed in all_needed
        if getattr(settings, name.lower()) and not getattr(settings, needed.lower())
    ]


def _single_sign_on(settings: Settings) -> SingleSignOn | None:
    if not (settings.review_oidc_issuer and settings.review_oidc_client_id and settings.review_oidc_client_secret):
        return None
    return SingleSignOn(
        issuer=settings.review_oidc_issuer,
        client_id=settings.review_oidc_client_id,
        client_secret=settings.review_oidc_client_secret.get_secret_value(),
        redirect_uri=f"{settings.review_url}{CALLBACK}",
        roles_claim=settings.review_oidc_roles_claim,
        roles=settings.review_roles,
    )


def _proxy(settings: Settings) -> TrustedProxy:
    return TrustedProxy(
        networks=split_networks(settings.review_proxy_addresses) if settings.review_proxy_addresses else (),
        user_header=settings.review_proxy_user_header or "",
        roles_header=settings.review_proxy_roles_header or "",
        roles=settings.review_roles,
    )
