"""The commands against a service with a worker, in a process of its own."""

from pathlib import Path

from typer.testing import CliRunner

from tests.processes import listening
from turnout.cli.app import app


def run(*arguments: str, url: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, [*arguments, "--url", url], env={"COLUMNS": "200"})
    return found.exit_code, found.output


def test_a_webhook_is_made_tested_looked_at_and_deleted(tmp_path: Path):
    with listening("serve", tmp_path, TURNOUT_ALLOW_PRIVATE_NETWORKS="true") as (url, _):
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
