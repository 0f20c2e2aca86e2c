from ssl import SSLContext
from typing import Any

from rich.console import Console

from turnout.cli.overview import look
from turnout.cli.remote import trusted

FOUND: dict[str, Any] = {
    "health": "ok",
    "totals": {
        "models": 1,
        "alerts": {"critical": 0},
        "rollouts": {"running": 1, "paused": 1},
        "experiments": {"running": 0},
        "updates": {"queued": 1},
    },
    "models": [],
    "alerts": [],
}


def test_one_of_a_kind_is_not_several() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(look(FOUND))

    heading = capture.get().splitlines()[0].rstrip()
    assert heading == "ok: 1 model, 0 open alerts, 2 rollouts, 0 experiments, 1 update"


def test_certificates_are_loaded_for_tls_only() -> None:
    """It takes as long as many a command does. Nobody is trusted by mistake."""
    plain = trusted("http://127.0.0.1:8000")

    assert trusted("https://turnout.example.com") is True
    assert isinstance(plain, SSLContext)
    assert plain.get_ca_certs() == []
    assert plain.check_hostname
