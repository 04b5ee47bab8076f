"""`nightly review`: serves the review page (worker/web/review) and `POST /events` (worker/web/webhook)."""

from typing import Annotated

import typer

from worker.cli.context import settings_and_client
from worker.cli.exit_codes import FOUND_WRONG, WRONG_USAGE
from worker.config.settings import Settings
from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import NightlyError, SettingsError
from worker.redis_client.connect import BytesRedis
from worker.services import warn_of_plain_text
from worker.telemetry.logs import configure_logging, get_logger
from worker.telemetry.printed import print_reasons
from worker.web.review.app import create_app
from worker.web.review.parts import build_parts
from worker.web.review.ways_in import build_access
from worker.web.server import serve
from worker.web.webhook.route import way_in

log = get_logger(__name__)


def review(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 means any free port.", min=0, max=65_535)] = 8080,
) -> None:
    """Serve the review page, on which people decide about dead letters, and `POST /events` for events over HTTP.

    The page is closed until REVIEW_USERS names a user (nightly users hash), or another way in is set; POST /events
    until HTTP_EVENTS_SECRETS names a secret (nightly keys webhook). It needs REDIS_URL, and SEAL_TO to seal loginIds.
    With LOGIN_KEYS, people can also correct and reveal loginIds; never give it FLINKS_AUTH_KEY. Both use plain HTTP:
    for access from other machines, put a proxy with TLS in front.
    """
    try:
        settings, client = settings_and_client()
    except SettingsError as error:
        print_reasons(error.lines, log_format=error.log_format)
        raise typer.Exit(WRONG_USAGE) from None
    try:
        _serve(settings, client, host, port)
    except NightlyError as error:
        print_reasons([str(error)], log_format=settings.log_format)
        raise typer.Exit(FOUND_WRONG) from None
    except Exception:  # elsewhere a crash is shown as text, for a person
        log.exception("process_crashed")
        raise typer.Exit(FOUND_WRONG) from None


def _serve(settings: Settings, client: BytesRedis, host: str, port: int) -> None:
    parts = build_parts(client, settings)
    access = build_access(client, settings)
    configure_logging(log_format=settings.log_format, log_level=settings.log_level)
    if access.is_closed:
        log.warning("review_page_closed", reason="REVIEW_USERS is not set: every page but /health answers 401")
    elif not settings.login_keys:
        reason = "LOGIN_KEYS is not set: loginIds cannot be corrected or revealed, and a restart signs everybody out"
        log.info("review_page_without_keys", reason=reason)
    warn_of_plain_text(settings)
    if host not in LOOPBACK_HOSTS:
        reason = "passwords and events cross the network as plain text; put a proxy with TLS in front"
        log.warning("review_page_without_tls", host=host, reason=reason)
    serve(create_app(parts, access=access, beside=[way_in(settings)]), host=host, port=port)
