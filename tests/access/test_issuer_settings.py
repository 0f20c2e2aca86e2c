"""Which identity providers may be set."""

import pytest
from pydantic import ValidationError

from turnout.settings import Settings


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"oidc_issuer": "https://a.example"}, id="no audience"),
        pytest.param({"oidc_audience": "turnout"}, id="no issuer"),
        pytest.param({"oidc_keys_url": "https://a.example/keys"}, id="keys of nobody"),
        pytest.param({"oidc_issuer": "http://a.example", "oidc_audience": "a"}, id="no TLS"),
        pytest.param({"oidc_issuer": "a.example", "oidc_audience": "a"}, id="no address"),
        pytest.param({"oidc_algorithms": "HS256"}, id="a shared secret"),
        pytest.param({"oidc_algorithms": "RS256,none"}, id="no signature"),
        pytest.param({"oidc_algorithms": ""}, id="no algorithm"),
    ],
)
def test_settings_that_would_not_protect_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, **given)  # type: ignore[call-arg,arg-type]
