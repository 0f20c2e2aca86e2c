from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from turnout.errors import Unprocessable
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import NewModel, NewVersion, read_version
from turnout.registry.schemas import merge

VERSION = TypeAdapter(NewVersion)
MODEL = TypeAdapter(NewModel)


def test_only_the_version_is_required() -> None:
    new = VERSION.validate_python({"version": "v1.1"})

    assert new == NewVersion(version="1.1.0")
    assert new.runtime == ExternalRuntime()


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"deeper": [document]} if levels % 2 else {"deeper": document}
    return document


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        pytest.param("version", "1", "version", id="version that does not parse"),
        pytest.param("parent_version", "one", "parent_version", id="parent that does not parse"),
        pytest.param("metrics", {"auc": float("nan")}, "metrics.auc", id="NaN metric"),
        pytest.param("metrics", {"auc": float("inf")}, "metrics.auc", id="infinite metric"),
        pytest.param("metrics", {"auc": True}, "metrics.auc", id="a truth for a number"),
        pytest.param("metrics", {"auc": "0.9"}, "metrics.auc", id="text for a number"),
        pytest.param("metrics", {"": 1}, "metrics..[key]", id="metric without a name"),
        pytest.param(
            "group_metrics", {"a": {"auc": float("nan")}}, "group_metrics.a.auc", id="NaN in group"
        ),
        pytest.param("tags", ["a\u202eb"], "tags.0", id="invisible character in a tag"),
        pytest.param("description", "a\x00", "description", id="NUL in a text"),
        pytest.param("owner", "a\nb", "owner", id="two lines for an owner"),
        pytest.param("metadata", {"a": [float("nan")]}, "metadata", id="NaN deep in metadata"),
        pytest.param("metadata", {"a\x00": 1}, "metadata", id="NUL in a key of metadata"),
        pytest.param("metadata", {"a": "\ud800"}, "metadata", id="half a character"),
        pytest.param("metadata", nested(21), "metadata", id="bottomless metadata"),
        pytest.param("licence", "MIT", "licence", id="unknown field"),
    ],
)
def test_malformed_fields_are_refused_by_name(field: str, value: object, place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        VERSION.validate_python({"version": "1.0.0", field: value})

    errors = refused.value.errors()
    assert [".".join(map(str, error["loc"])) for error in errors] == [place]


def test_metadata_is_kept_as_it_is() -> None:
    document = {"a": [1, 2.5, None, True, "text\n"], "deep": nested(18)}

    assert VERSION.validate_python({"version": "1.0.0", "metadata": document}).metadata == document


def test_a_version_is_not_its_own_parent() -> None:
    with pytest.raises(ValidationError, match="not itself"):
        VERSION.validate_python({"version": "1.0.0", "parent_version": "v1.0"})


@pytest.mark.parametrize("name", ["fraud-detection", "a", "7.up", "A_b-c.d", "x" * 100])
def test_model_names(name: str) -> None:
    assert MODEL.validate_python({"name": name}).name == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "é", "x" * 101, "a\x00", "a\n"])
def test_what_is_no_model_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="such as fraud-detection"):
        MODEL.validate_python({"name": name})


def test_a_version_in_a_path_is_refused_with_the_same_sentence() -> None:
    with pytest.raises(Unprocessable, match="write major"):
        read_version("latest")


# The cases of RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_follows_the_standard(target: object, patch: object, result: object) -> None:
    assert merge(target, patch) == result
