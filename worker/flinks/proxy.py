"""The company's proxy, as the environment names it: HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from urllib.request import getproxies, proxy_bypass

import httpx

from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import SettingsError


def proxy_from_environment() -> httpx.Proxy | None:
    """Return the proxy for https, if any; raises SettingsError if it cannot be used."""
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL):
        raise SettingsError(["HTTPS_PROXY: must be a URL such as http://proxy.example:3128"]) from None
    if proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        raise SettingsError(["HTTPS_PROXY: only an http or https proxy can be used"])
    return proxy


def is_direct(host: str) -> bool:
    """Return whether calls to this host go past the proxy: loopback always does, and what NO_PROXY names."""
    return host in LOOPBACK_HOSTS or bool(proxy_bypass(host))
