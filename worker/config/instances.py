"""A Flinks instance: what a setting says of one, and the whole of what a call to it needs."""

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
    """One Flinks instance that we may call: the whole of what its address and credentials are."""

    model_config = ConfigDict(frozen=True)

    name: str
    customer_id: str
    auth_key: SecretStr
    auth_header: str
    auth_scheme: str
    base_url: str

    def fingerprint(self, vault: Vault) -> str:
        """Return a name for this very configuration that reveals nothing of it (the gate's memory).

        The keys that seal are no part of it: to rotate them makes no configuration unproven.
        """
        key = self.auth_key.get_secret_value()
        address = (self.name, self.customer_id, self.auth_header, self.auth_scheme, self.base_url)
        return vault.fingerprint(*address, key)
