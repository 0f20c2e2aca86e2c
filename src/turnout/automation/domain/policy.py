"""The update policy of a model: what is checked, how it is retrained, what starts by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, Literal

from annotated_types import MaxLen

from turnout.automation.domain.checks import STANDARD, UpdateRule
from turnout.automation.domain.update import UpdateTrigger, UpdateWish
from turnout.gates.domain.policy import Deadline, check_hook, check_secret_env
from turnout.quantities import STRICT, Duration, Reading
from turnout.registry.domain.fields import Address, Label, Summary

RETRIES: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
)
"""How long after each failed call the pipeline is called again; then the update has failed."""

NAMED_IN: Final = "update"
"""The key of a version's metadata that names the update it was trained for."""

By = Literal["drift", "performance", "new_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """The training pipeline: it is called by POST, and registers the version with
    `"metadata": {"update": "<id>"}` within `wait`.

    `secret_env` names the variable, in the worker's environment, whose value signs the call.
    """

    __pydantic_config__ = STRICT

    url: Annotated[Address, Reading(check=check_hook, describe={"type": "string", "format": "uri"})]
    secret_env: Label | None = None
    timeout: Deadline = timedelta(seconds=30)
    wait: Duration = timedelta(days=7)

    def __post_init__(self) -> None:
        check_secret_env(self.secret_env)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePolicy:
    """`rules` are checked before any update begins. `on` says which update each trigger starts by
    itself: `performance` and `drift` when a threshold whose action is `retrain` fires, `new_data`
    when a version is registered whose `dataset_version` is new to the model.
    """

    __pydantic_config__ = STRICT

    rules: Annotated[tuple[UpdateRule, ...], MaxLen(50)] = STANDARD
    retraining: Retraining | None = None
    on: Mapping[By, UpdateWish] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, rule in enumerate(self.rules):
            if rule in self.rules[:place]:
                raise ValueError(f"rules[{place}] is there twice")
        for trigger, wish in self.on.items():
            if wish.retrain and self.retraining is None:
                raise ValueError(
                    f"on.{trigger} is to retrain: say in `retraining` which pipeline is called"
                )
        if (new := self.on.get("new_data")) is not None and new.retrain:
            raise ValueError(
                "on.new_data starts when a version trained on new data is there already: have the"
                " data pipeline POST an update with retrain and trigger new_data instead"
            )

    def wish(self, trigger: UpdateTrigger) -> UpdateWish | None:
        return next((wish for by, wish in self.on.items() if by == trigger.value), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpdatePolicy(UpdatePolicy):
    __pydantic_config__ = STRICT

    reason: Summary | None = None

    @property
    def policy(self) -> UpdatePolicy:
        return UpdatePolicy(rules=self.rules, retraining=self.retraining, on=self.on)
