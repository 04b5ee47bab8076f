"""A Flinks instance: its entry in FLINKS_INSTANCES, and the address and credentials that a call needs."""

from pydantic import BaseModel, ConfigDict, SecretStr

from worker.config.validators import BaseUrl, Guid, HeaderSecret
from worker.vault.vault import Vault


class FurtherInstance(BaseModel):
    """One entry of FLINKS_INSTANCES."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    customer_id: Guid
    auth_key: HeaderSecret
    base_url: BaseUrl | None = None


class Instance(BaseModel):
    """One Flinks instance that we may call: its complete address and credentials."""

    model_config = ConfigDict(frozen=True)

    name: str
    customer_id: str
    auth_key: SecretStr
    auth_header: str
    auth_scheme: str
    base_url: str

    def fingerprint(self, vault: Vault) -> str:
        """Return an identifier of this exact configuration that reveals none of it; the gate remembers it.

        It does not depend on the sealing keys: rotating LOGIN_KEYS leaves a proven configuration proven.
        """
        key = self.auth_key.get_secret_value()
        address = (self.name, self.customer_id, self.auth_header, self.auth_scheme, self.base_url)
        return vault.fingerprint(*address, key)
