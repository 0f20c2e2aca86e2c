"""What docs/guides/alerts-and-webhooks.md quotes is what the product sends, and its code runs."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from typer.main import get_command

from tests.delivery.test_domain import PUBLIC, event
from turnout.cli.app import app
from turnout.delivery.domain.formats import message
from turnout.delivery.domain.webhook import Format

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "alerts-and-webhooks.md").read_text()


def quoted(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)\n```", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("form", [Format.STANDARD, Format.SLACK])
def test_what_is_quoted_is_what_is_sent(form: Format):
    assert quoted(f"json {form}") == message(event(), form, secret="", public_url=PUBLIC).body


def test_the_code_that_verifies_verifies():
    secret, body = "whsec_" + "QUJD" * 8, quoted("json standard")
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    known = {"secret": secret, "body": body, "headers": headers}
    exec(quoted("python verify"), known)

    assert known["event"]["type"] == "rollout.rolled_back"  # type: ignore[index]


def test_every_command_is_one_of_ours_with_options_that_it_has():
    for line in re.findall(r"^turnout (.+)$", GUIDE, re.MULTILINE):
        group, name, *rest = line.split()
        command = get_command(app).commands[group].commands[name]  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options
