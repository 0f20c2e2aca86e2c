"""What docs/guides/updates.md says is what the product does."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from tests.automation.conftest import MODEL, Dispatcher
from turnout.automation.domain.checks import KINDS, RuleSeverity
from turnout.automation.domain.policy import RETRIES, Retraining
from turnout.automation.domain.update import UpdateState, UpdateTrigger, UpdateWish
from turnout.cli.updates import update

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "updates.md").read_text()


@pytest.mark.parametrize(
    "word",
    [
        *UpdateState,
        *UpdateTrigger,
        *(kind.__dataclass_fields__["kind"].default for kind in KINDS),
        *(field.name for of in (UpdateWish, Retraining) for field in fields(of)),
    ],
)
def test_every_word_is_explained(word: str):
    assert f"`{word}`" in GUIDE or f'"{word}":' in GUIDE


@pytest.mark.parametrize("word", RuleSeverity)
def test_both_severities_are_explained(word: str):
    assert f'"{word}"' in GUIDE


def test_the_pipeline_is_called_as_often_as_it_says():
    assert [delay.total_seconds() / 60 for delay in RETRIES] == [1, 5, 30, 120]
    assert "after 1, 5 and 30 minutes and 2 hours" in GUIDE


async def test_what_is_sent_is_taken(dispatcher: Dispatcher):
    sent = re.findall(r"curl -s -X (\w+) \$api/(\S+) --json '(.+?)'\n", GUIDE, re.DOTALL)
    assert len(sent) == 5
    await dispatcher.release("1.0.0")
    for method, path, body in sent:
        await dispatcher.call(method, path, json.loads(body))

    assert (await dispatcher.only())["model"] == MODEL


def test_the_commands_are_those_of_the_command_line():
    named = set(re.findall(r"turnout update (\w+)", GUIDE))

    assert named == set(get_command(update).commands)  # type: ignore[attr-defined]
