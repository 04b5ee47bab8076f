"""Checks of secrecy for `nightly doctor`: the key in SEAL_TO, how often a key sealed, and connections without TLS."""

from collections.abc import Mapping, Sequence

from worker.config.plain_text import ADVICE
from worker.operations.checks import Check, Level
from worker.vault.sealed_box import SealingKey

SEALS_WARN, SEALS_FAIL = 2**30, 2**31
"""With random nonces, one key is safe for 2^32 seals (NIST SP 800-38D, 8.3)."""


def check_sealing(seal_to: SealingKey | None, public_keys: Sequence[SealingKey], *, is_required: bool) -> Check:
    """Check SEAL_TO. `public_keys` are those of LOGIN_KEYS, newest first; empty if LOGIN_KEYS is not set here."""
    name = "SEAL_TO"
    if seal_to is None:
        clear = "clear loginIds are rejected" if is_required else "producers may send loginIds in clear"
        return Check(name, Level.OK, f"not set, so this process seals nothing; {clear}")
    ids = [key.id for key in public_keys]
    if not ids:
        advice = "Run this where LOGIN_KEYS is set, or compare with what `nightly keys public` prints there."
        return Check(name, Level.UNKNOWN, f"key {seal_to.id}; LOGIN_KEYS, which must have it, is not set here", advice)
    if seal_to.id not in ids:
        advice = f"Set SEAL_TO={public_keys[0]}. Events sealed until then are on the review list as unknown_key."
        return Check(
            name, Level.FAIL, f"LOGIN_KEYS lacks key {seal_to.id}, so no worker can decrypt its events", advice
        )
    if seal_to.id != ids[0]:
        advice = f"Set SEAL_TO={public_keys[0]} before you remove the older key from LOGIN_KEYS."
        return Check(name, Level.WARN, f"key {seal_to.id} belongs to an older key of LOGIN_KEYS", advice)
    return Check(name, Level.OK, f"key {seal_to.id}, of the newest key of LOGIN_KEYS")


def check_seals(newest_key_id: str, seals: Mapping[str, int]) -> Check:
    """Check how often the newest key, the only one that seals, was used. `seals` has the number for each key id."""
    name, count = "seals", seals.get(newest_key_id, 0)
    what = f"{count:,} under key {newest_key_id}; 4,294,967,296 are safe"
    advice = "Put a new key in front of LOGIN_KEYS; docs/operating.md describes the rotation."
    if count >= SEALS_FAIL:
        return Check(name, Level.FAIL, what, advice)
    return Check(name, Level.WARN, what, advice) if count >= SEALS_WARN else Check(name, Level.OK, what)


def check_plain_text(hosts: Mapping[str, Sequence[str]]) -> Check:
    """Check for connections to other machines without TLS. `hosts` has their names for each setting."""
    if hosts:
        what = ", ".join(f"{setting} ({', '.join(names)})" for setting, names in hosts.items())
        return Check("TLS", Level.WARN, f"passwords and events go as plain text to {what}", ADVICE)
    return Check("TLS", Level.OK, "no plain text crosses the network")
