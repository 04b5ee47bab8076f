"""The TLS server of the benchmark of transports answers as the stub in C does."""

import shutil
import ssl
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from benchmarks.stub import NoCompiler, Stub, build
from benchmarks.tls_stub import ANSWER, CONTENT, PATH, tls_stub


@pytest.mark.skipif(not shutil.which("openssl"), reason="it makes its certificate with openssl")
def test_a_call_over_tls_is_answered_on_a_certificate_that_the_client_verifies(tmp_path: Path) -> None:
    with tls_stub(tmp_path) as (url, certificate):
        trusted = ssl.create_default_context(cafile=str(certificate))
        with urlopen(Request(url + PATH, CONTENT, method="PATCH"), timeout=10, context=trusted) as answer:
            assert (answer.status, answer.read()) == (200, ANSWER)


def test_the_stub_in_c_gives_the_same_answer(tmp_path: Path) -> None:
    try:
        build(tmp_path)
    except NoCompiler as error:
        pytest.skip(str(error))
    with Stub(tmp_path) as stub, urlopen(Request(stub.url + PATH, CONTENT, method="PATCH"), timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, ANSWER)
