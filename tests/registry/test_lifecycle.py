import pytest

from turnout.registry.domain.lifecycle import InvalidTransition, Lifecycle, check_transition

ALLOWED = {
    "development": {"staging", "rejected", "archived"},
    "staging": {"production", "development", "rejected", "archived"},
    "production": {"archived", "rejected"},
    "archived": {"production", "staging", "rejected"},
    "rejected": {"development", "archived"},
}


@pytest.mark.parametrize("stage", Lifecycle)
@pytest.mark.parametrize("to", Lifecycle)
def test_only_these_transitions_are_allowed(stage: Lifecycle, to: Lifecycle) -> None:
    if to in ALLOWED[stage]:
        check_transition(stage, to)
    else:
        with pytest.raises(InvalidTransition):
            check_transition(stage, to)


def test_a_refusal_names_the_way_out() -> None:
    with pytest.raises(InvalidTransition) as refusal:
        check_transition(Lifecycle.DEVELOPMENT, Lifecycle.PRODUCTION)

    assert refusal.value.detail == (
        "a version in development cannot move to production: from development it moves to"
        " staging, rejected, archived"
    )
    assert refusal.value.facts["allowed"] == ("staging", "rejected", "archived")
