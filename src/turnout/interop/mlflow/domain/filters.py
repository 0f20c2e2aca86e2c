"""MLflow's language of search: clauses joined by AND, as its own server understands them.

`name LIKE 'fraud%' AND tags.team = 'risk'`: an attribute or a tag, a comparison, a value. What
that server understands in two ways, or answers with a failure of its own, is refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from turnout.errors import Unprocessable
from turnout.quantities import check_text
from turnout.registry.domain.search import Comparison, Condition, Of, Order

IS_PROMPT: Final = "mlflow.prompt.is_prompt"
SEMVER: Final = "semver"
LONGEST: Final = 10_000
_MOST: Final = 2**31 - 1

_TEXT: Final = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_CLAUSE: Final = re.compile(
    rf"""
    \s*(?: (?P<entity>\w+) \s*\.\s* )?
    (?P<key> `[^`]+` | "[^"]+" | [\w.\-/]+ )
    \s*(?P<comparison> != | <> | <= | >= | = | < | > | (?:NOT\s+)?IN\b | I?LIKE\b )
    \s*(?P<value> {_TEXT} | \( \s*(?:{_TEXT})(?:\s*,\s*(?:{_TEXT}))*\s* \) | -?\d+ )
    \s*""",
    re.IGNORECASE | re.VERBOSE,
)
_AND: Final = re.compile(r"AND\b", re.IGNORECASE)
_TEXTS: Final = re.compile(_TEXT)
_ORDER: Final = re.compile(r"\s*`?(?:attributes?\.)?(\w+)`?(?:\s+(ASC|DESC))?\s*", re.IGNORECASE)

_EQUAL: Final = frozenset({Comparison.IS, Comparison.IS_NOT})
_ALIKE: Final = _EQUAL | {Comparison.LIKE, Comparison.ILIKE}
_LISTED: Final = frozenset({Comparison.AMONG, Comparison.NOT_AMONG})
_ORDERED: Final = frozenset(
    {Comparison.LESS, Comparison.AT_MOST, Comparison.MORE, Comparison.AT_LEAST}
)
Attributes = Mapping[str, tuple[Of, Collection[Comparison]]]

OF_MODELS: Final[Attributes] = {"name": (Of.NAME, _ALIKE | _LISTED)}
OF_VERSIONS: Final[Attributes] = {
    "name": (Of.NAME, _ALIKE | _LISTED),
    "run_id": (Of.RUN, _ALIKE | _LISTED),
    "source_path": (Of.SOURCE, _ALIKE),
    "version_number": (Of.NUMBER, _EQUAL | _ORDERED),
}
MODEL_ORDER: Final = {
    "name": Of.NAME,
    "timestamp": Of.UPDATED,
    "last_updated_timestamp": Of.UPDATED,
}
VERSION_ORDER: Final = {
    "name": Of.NAME,
    "version_number": Of.NUMBER,
    "creation_timestamp": Of.CREATED,
    "last_updated_timestamp": Of.UPDATED,
}
_AS_USUAL: Final = {Of.NAME: False, Of.NUMBER: True, Of.CREATED: True, Of.UPDATED: True}


class FilterNotUnderstood(Unprocessable):
    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"the filter is not understood at {where[:80]!r}: {why}", field="filter")


class OrderNotUnderstood(Unprocessable):
    def __init__(self, text: str, known: Collection[str]) -> None:
        super().__init__(
            f"order_by {text[:80]!r} is not one of {', '.join(known)}, with ASC or DESC behind it",
            field="order_by",
        )


def conditions(text: str, attributes: Attributes) -> list[Condition]:
    """Read a filter. Prompts are left out unless it speaks of them, as MLflow does."""
    found = [*_clauses(text, attributes)]
    if not any(condition.tag == IS_PROMPT for condition in found):
        found.append(_of_tag(IS_PROMPT, Comparison.IS_NOT, "true"))
    return found


def model_order(texts: Collection[str]) -> list[Order]:
    return _ordered(texts, MODEL_ORDER, (Of.NAME,))


def version_order(texts: Collection[str]) -> list[Order]:
    return _ordered(texts, VERSION_ORDER, (Of.UPDATED, Of.NAME, Of.NUMBER))


def _clauses(text: str, attributes: Attributes) -> Iterator[Condition]:
    if len(text) > LONGEST:
        raise FilterNotUnderstood(text, f"a filter has at most {LONGEST:,} characters")
    try:
        check_text(text)
    except ValueError as error:
        raise FilterNotUnderstood(text, str(error)) from None
    place = 0
    while text[place:].strip():
        clause = _CLAUSE.match(text, place)
        if clause is None:
            raise FilterNotUnderstood(text[place:], "write clauses such as name LIKE 'fraud%'")
        yield _condition(clause, attributes)
        place = clause.end()
        if place == len(text):
            return
        joined = _AND.match(text, place)
        if joined is None or not text[joined.end() :].strip():
            raise FilterNotUnderstood(
                text[place:], "clauses are joined by AND; there is no OR, and no parentheses"
            )
        place = joined.end()


def _condition(clause: re.Match[str], attributes: Attributes) -> Condition:
    entity = (clause["entity"] or "attribute").lower()
    key = clause["key"].strip('`"')
    written = re.sub(r"\s+", " ", clause["comparison"].upper())
    comparison = Comparison("!=" if written == "<>" else written)
    if entity in {"tag", "tags"}:
        _check(clause, comparison, _ALIKE)
        return _of_tag(key, comparison, _text(clause))
    if entity not in {"attribute", "attributes"} or key not in attributes:
        raise FilterNotUnderstood(
            clause[0], f"there are {', '.join(attributes)} and tags.<key>, with `` around odd keys"
        )
    of, allowed = attributes[key]
    _check(clause, comparison, allowed)
    if of is Of.NUMBER:
        return Condition(of=of, comparison=comparison, value=_number(clause))
    if comparison in _LISTED:
        return Condition(of=of, comparison=comparison, value=_texts(clause))
    return Condition(of=of, comparison=comparison, value=_text(clause))


