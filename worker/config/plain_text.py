"""Finds settings that send passwords and events to another machine without TLS."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from worker.config.settings import Settings
from worker.config.validators import LOOPBACK_HOSTS

PLAIN_SCHEMES = frozenset({"redis", "sentinel", "amqp"})
ADVICE = "Use rediss:// or amqps://, or a private network."


def plain_text_hosts(url: str) -> tuple[str, ...]:
    """Return the host names, other than loopback, to which `url` connects without TLS; never a password."""
    parts = urlsplit(url)
    if parts.scheme not in PLAIN_SCHEMES:
        return ()
    hosts = (urlsplit(f"//{node}").hostname for node in parts.netloc.rpartition("@")[2].split(","))
    return tuple(host for host in hosts if host and host not in LOOPBACK_HOSTS)


def plain_text_settings(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Return these hosts by setting, only for settings that name any."""
    urls = {"REDIS_URL": settings.redis_url, "BROKER_URL": settings.broker_url}
    found = {name: plain_text_hosts(url.get_secret_value()) for name, url in urls.items() if url}
    return {name: hosts for name, hosts in found.items() if hosts}
