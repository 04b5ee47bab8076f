"""Verifies ID tokens of OpenID Connect: signature, issuer, audience, times and nonce.

The key set is read again when a token names an unknown key, at most once a minute.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key. `none`, and HS256 with that key as a password, are never accepted."""
CLOCK_SECONDS = 60
"""Difference between the clocks that is tolerated."""
KEYS_SECONDS, LOOK_AGAIN_SECONDS = 3600.0, 60.0


class IdTokens:
    """The tokens of one issuer for one client. `read_json` reads the key set."""

    def __init__(self, issuer: str, client_id: str, read_json: Callable[[str], Any]) -> None:
        self._issuer, self._client_id, self._read_json = issuer, client_id, read_json
        self._keys: tuple[float, Any] | None = None

    def claims_of(self, token: str, keys_url: str, *, nonce: str) -> Mapping[str, Any]:
        """Return the claims of a valid token; raises ValueError or an error of joserfc for any other."""
        from joserfc import jwt  # noqa: PLC0415 - comes with the extra [oidc]

        decoded = self._decode(token, keys_url)
        claims: dict[str, Any] = decoded.claims
        jwt.JWTClaimsRegistry(
            leeway=CLOCK_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
        audience = claims["aud"]
        others = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if others else self._client_id) != self._client_id:
            raise ValueError("the token was made for another client")
        return claims

    def _decode(self, token: str, keys_url: str) -> Any:
        from joserfc import errors, jwt  # noqa: PLC0415 - comes with the extra [oidc]

        try:
            return jwt.decode(token, self._key_set(keys_url, KEYS_SECONDS), algorithms=ALGORITHMS)
        except (errors.InvalidKeyIdError, errors.BadSignatureError):  # the issuer may have changed its keys
            return jwt.decode(token, self._key_set(keys_url, LOOK_AGAIN_SECONDS), algorithms=ALGORITHMS)

    def _key_set(self, keys_url: str, seconds: float) -> Any:
        from joserfc.jwk import KeySet  # noqa: PLC0415 - comes with the extra [oidc]

        now = time.monotonic()
        if self._keys is None or now - self._keys[0] >= seconds:
            self._keys = (now, KeySet.import_key_set(self._read_json(keys_url)))
        return self._keys[1]
