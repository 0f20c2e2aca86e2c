"""ONNX models as the gateway runs them."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.gateway import onnx_models
from tests.gateway.waiting import eventually
from turnout.gateway.runtimes.answers import Answer, Failure, InputMismatch, RuntimeFailure
from turnout.gateway.runtimes.onnx import OnnxModel
from turnout.registry.domain.runtime import OnnxRuntime

SECOND = timedelta(seconds=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


async def answer(path: Path, inputs: Any, config: OnnxRuntime | None = None) -> Answer:
    model = OnnxModel.load(path, config or OnnxRuntime(), threads=1, deadline=10 * SECOND)
    try:
        return await model.predict(inputs)
    finally:
        model.close()


@pytest.mark.parametrize(
    ("inputs", "prediction"),
    [
        pytest.param([1, 2.5, 3], [1.0, 2.5, 3.0], id="a bare row"),
        pytest.param({"X": [1, 2.5, 3]}, [1.0, 2.5, 3.0], id="a named row"),
        pytest.param([[1, 2, 3]], [[1.0, 2.0, 3.0]], id="a batch of one stays a batch"),
        pytest.param([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]], id="a batch"),
    ],
)
async def test_a_missing_batch_dimension_is_added_and_taken_away(path, inputs, prediction):
    assert (await answer(onnx_models.identity(path), inputs)).prediction == prediction


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        pytest.param([1, 2], r"float32\[N, 3\]: its shape is \[2\]", id="too short a row"),
        pytest.param([[[1, 2, 3]]], r"its shape is \[1, 1, 3\]", id="too deep"),
        pytest.param([[1, 2, 3], [4, 5]], "rows differ in length", id="ragged"),
        pytest.param(["1", "2", "3"], "it holds text, not numbers", id="numbers as text"),
        pytest.param([1, "2", 3], "it holds text, not numbers", id="one number as text"),
        pytest.param([True, False, True], "it holds bool, not numbers", id="booleans"),
        pytest.param([1, 2, 1e300], "too large for float32", id="overflow"),
        pytest.param([1, 2, 10**400], "too large", id="a number beyond any float"),
        pytest.param({"x": 1}, "'x' is unknown", id="the wrong name"),
        pytest.param({}, "'X' is missing", id="no name"),
        pytest.param({"X": {"a": 1}}, "is not a number", id="an object for a tensor"),
        pytest.param(None, r"its shape is \[\]", id="null for a row"),
        pytest.param("abc", "it holds text", id="text for a row"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_in_words(path, inputs, said):
    with pytest.raises(InputMismatch, match=said):
        await answer(onnx_models.identity(path), inputs)


async def test_null_is_a_missing_number_for_a_model_of_real_numbers(path):
    model = onnx_models.save(
        path,
        [
            helper.make_node("IsNaN", ["X"], ["missing"]),
            helper.make_node("Cast", ["missing"], ["Y"], to=TensorProto.INT64),
        ],
        [onnx_models.tensor("X", TensorProto.FLOAT, ("N", 3))],
        [onnx_models.tensor("Y", TensorProto.INT64, ("N", 3))],
    )

    assert (await answer(model, [1, None, 3])).prediction == [0, 1, 0]


@pytest.mark.parametrize(
    ("kind", "value", "prediction"),
    [
        pytest.param(TensorProto.INT64, [1, 2.0], [1, 2], id="whole reals as integers"),
        pytest.param(TensorProto.INT32, [1, -2], [1, -2], id="32 bits"),
        pytest.param(TensorProto.UINT8, [0, 255], [0, 255], id="bytes"),
        pytest.param(TensorProto.DOUBLE, [1, 0.1], [1.0, 0.1], id="double precision"),
        pytest.param(TensorProto.FLOAT16, [1, 0.5], [1.0, 0.5], id="half precision"),
        pytest.param(TensorProto.BOOL, [True, False], [True, False], id="booleans"),
        pytest.param(TensorProto.STRING, ["a", "ü"], ["a", "ü"], id="text"),
    ],
)
async def test_values_take_the_declared_type(path, kind, value, prediction):
    model = onnx_models.identity(path, kind, ("N", 2))

    assert (await answer(model, value)).prediction == prediction


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        pytest.param(TensorProto.INT64, [1, 2.5], "not whole", id="half a thing"),
        pytest.param(TensorProto.INT64, [1, None], "null is not a number", id="no missing integer"),
        pytest.param(TensorProto.UINT8, [0, 256], "does not fit uint8", id="more than a byte"),
        pytest.param(TensorProto.UINT8, [0, -1], "does not fit uint8", id="less than nothing"),
        pytest.param(TensorProto.INT64, [1, 2**64], "too large to be exact", id="beyond 64 bits"),
        pytest.param(TensorProto.INT64, [2**60 + 1, 2.0], "exact", id="digits lost to a real"),
        pytest.param(TensorProto.FLOAT16, [1, 1e5], "too large for float16", id="half precision"),
        pytest.param(TensorProto.BOOL, [0, 1], "0 is not true or false", id="numbers for booleans"),
        pytest.param(TensorProto.STRING, ["a", 1], "1 is not text", id="a number for text"),
        pytest.param(TensorProto.STRING, ["a", None], "null is not text", id="null for text"),
    ],
)
async def test_values_are_not_bent_to_the_declared_type(path, kind, value, said):
    with pytest.raises(InputMismatch, match=said):
        await answer(onnx_models.identity(path, kind, ("N", 2)), value)


def columns(path: Path) -> Path:
    """Two named columns of different types, as pipelines over a table have them."""
    return onnx_models.save(
        path,
        [
            helper.make_node("Cast", ["age"], ["years"], to=TensorProto.STRING),
            helper.make_node("Concat", ["years", "city"], ["Y"], axis=1),
        ],
        [
            onnx_models.tensor("age", TensorProto.INT64, (None, 1)),
            onnx_models.tensor("city", TensorProto.STRING, (None, 1)),
        ],
        [onnx_models.tensor("Y", TensorProto.STRING, (None, 2))],
    )


@pytest.mark.parametrize(
    ("inputs", "prediction"),
    [
        pytest.param({"age": 37, "city": "Ulm"}, ["37", "Ulm"], id="scalars"),
        pytest.param({"age": [37], "city": ["Ulm"]}, ["37", "Ulm"], id="rows of one column"),
        pytest.param(
            {"age": [37, 4], "city": ["Ulm", "Bonn"]}, [["37", "Ulm"], ["4", "Bonn"]], id="columns"
        ),
        pytest.param(
            {"age": [[37], [4]], "city": [["Ulm"], ["Bonn"]]},
            [["37", "Ulm"], ["4", "Bonn"]],
            id="batches",
        ),
    ],
)
async def test_one_input_per_column(path, inputs, prediction):
    assert (await answer(columns(path), inputs)).prediction == prediction


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        pytest.param([37, "Ulm"], "takes 2 inputs: send an object", id="a bare row"),
        pytest.param({"age": 37}, "'city' is missing", id="a column is missing"),
        pytest.param({"age": [1, 2], "city": "Ulm"}, "some are a batch", id="row and batch"),
        pytest.param({"age": [1, 2], "city": ["a", "b", "c"]}, "batch, but", id="unequal batches"),
    ],
)
async def test_columns_must_agree(path, inputs, said):
    with pytest.raises(InputMismatch, match=said):
        await answer(columns(path), inputs)


@pytest.mark.parametrize("zipmap", [True, False], ids=["as maps", "as a tensor"])
async def test_a_classifier_answers_label_and_confidence(path, zipmap):
    found = await answer(onnx_models.classifier(path, zipmap=zipmap), [0.75, 0])

    assert (found.prediction, found.label, found.confidence) == ("yes", "yes", 0.75)


async def test_only_one_row_has_a_confidence(path):
    found = await answer(onnx_models.classifier(path, zipmap=True), [[0.75, 0], [0.25, 0]])

    assert (found.prediction, found.label, found.confidence) == (["yes", "no"], None, None)


async def test_a_batch_of_one_row_has_label_and_confidence(path):
    found = await answer(onnx_models.classifier(path, zipmap=False), [[0.75, 0]])

    assert (found.prediction, found.label, found.confidence) == (["yes"], "yes", 0.75)


async def test_the_configuration_names_the_outputs(path):
    model = onnx_models.classifier(path, zipmap=False, probabilities="logits")
    config = OnnxRuntime(prediction_output="logits", confidence_output="logits")

    found = await answer(model, [0.75, 0], config)

    assert (found.prediction, found.label, found.confidence) == ([0.25, 0.75], None, 0.75)


async def test_without_names_or_classes_the_first_output_is_the_prediction(path):
    model = onnx_models.classifier(path, zipmap=False, probabilities="logits")

    found = await answer(model, [0.75, 0])

    assert (found.prediction, found.label, found.confidence) == ("yes", "yes", None)


async def test_an_output_that_is_not_there_is_no_configuration(path):
    with pytest.raises(RuntimeFailure, match="names the output 'Z', but it has Y"):
        await answer(onnx_models.identity(path), [1, 2, 3], OnnxRuntime(prediction_output="Z"))


async def test_a_prediction_that_is_not_a_number_is_garbage(path):
    with pytest.raises(RuntimeFailure, match="NaN or infinity") as caught:
        await answer(onnx_models.identity(path), [1, None, 3])

    assert caught.value.kind is Failure.GARBAGE


async def test_a_confidence_is_a_probability(path):
    config = OnnxRuntime(confidence_output="Y")

    with pytest.raises(RuntimeFailure, match=r"the confidence 2\.0 is no probability"):
        await answer(onnx_models.identity(path), [1, 2, 3], config)


async def test_a_model_that_computes_too_long_is_stopped_and_can_be_asked_again(path):
    model = OnnxModel.load(
        onnx_models.endless(path), OnnxRuntime(), threads=1, deadline=SECOND / 20
    )

    for _ in range(2):  # the only thread must be free again for the second call to be started
        with pytest.raises(RuntimeFailure) as caught:
            await model.predict([1, 2])
        assert caught.value.kind is Failure.TIMEOUT
        await eventually(lambda: not model.running)
    model.close()


async def test_calls_beyond_the_threads_wait_no_longer_than_their_deadline(path):
    model = OnnxModel.load(
        onnx_models.endless(path), OnnxRuntime(), threads=1, deadline=SECOND / 20
    )

    results = await asyncio.gather(
        *(model.predict([1, 2]) for _ in range(20)), return_exceptions=True
    )

    assert {type(result) for result in results} == {RuntimeFailure}
    assert model.running <= 1
    model.close()


async def test_a_pipeline_of_scikit_learn_over_a_table(path):
    # Imported here: this takes seconds, in every process that collects these tests.
    from skl2onnx import to_onnx  # noqa: PLC0415
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: PLC0415
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    rng = np.random.default_rng(1)
    ages = rng.uniform(18, 80, 200)
    cities = np.array(["Bonn", "Ulm"] * 100)
    table = np.array([[age, city] for age, city in zip(ages, cities, strict=True)], dtype=object)
    encode = ColumnTransformer([("age", StandardScaler(), [0]), ("city", OneHotEncoder(), [1])])
    pipeline = make_pipeline(encode, LogisticRegression()).fit(table, ages > 50)
    types = [("age", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    path.write_bytes(to_onnx(pipeline, initial_types=types).SerializeToString())

    found = await answer(path, {"age": 79, "city": "Ulm"})

    [wanted] = pipeline.predict_proba(np.array([[79.0, "Ulm"]], dtype=object))
    assert found.label == "1"
    assert found.confidence == pytest.approx(wanted.max(), abs=1e-5)
