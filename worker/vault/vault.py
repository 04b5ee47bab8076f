"""Derives from a loginId a reference that may be shown and a sealed value that may be stored.

The reference is a keyed hash, so it reveals nothing without LOGIN_KEYS. It comes from the *oldest* key: a login keeps
its ledger entry when a new key is put in front (docs/adr/0003). The sealed value is AES-256-GCM, bound to its reference
so that it cannot be moved to another login. The keys that open producers' sealed loginIds derive from LOGIN_KEYS too.
"""

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from itertools import product

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.errors import NeedsLoginKeys, SealError, UnknownKey
from worker.guid import GUID
from worker.vault.sealed_box import OpeningKeys, SealingKey
from worker.vault.spellings import Spellings, holds_guid
from worker.vault.tokens import looks_like_token

KEY_BYTES = 32
REFERENCE_PREFIX = "lgn_"
REFERENCE_LENGTH = 26
_REFERENCE_BITS = 5 * REFERENCE_LENGTH
_BASE32_PAIRS = tuple(map("".join, product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
_SHIFTS_OF_PAIRS = tuple(range(_REFERENCE_BITS - 10, -1, -10))
_CANONICAL_GUID = re.compile(GUID)
_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


def new_key() -> str:
    """Return a fresh key for LOGIN_KEYS: 32 random bytes, base64url without padding."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).rstrip(b"=").decode()


def decode_key(text: str) -> bytes:
    """Return the 32 bytes of one key; raises ValueError for anything else."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(raw) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return raw


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"nightly/" + purpose).derive(key)


def _base32(digest: bytes) -> str:
    """Return the first 26 characters of RFC 4648's base32, in lower case, in half the time of `base64.b32encode`."""
    bits = int.from_bytes(digest) >> 8 * len(digest) - _REFERENCE_BITS
    return "".join([_BASE32_PAIRS[bits >> shift & 1023] for shift in _SHIFTS_OF_PAIRS])


def _pack(login_id: str) -> bytes:
    if _CANONICAL_GUID.fullmatch(login_id):
        return b"g" + bytes.fromhex(login_id.replace("-", ""))
    return b"t" + login_id.encode()


def _unpack(packed: bytes) -> str:
    if packed[:1] != b"g":
        return packed[1:].decode()
    digits = packed[1:].hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Vault:
    """Derives references of loginIds, and seals and opens them, with LOGIN_KEYS, newest key first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._hash = HMAC(_derive(keys[-1], b"reference"), SHA256())  # only copied: the key is set up once
        sealing_keys = [_derive(key, b"seal") for key in keys]
        self._ciphers = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: AESGCM(key) for key in sealing_keys}
        self._newest_id, self._newest = next(iter(self._ciphers.items()))
        self._opening_keys = OpeningKeys([_derive(key, b"box") for key in keys])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The public ids of the sealing keys, newest first."""
        return tuple(key_id.hex() for key_id in self._ciphers)

    @property
    def public_keys(self) -> tuple[SealingKey, ...]:
        """The keys to which producers may seal loginIds, newest first."""
        return self._opening_keys.public

    def open_sealed_login(self, text: str) -> str:
        """Return the loginId that a producer sealed to one of `public_keys`; raises SealError or UnknownKey."""
        return self._opening_keys.open(text)

    def reference(self, instance: str, login_id: str) -> str:
        """Return `lgn_` and 26 base32 characters, the same for the same login on every machine.

        The letter case of a GUID does not matter: two systems that spell it differently share one ledger entry.
        """
        lowered = login_id.lower()
        spelling = lowered if _CANONICAL_GUID.fullmatch(lowered) else login_id
        return REFERENCE_PREFIX + self._digest(f"login\0{instance}\0{spelling}")

    def fingerprint(self, *parts: str) -> str:
        """Return 12 characters that change when any part changes and reveal no part."""
        return self._digest("\0".join(("fingerprint", *parts)))[:12]

    def without_login(self, text: str, login: Spellings | None) -> str:
        """Return a producer's id in a form that may be shown: its keyed hash if it holds `login` or looks like a token.

        Some producers build ids from the loginId. If `login` is None (unknown), any GUID in the id counts as the login.
        """
        if looks_like_token(text) or (holds_guid(text) if login is None else login.are_in(text)):
            return self.masked(text)
        return text

    def masked(self, text: str) -> str:
        """Return the keyed hash of a producer's id that must not be shown."""
        return "masked-" + self.fingerprint(text)

    def seal_login(self, reference: str, login_id: str) -> bytes:
        """Encrypt a loginId, bound to its reference. A GUID takes 50 bytes, which keeps the login compact in Redis."""
        return self.seal(reference, _pack(login_id))

    def open_login(self, reference: str, sealed: bytes) -> str:
        """Decrypt a loginId sealed by `seal_login`; raises SealError."""
        return _unpack(self.open(reference, sealed))

    def seal(self, context: str, secret: bytes) -> bytes:
        """Encrypt `secret` with the newest key, bound to `context` (a reference, or a kind of dead letter)."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + self._newest_id + nonce + self._newest.encrypt(nonce, secret, context.encode())

    def open(self, context: str, sealed: bytes) -> bytes:
        """Decrypt a value sealed for the same context; raises SealError, or UnknownKey if LOGIN_KEYS lacks its key."""
        key_id = sealed[len(_VERSION) : len(_VERSION) + _KEY_ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if sealed[: len(_VERSION)] != _VERSION or len(key_id) < _KEY_ID_BYTES:
            raise SealError("these bytes were not sealed by this version of Nightly")
        if cipher is None:
            raise UnknownKey(key_id.hex())
        nonce, ciphertext = sealed[_HEADER_BYTES - _NONCE_BYTES : _HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, context.encode())
        except (InvalidTag, ValueError):  # ValueError: truncated within the nonce
            raise SealError("the sealed bytes were altered, or belong to another login or letter") from None

    def _digest(self, text: str) -> str:
        mac = self._hash.copy()
        mac.update(text.encode("utf-8", "surrogatepass"))
        return _base32(mac.finalize())


def needed(vault: Vault | None) -> Vault:
    """Return the vault; raises NeedsLoginKeys if this process has none."""
    if vault is None:
        raise NeedsLoginKeys("This needs LOGIN_KEYS, which this process does not have. Nothing was done.")
    return vault
