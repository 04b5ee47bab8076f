"""Requests made by schemathesis from docs/openapi.yaml, signed as a producer signs, and judged by the same document."""

from typing import Any
from urllib.parse import quote

import schemathesis
import yaml
from openapi_schema_validator import OAS31Validator
from requests import PreparedRequest, Session
from requests.auth import AuthBase
from schemathesis import Case, Response
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import missing_required_header, negative_data_rejection, unsupported_method

from docs.generator.rendered import ROOT
from tests.http_events import BATCH, BINARY, STRUCTURED, event, signed
from worker.vault.vault import Vault, decode_key, new_key

load_all_checks()
PATH = ROOT / "docs" / "openapi.yaml"
DOCUMENT = yaml.safe_load(PATH.read_text())
OPERATION = schemathesis.openapi.from_path(PATH, config=SchemathesisConfig())["/events"]["POST"]
LOGIN_KEY = new_key()
VAULT = Vault([decode_key(LOGIN_KEY)])
SIGNED_ANEW = [negative_data_rejection, missing_required_header]
"""Checks that cannot know that the headers were replaced after the case was generated."""
UNSIGNED = [unsupported_method]
ATTRIBUTES = {f"ce-{name}": quote(text) for name, text in event().items() if isinstance(text, str)}


class Signed(AuthBase):
    """Signs the next request as a producer would."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        attributes = sorted((name.lower(), value) for name, value in request.headers.items())
        lines = [f"{name}:{_text(value)}\n" for name, value in attributes if name.startswith("ce-")]
        is_binary = _text(request.headers.get("content-type", "")).startswith(BINARY)
        content = "".join(lines).encode("latin-1") + b"\n" + body if is_binary else body
        for name, value in signed(content).items():
            request.headers[name] = value
        return request


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def acceptable(case: Case[Any]) -> Case[Any]:
    """Turn data that fits the schema into data that also fits the rules no schema can express."""
    batch = case.body if isinstance(case.body, list) else [case.body]
    for each in batch:
        data = each.get("data", each)
        if "sealedLoginId" in data:
            data["sealedLoginId"] = VAULT.public_keys[0].seal("login-1")
        texts = [(data, "loginId")] if "loginId" in data else []
        texts += [(each, name) for name in ("id", "source", "subject") if each.get(name)]
        for holder, name in texts:
            holder[name] = "".join(filter(str.isprintable, holder[name])).strip() or "x"
        if "loginId" in data:  # where the server seals, no other field may contain it
            data["loginId"] = f"login {data['loginId']}"[:256].strip()
        data["instance"] = None
        if "time" in each:
            each["time"] = "2024" + each["time"][4:]
    case.headers = dict(ATTRIBUTES) if case.media_type == BINARY else {}
    return case


def fits(case: Case[Any]) -> bool:
    """Whether a body fits the schema of its media type."""
    name = {STRUCTURED: "CloudEvent", BATCH: "Batch", BINARY: "LoginData"}[str(case.media_type)]
    return bool(OAS31Validator(DOCUMENT | {"$ref": f"#/components/schemas/{name}"}).is_valid(case.body))


def call(case: Case[Any], url: str, auth: AuthBase | None = None) -> Response:
    """Send a case on a connection of its own, without any proxy of the environment."""
    with Session() as session:
        session.trust_env = False
        return case.call(base_url=url, session=session, auth=auth)
