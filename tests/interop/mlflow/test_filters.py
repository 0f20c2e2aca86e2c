"""MLflow's language of search, clause by clause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.interop.mlflow.domain.filters import (
    IS_PROMPT,
    OF_MODELS,
    OF_VERSIONS,
    FilterNotUnderstood,
    OrderNotUnderstood,
    conditions,
    model_order,
    version_order,
)
from turnout.registry.domain.search import Comparison, Condition, Of, Order

NO_PROMPT = Condition(
    of=Of.TAG, tag=IS_PROMPT, comparison=Comparison.IS_NOT, value="true", or_absent=True
)


def name(comparison: Comparison, value: str | tuple[str, ...]) -> Condition:
    return Condition(of=Of.NAME, comparison=comparison, value=value)


def tag(key: str, value: str, comparison: Comparison = Comparison.IS) -> Condition:
    return Condition(of=Of.TAG, tag=key, comparison=comparison, value=value)


def number(comparison: Comparison, value: int) -> Condition:
    return Condition(of=Of.NUMBER, comparison=comparison, value=value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("  ", [], id="blanks"),
        pytest.param("name = 'fraud'", [name(Comparison.IS, "fraud")], id="equal"),
        pytest.param('name="fraud"', [name(Comparison.IS, "fraud")], id="double quotes, no blanks"),
        pytest.param("name <> 'it''s'", [name(Comparison.IS_NOT, "it's")], id="a quote in a text"),
        pytest.param("attribute.name = 'a'", [name(Comparison.IS, "a")], id="attribute in full"),
        pytest.param("name like 'Fr%'", [name(Comparison.LIKE, "Fr%")], id="small letters"),
        pytest.param("name ILIKE '%and%'", [name(Comparison.ILIKE, "%and%")], id="and in a text"),
        pytest.param(
            "name IN ('a', \"b)\",'c')", [name(Comparison.AMONG, ("a", "b)", "c"))], id="a list"
        ),
        pytest.param(
            "name not  in ('a')", [name(Comparison.NOT_AMONG, ("a",))], id="none of a list"
        ),
        pytest.param("tags.team = 'risk'", [tag("team", "risk")], id="tag"),
        pytest.param("tag.a.b-c = '1'", [tag("a.b-c", "1")], id="dots and dashes in a key"),
        pytest.param("tags.`an odd key` = ''", [tag("an odd key", "")], id="backticks"),
        pytest.param("tags.\"odd\" LIKE 'x_'", [tag("odd", "x_", Comparison.LIKE)], id="quoted"),
        pytest.param("version_number >= 3", [number(Comparison.AT_LEAST, 3)], id="number"),
        pytest.param("version_number < '3'", [number(Comparison.LESS, 3)], id="number as text"),
        pytest.param(
            "version_number != 99999999999999", [number(Comparison.IS_NOT, 2**31 - 1)], id="huge"
        ),
        pytest.param(
            "run_id='r' AND source_path LIKE 's3://%'and name='a'",
            [
                Condition(of=Of.RUN, comparison=Comparison.IS, value="r"),
                Condition(of=Of.SOURCE, comparison=Comparison.LIKE, value="s3://%"),
                name(Comparison.IS, "a"),
            ],
            id="three clauses",
        ),
        pytest.param(
            "tags.semver = '1.2.0'",
            [Condition(of=Of.VERSION, comparison=Comparison.IS, value="1.2.0")],
            id="the semantic version",
        ),
    ],
)
def test_a_filter_is_a_list_of_conditions(text: str, found: list[Condition]) -> None:
    assert conditions(text, OF_VERSIONS) == [*found, NO_PROMPT]


@pytest.mark.parametrize(
    ("text", "or_absent"),
    [
        pytest.param("= 'true'", False, id="prompts only"),
        pytest.param("!= 'true'", True, id="no prompts"),
        pytest.param("= 'false'", True, id="no prompts, said otherwise"),
    ],
)
def test_what_is_no_prompt_need_not_say_so(text: str, or_absent: bool) -> None:
    (found,) = conditions(f"tags.`{IS_PROMPT}` {text}", OF_MODELS)

    assert found.or_absent is or_absent


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("name", "write clauses", id="no comparison"),
        pytest.param("name = fraud", "write clauses", id="no quotes"),
        pytest.param("name = 'fraud", "write clauses", id="an open quote"),
        pytest.param("name = 'a' OR name = 'b'", "there is no OR", id="or"),
        pytest.param("(name = 'a')", "write clauses", id="parentheses"),
        pytest.param("name = 'a' AND", "joined by AND", id="nothing behind and"),
        pytest.param("name = 'a' name = 'b'", "joined by AND", id="nothing between"),
        pytest.param("tags.a IS NULL", "write clauses", id="is null"),
        pytest.param("stage = 'x'", "there are name, run_id", id="no such attribute"),
        pytest.param("metrics.auc > 1", "there are name, run_id", id="no such entity"),
        pytest.param(
            "name > 'a'", "compared by =, !=, LIKE, ILIKE, IN, NOT IN", id="order of text"
        ),
        pytest.param("tags.a IN ('b')", "compared by =, !=, LIKE, ILIKE", id="list of tags"),
        pytest.param("version_number LIKE '1%'", "compared by", id="pattern of a number"),
        pytest.param("version_number = 'x'", "a whole number", id="text for a number"),
        pytest.param("name = 3", "a text in quotes", id="number for a text"),
        pytest.param("name IN 'a'", "a list is expected", id="text for a list"),
        pytest.param("name = 'a\x00'", "control characters", id="control character"),
        pytest.param("name = '" + "a" * 10_000 + "'", "at most 10,000", id="endless"),
    ],
)
def test_what_is_not_understood_is_shown(text: str, why: str) -> None:
    with pytest.raises(FilterNotUnderstood, match=why):
        conditions(text, OF_VERSIONS)


@given(st.text(alphabet="name=tags.'`\"() ANDLIKE1\\%_<>!", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        conditions(text, OF_VERSIONS)
    except FilterNotUnderstood:
        return


@given(st.text(st.characters(exclude_categories=("C", "Z"))))
def test_any_value_comes_back_as_it_was_quoted(value: str) -> None:
    quoted = value.replace("'", "''")

    assert conditions(f"tags.a = '{quoted}'", OF_MODELS)[0].value == value


def test_no_two_are_equal_in_any_order() -> None:
    name_up, number_down = Order(of=Of.NAME), Order(of=Of.NUMBER, descending=True)
    newest = Order(of=Of.UPDATED, descending=True)

    assert model_order(()) == [name_up]
    assert model_order(["timestamp DESC"]) == [newest, name_up]
    assert version_order(()) == [newest, name_up, number_down]
    assert version_order([" version_number  asc ", "`name` desc"]) == [
        Order(of=Of.NUMBER),
        Order(of=Of.NAME, descending=True),
        newest,
    ]


@pytest.mark.parametrize("text", ["creation_timestamp", "name; DROP", "", "name up"])
def test_an_order_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(OrderNotUnderstood, match="last_updated_timestamp"):
        model_order([text])
