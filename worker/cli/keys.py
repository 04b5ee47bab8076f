"""`nightly keys` and `nightly users hash`: print keys, secrets and password hashes for the settings, without Redis."""

import sys
from typing import Annotated

import typer

from worker.config.settings import Settings
from worker.config.validators import ROLES
from worker.errors import SettingsError
from worker.vault.vault import new_key
from worker.web.review.passwords import hash_password
from worker.web.review.tokens import entry_for, new_token, parse_tokens
from worker.web.webhook.signature import new_secret

keys = typer.Typer(
    help="Make keys for LOGIN_KEYS and HTTP_EVENTS_SECRETS.", no_args_is_help=True, rich_markup_mode="markdown"
)
users = typer.Typer(
    help="Make password hashes for REVIEW_USERS, and tokens for REVIEW_TOKENS.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@keys.command(epilog="Example: `nightly keys new`")
def new() -> None:
    """Print a new key: 32 random bytes.

    The keys in LOGIN_KEYS derive each login's reference and encrypt its loginId. Keep them secret, and back them up:
    what was encrypted under a lost key cannot be decrypted. To rotate, put the new key in front and keep the oldest
    one last.
    """
    typer.echo(new_key())


@keys.command(epilog="Example: `SEAL_TO=$(nightly keys public)`")
def public() -> None:
    """Print the workers' public key for SEAL_TO: producers seal with it, and only workers can decrypt.

    It is derived from the newest key of LOGIN_KEYS, and is not secret. Workers also decrypt what was sealed to an
    older key while LOGIN_KEYS has that key.
    """
    typer.echo(str(Settings.load(require=["LOGIN_KEYS"]).vault().public_keys[0]))


@keys.command(epilog="Example: `nightly keys webhook`")
def webhook() -> None:
    """Print a new secret for a producer that sends events over HTTP.

    HTTP_EVENTS_SECRETS has it as name=whsec_..., the producer uses it unchanged. To rotate, put a new one in front
    under another name, restart, give it to the producer, and remove the old one when it is no longer used.
    """
    typer.echo(new_secret())


@users.command("hash", epilog='Example: `printf %s "$PASSWORD" | nightly users hash`')
def hash_() -> None:
    """Ask for a password (or read it from standard input), and print its hash for REVIEW_USERS.

    REVIEW_USERS is a comma-separated list of name:role:hash; roles are viewer, operator, admin. The hash
    looks like scrypt.15.8.3.SALT.KEY; it has no colon, comma or dollar sign.
    """
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise typer.BadParameter("the password is empty")
    typer.echo(hash_password(password))


@users.command("token", epilog="Example: `nightly users token ci --role viewer`")
def token(
    name: Annotated[str, typer.Argument(help="Name under which the token acts: letters, digits and . _ @ -")],
    *,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "viewer",
) -> None:
    """Print a new token for the JSON API of the review page, and below it its entry for REVIEW_TOKENS.

    The entry has only a hash. Give the token to the program, which sends it as `Authorization: Bearer TOKEN`; it is not
    shown again.
    """
    made = new_token()
    entry = entry_for(name, role, made)
    try:
        parse_tokens(entry)
    except SettingsError:
        raise typer.BadParameter(
            f"the name must be letters, digits and . _ @ -, the role one of {', '.join(ROLES)}"
        ) from None
    typer.echo(made)
    typer.echo(entry)
