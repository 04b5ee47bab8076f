"""Decides whether what producers seal with SEAL_TO can be opened by the workers. Does no I/O."""

from collections.abc import Sequence

from worker.doctor import Check, Level
from worker.sealed_box import SealingKey


def check_sealing(seal_to: SealingKey | None, public_keys: Sequence[SealingKey], *, is_required: bool) -> Check:
    """`public_keys` are those of LOGIN_KEYS, newest first; none of them where LOGIN_KEYS is not set here."""
    name = "SEAL_TO"
    if seal_to is None:
        clear = "clear loginIds are set aside" if is_required else "producers may send loginIds in clear"
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
