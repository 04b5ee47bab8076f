"""Seals a loginId at the producer so that only workers can open it: queues and streams never hold it in clear.

The format is a libsodium sealed box (`crypto_box_seal`: X25519 and XSalsa20-Poly1305) to a public key. The private key
is derived from a key of LOGIN_KEYS, so there is no further secret. The public key and the sealed loginId both begin
with a key id: `<8 hex digits>.<base64url>`.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Self

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from worker.errors import SealError, UnknownKey

LARGEST_LOGIN_BYTES = 1024
"""256 characters of at most four bytes each."""
_KEY_ID_BYTES = 4
_OVERHEAD_BYTES = 48
_TEXT = re.compile(r"([0-9a-f]{8})\.([A-Za-z0-9_-]+)={0,2}", re.ASCII)


class SealingKey:
    """The workers' public key, as `nightly keys public` prints it and SEAL_TO holds it."""

    def __init__(self, raw: bytes) -> None:
        self.id = _key_id(raw)
        self._raw = raw
        self._box = SealedBox(PublicKey(raw))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `<key id>.<base64url of 32 bytes>`; raises ValueError, also if the id belongs to another key."""
        try:
            key_id, raw = _split(text)
            key = cls(raw)
            key.seal("")  # libsodium refuses some invalid keys only when it seals
        except (SealError, TypeError, CryptoError, RuntimeError):
            raise ValueError("is not a public key; `nightly keys public` prints it") from None
        if key.id != key_id:
            raise ValueError("is mistyped: its key id belongs to another key; `nightly keys public` prints it")
        return key

    def seal(self, login_id: str) -> str:
        """Return `<key id>.<base64url of the box>`, different for each call: 121 characters for a GUID."""
        return f"{self.id}.{_encode(self._box.encrypt(login_id.encode()))}"

    def __str__(self) -> str:
        return f"{self.id}.{_encode(self._raw)}"


class OpeningKeys:
    """The workers' private keys, newest first."""

    def __init__(self, seeds: Sequence[bytes]) -> None:
        private_keys = [PrivateKey(seed) for seed in seeds]
        self.public = tuple(SealingKey(bytes(key.public_key)) for key in private_keys)
        self._boxes = {public.id: SealedBox(key) for public, key in zip(self.public, private_keys, strict=True)}

    def open(self, text: str) -> str:
        """Return the loginId; raises SealError, or UnknownKey if LOGIN_KEYS lacks the key."""
        key_id, box = _split(text)
        if key_id not in self._boxes:
            raise UnknownKey(key_id)
        if not _OVERHEAD_BYTES < len(box) <= _OVERHEAD_BYTES + LARGEST_LOGIN_BYTES:
            raise SealError("these bytes are not a sealed loginId")
        try:
            return self._boxes[key_id].decrypt(box).decode()
        except (CryptoError, UnicodeDecodeError):
            raise SealError("the sealed loginId was altered, or sealed to another key") from None


def _split(text: str) -> tuple[str, bytes]:
    found = _TEXT.fullmatch(text)
    if found is None or len(found[2]) % 4 == 1:
        raise SealError("must be <key id>.<base64url>")
    return found[1], base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))


def _key_id(raw: bytes) -> str:
    return hashlib.sha256(raw).digest()[:_KEY_ID_BYTES].hex()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
