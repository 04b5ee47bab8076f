"""Checks of secrecy for `nightly doctor`: what is sealed, with which key and how often, and connections without TLS."""

from collections.abc import Mapping, Sequence

from worker.config.plain_text import ADVICE
from worker.operations.checks import Check, Level
from worker.vault.sealed_box import SealingKey

SEALS_WARN, SEALS_FAIL = 2**30, 2**31
"""Random nonces are safe for 2^32 seals under one key (NIST SP 800-38D, 8.3)."""


def check_sealing(seal_to: SealingKey | None, public_keys: Sequence[SealingKey], *, is_required: bool) -> Check:
    """`public_keys` are those of LOGIN_KEYS, newest first; none of them where LOGIN_KEYS is not set here."""
    name = "SEAL_TO"
    if seal_to is None:
        clear = "clear loginIds are rejected" if is_required else "producers may send loginIds in clear"
        return Check(name, Level.OK, f"not set here, so nothing is sealed here; {clear}")
    ids = [key.id for key in public_keys]
    if not ids:
        advice = "Run this where LOGIN_KEYS is set, or compare with what `nightly keys public` prints there."
        return Check(name, Level.UNKNOWN, f"key {seal_to.id}; without LOGIN_KEYS nothing says who opens it", advice)
    if seal_to.id not in ids:
        advice = f"Set SEAL_TO={public_keys[0]}. What was sealed meanwhile is on the review list as unknown_key."
        return Check(name, Level.FAIL, f"key {seal_to.id} is none of LOGIN_KEYS, so no worker opens its events", advice)
    if seal_to.id != ids[0]:
        advice = f"Set SEAL_TO={public_keys[0]} before its key leaves LOGIN_KEYS."
        return Check(name, Level.WARN, f"key {seal_to.id} belongs to an older key of LOGIN_KEYS", advice)
    return Check(name, Level.OK, f"key {seal_to.id}, that of the newest of LOGIN_KEYS")


def check_seals(newest_key_id: str, seals: Mapping[str, int]) -> Check:
    """`seals` says how often something was sealed under a key, by its id; only the newest one seals."""
    name, count = "seals", seals.get(newest_key_id, 0)
    what = f"{count:,} under key {newest_key_id}, of 4,294,967,296 that are safe"
    advice = "Put a new key in front of LOGIN_KEYS; see docs/operating.md on how to rotate it."
    if count >= SEALS_FAIL:
        return Check(name, Level.FAIL, what, advice)
    return Check(name, Level.WARN, what, advice) if count >= SEALS_WARN else Check(name, Level.OK, what)


def check_plain_text(hosts: Mapping[str, Sequence[str]]) -> Check:
    """`hosts` are the other machines that a setting connects to without TLS, by that setting."""
    if hosts:
        what = ", ".join(f"{setting} ({', '.join(names)})" for setting, names in hosts.items())
        return Check("TLS", Level.WARN, f"passwords and events go as plain text to {what}", ADVICE)
    return Check("TLS", Level.OK, "nothing crosses the network as plain text")