def _of_tag(key: str, comparison: Comparison, value: str) -> Condition:
    if key == SEMVER:
        return Condition(of=Of.VERSION, comparison=comparison, value=value)
    # What has no such tag is not a prompt. Any other tag has to be there.
    other = (comparison, value) in {(Comparison.IS_NOT, "true"), (Comparison.IS, "false")}
    return Condition(
        of=Of.TAG, tag=key, comparison=comparison, value=value, or_absent=key == IS_PROMPT and other
    )


def _check(clause: re.Match[str], comparison: Comparison, allowed: Collection[Comparison]) -> None:
    if comparison not in allowed:
        known = ", ".join(one for one in Comparison if one in allowed)
        raise FilterNotUnderstood(clause[0], f"{clause['key']} is compared by {known}")


def _text(clause: re.Match[str]) -> str:
    value = clause["value"]
    if value[0] not in "'\"":
        raise FilterNotUnderstood(clause[0], "a text in quotes is expected, such as 'fraud'")
    return _unquoted(value)


def _texts(clause: re.Match[str]) -> tuple[str, ...]:
    value = clause["value"]
    if not value.startswith("("):
        raise FilterNotUnderstood(clause[0], "a list is expected, such as ('fraud', 'churn')")
    return tuple(map(_unquoted, _TEXTS.findall(value)))


def _number(clause: re.Match[str]) -> int:
    digits = _unquoted(clause["value"]) if clause["value"][0] in "'\"" else clause["value"]
    try:
        number = int(digits)
    except ValueError:
        raise FilterNotUnderstood(clause[0], "a whole number is expected, such as 3") from None
    return max(-_MOST, min(_MOST, number))


def _unquoted(text: str) -> str:
    mark = text[0]
    return text[1:-1].replace(mark * 2, mark)


def _ordered(texts: Collection[str], known: Mapping[str, Of], usual: tuple[Of, ...]) -> list[Order]:
    """The order that is asked for, and behind it the usual one, so that no two are equal."""
    found: dict[Of, bool] = {}
    for text in texts:
        read = _ORDER.fullmatch(text)
        if read is None or read[1] not in known:
            raise OrderNotUnderstood(text, known)
        found.setdefault(known[read[1]], (read[2] or "").upper() == "DESC")
    for of in usual:
        found.setdefault(of, _AS_USUAL[of])
    return [Order(of=of, descending=descending) for of, descending in found.items()]
