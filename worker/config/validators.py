"""The rules for the values of settings. No error text repeats a value, which may be a secret."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr

from worker.guid import GUID
from worker.vault.sealed_box import SealingKey
from worker.vault.vault import decode_key

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
REDIS_SCHEMES = ("redis", "rediss", "unix", "sentinel")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")
DISTINCT_BYTES = 16
"""Minimum number of distinct bytes among a key's 32. Random keys have about 30, fewer than 20 in one of a billion."""
ROLES = ("viewer", "operator", "admin")
"""The roles of the review page, from the least to the most."""
WEBHOOK_PREFIX = "whsec_"
WEBHOOK_KEY_BYTES = range(24, 65)
_SECRET_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GUID = re.compile(GUID, re.IGNORECASE)
_INSTANCE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _guid(value: str) -> str:
    if not _GUID.fullmatch(value):
        raise ValueError("must be a GUID such as 43387ca6-0391-4c82-857d-70d95f087ecb")
    return value.lower()


def _instance_name(value: str) -> str:
    if not _INSTANCE.fullmatch(value):
        raise ValueError("must be a host name label: lower-case letters, digits and hyphens")
    return value


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError("must be an HTTP header name")
    return value


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("must be printable ASCII with no line break and no space at either end")
    return value


def _base_url(value: str) -> str:
    parts = _split(value.replace("{instance}", "instance"))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as https://{instance}-api.private.fin.ag")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError("must be https, because the loginId is a secret; plain http is for loopback only")
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError("must hold no user, password, query or fragment")
    return value.rstrip("/")


def _url_of(schemes: Iterable[str], value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    _split(text, has_one_host=text.startswith(("redis://", "rediss://")))
    return value


def _split(url: str, *, has_one_host: bool = True) -> SplitResult:
    """Split a URL; raises a ValueError of our own, because urllib's message repeats parts of the URL."""
    try:
        parts = urlsplit(url)
        if has_one_host:
            _ = parts.port
    except ValueError:
        parts = None
    if parts is None or not url.isprintable() or " " in url:
        raise ValueError("is not a URL; percent-encode special characters in a user or password")
    return parts


def split_login_keys(text: str) -> list[bytes]:
    """Return the keys of LOGIN_KEYS, newest first; raises ValueError for anything else."""
    try:
        keys = [decode_key(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ValueError("must be comma-separated keys; `nightly keys new` prints one") from None
    if len(set(keys)) != len(keys):
        raise ValueError("holds the same key twice")
    return keys


def check_strength(login_keys: str) -> None:
    """Raise ValueError if LOGIN_KEYS (well-formed) hold a key that is guessable or published in our repository.

    All but one in four billion random keys have a byte above 127. A key without one is a passphrase, hex digits, an
    example such as the bytes 0 to 31, or the text key in docker-compose.yml.
    """
    for key in split_login_keys(login_keys):
        if len(set(key)) < DISTINCT_BYTES or key.isascii():
            raise ValueError(
                "holds a weak or public key; `nightly keys new` prints a random one (SANDBOX=1 accepts it, for trials)"
            )


def _login_keys(value: SecretStr) -> SecretStr:
    split_login_keys(value.get_secret_value())
    return value


def _public_key(value: str) -> str:
    SealingKey.parse(value)
    return value


def split_webhook_secrets(text: str) -> dict[str, bytes]:
    """Return the keys of HTTP_EVENTS_SECRETS by name, newest first; raises ValueError for anything else."""
    keys: dict[str, bytes] = {}
    for position, entry in enumerate(text.split(","), 1):
        name, _, secret = entry.strip().partition("=")
        key = _webhook_key(secret)
        if not _SECRET_NAME.fullmatch(name) or key is None:
            raise ValueError(f"entry {position} must be name=whsec_...; `nightly keys webhook` prints the part after =")
        if name in keys or key in keys.values():
            raise ValueError(f"entry {position} repeats the name or the secret of another")
        keys[name] = key
    return keys


def _webhook_key(secret: str) -> bytes | None:
    """Return the bytes of `whsec_<base64>`; None if malformed or of a length that Standard Webhooks does not allow."""
    encoded = secret.removeprefix(WEBHOOK_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(WEBHOOK_PREFIX) and len(key) in WEBHOOK_KEY_BYTES else None


def _webhook_secrets(value: SecretStr) -> SecretStr:
    split_webhook_secrets(value.get_secret_value())
    return value


def read_json_object(value: object) -> object:
    """Parse a variable's text as a JSON object; raises ValueError for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object, one entry per instance")  # noqa: TRY004 - pydantic reports ValueError
    return value


def read_role_map(value: object) -> object:
    """Parse a variable's text as a JSON object of group names and roles; raises ValueError for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict) or not set(map(str, value.values())) <= set(ROLES):
        raise ValueError(f"must be a JSON object of group names and roles ({', '.join(ROLES)})")
    return value


def split_networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Return the addresses and networks of a comma-separated list; raises ValueError."""
    try:
        return [ip_network(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ValueError("must be addresses or networks, comma-separated, such as 10.0.0.5 or 10.0.0.0/24") from None


def _networks(value: str) -> str:
    split_networks(value)
    return value


def _page_url(value: str) -> str:
    parts = _split(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as https://nightly.example.com")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise ValueError("must be https; plain http is for loopback only")
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError("must hold no user, password, query or fragment")
    return value.rstrip("/")


def _origin(value: str) -> str:
    if urlsplit(value).path.strip("/"):
        raise ValueError("must hold no path, such as https://nightly.example.com")
    return value


Guid = Annotated[str, AfterValidator(_guid)]
InstanceName = Annotated[str, AfterValidator(_instance_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_value)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(lambda value: _url_of(REDIS_SCHEMES, value))]
BrokerUrl = Annotated[SecretStr, AfterValidator(lambda value: _url_of(BROKER_SCHEMES, value))]
LoginKeys = Annotated[SecretStr, AfterValidator(_login_keys)]
PageUrl = Annotated[str, AfterValidator(_page_url)]
Origin = Annotated[str, AfterValidator(_page_url), AfterValidator(_origin)]
Networks = Annotated[str, AfterValidator(_networks)]
Role = Literal["viewer", "operator", "admin"]
PublicKeyText = Annotated[str, AfterValidator(_public_key)]
WebhookSecrets = Annotated[SecretStr, AfterValidator(_webhook_secrets)]
