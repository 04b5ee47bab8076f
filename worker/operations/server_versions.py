"""Lists the releases of Redis and Valkey with the Lua vulnerabilities that were published in October 2025.

Source: the release notes of Redis and Valkey for CVE-2025-49844, -46817, -46818 and -46819.
"""

HOLES = "CVE-2025-49844 (RediShell), CVE-2025-46817, CVE-2025-46818, CVE-2025-46819"
"""With these, an authenticated user's script can run code in the server, act as another user, or crash the server."""
FIRST_FIXED = {
    "Redis": {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2},
    "Valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}
"""The first patched release of each release line that was repaired. Newer lines never had the vulnerabilities."""


def has_lua_holes(server: str, version: tuple[int, ...]) -> bool:
    """Return whether this release of `Redis` or `Valkey` has them; a distributor may have patched it all the same."""
    fixed, line = FIRST_FIXED[server], version[:2]
    return line <= max(fixed) and (line not in fixed or version[2:3] < (fixed[line],))


def repaired(server: str) -> str:
    """Return the first patched releases as text: `Redis 6.2.20, 7.2.11, ... or newer`."""
    numbers = [f"{major}.{minor}.{patch}" for (major, minor), patch in sorted(FIRST_FIXED[server].items())]
    return f"{server} {', '.join(numbers)} or newer"
