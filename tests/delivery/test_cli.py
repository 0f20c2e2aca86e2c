"""The commands against a service with a worker, in a process of its own."""

import re
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from tests.delivery.test_guide import GUIDE
from tests.processes import listening
from turnout.cli.app import app


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("service")
    with listening("serve", directory, TURNOUT_ALLOW_PRIVATE_NETWORKS="true") as (url, _):
        yield url


def run(*arguments: str, url: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, [*arguments, "--url", url], env={"COLUMNS": "200"})
    return found.exit_code, found.output


def test_a_webhook_is_made_tested_looked_at_and_deleted(url: str):
    target = f"{url}/healthz"  # it takes no POST, so it answers 405
    code, said = run("webhooks", "create", target, "--event", "rollout.*", url=url)
    assert (code, "whsec_" in said) == (0, True)
    webhook = said.split()[0]
    assert webhook in run("webhooks", "list", url=url)[1]
    code, said = run("webhooks", "test", webhook, url=url)
    assert (code, said.startswith("pending: 405")) == (1, True)
    code, said = run("webhooks", "deliveries", webhook, url=url)
    assert code == 0
    assert "405" in said
    assert run("webhooks", "delete", webhook, url=url)[0] == 0
    code, said = run("webhooks", "test", webhook, url=url)
    assert (code, "there is no webhook" in said) == (1, True)
    assert webhook not in run("webhooks", "list", url=url)[1]


def test_what_the_guide_has_one_send_is_accepted(url: str):
    """All but `test`, which would call somebody, which other tests do."""
    commands = re.findall(r"^turnout (webhooks .+)$", GUIDE, re.MULTILINE)
    made = []
    for command in commands:
        words = [word.strip("\"'") for word in command.split()]
        if words[1] == "create":
            code, said = run(*words, url=url)
            assert code == 0, said
            made.append(said.split()[0])
        elif words[1] == "deliveries":
            assert run("webhooks", "deliveries", made[0], url=url)[0] == 0
    assert len(made) == 3
    for webhook in made:
        assert run("webhooks", "delete", webhook, url=url)[0] == 0
