"""Which tests run only when the promises are proved at length: NIGHTLY_PROVE=1 runs them with the others."""

import os

import pytest

long_form = pytest.mark.skipif("NIGHTLY_PROVE" not in os.environ, reason="a long form: set NIGHTLY_PROVE=1")
