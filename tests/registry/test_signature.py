import pytest
from pydantic import TypeAdapter, ValidationError

from turnout.errors import Refusal
from turnout.registry.domain.runtime import Artifact, OnnxRuntime
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.upload import (
    ArtifactFixed,
    ArtifactMismatch,
    File,
    SignatureMismatch,
    check_file,
    check_signature,
)

SPEC = TypeAdapter(TensorSpec)
FEATURES = TensorSpec(name="features", dtype=DType.FLOAT32, shape=(None, 30))
LABEL = TensorSpec(name="label", dtype=DType.INT64, shape=(None,))
SCORES = TensorSpec(name="scores", dtype=DType.MAP, shape=())
IN_FILE = Signature(inputs=(FEATURES,), outputs=(LABEL, SCORES))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("float32", DType.FLOAT32, id="numpy's name"),
        pytest.param("FP64", DType.FLOAT64, id="the Open Inference Protocol's name"),
        pytest.param("UINT8", DType.UINT8, id="an unsigned integer"),
        pytest.param("BYTES", DType.STRING, id="the protocol's text"),
        pytest.param("float", DType.FLOAT32, id="ONNX's name"),
    ],
)
def test_dtypes_have_several_names(written: str, read: DType) -> None:
    spec = SPEC.validate_python({"name": "x", "dtype": written, "shape": []})

    assert spec.dtype is read


def test_minus_one_is_a_dimension_of_any_size() -> None:
    spec = SPEC.validate_python({"name": "x", "dtype": "bool", "shape": [-1, None, 3]})

    assert spec.shape == (None, None, 3)
    assert str(spec) == "bool[any, any, 3]"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            {"name": "x", "dtype": "bool", "shape": [0]}, "a positive number", id="no elements"
        ),
        pytest.param(
            {"name": "x", "dtype": "bool", "shape": [-2]}, "a positive number", id="minus two"
        ),
        pytest.param(
            {"name": "x", "dtype": "complex64", "shape": []}, "'float32'", id="unknown type"
        ),
        pytest.param(
            {"name": "x\x00", "dtype": "bool", "shape": []}, "control", id="NUL in the name"
        ),
        pytest.param({"name": "", "dtype": "bool", "shape": []}, "at least 1", id="no name"),
    ],
)
def test_malformed_tensors_are_refused(body: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SPEC.validate_python(body)


def test_a_signature_has_inputs() -> None:
    with pytest.raises(ValueError, match="at least one input"):
        Signature(inputs=())


def test_names_are_unique_among_inputs_and_among_outputs() -> None:
    Signature(inputs=(FEATURES,), outputs=(FEATURES,))

    with pytest.raises(ValueError, match="every output has a name of its own"):
        Signature(inputs=(FEATURES,), outputs=(LABEL, LABEL))


def spec(dtype: DType, *shape: int | None) -> TensorSpec:
    return TensorSpec(name="features", dtype=dtype, shape=shape)


@pytest.mark.parametrize(
    ("declared", "differences"),
    [
        pytest.param(Signature(inputs=(FEATURES,)), [], id="outputs may be left out"),
        pytest.param(Signature(inputs=(FEATURES,), outputs=(LABEL,)), [], id="some outputs"),
        pytest.param(Signature(inputs=(spec(DType.FLOAT32, 1, 30),)), [], id="a size for any"),
        pytest.param(Signature(inputs=(spec(DType.FLOAT32),)), [], id="a rank left open"),
        pytest.param(
            Signature(inputs=(spec(DType.FLOAT64, None, 30),)),
            ["input features is float32[any, 30] in the file, not float64[any, 30]"],
            id="another type",
        ),
        pytest.param(
            Signature(inputs=(spec(DType.FLOAT32, None, 29),)),
            ["input features is float32[any, 30] in the file, not float32[any, 29]"],
            id="another size",
        ),
        pytest.param(
            Signature(inputs=(spec(DType.FLOAT32, 30),)),
            ["input features is float32[any, 30] in the file, not float32[30]"],
            id="another rank",
        ),
        pytest.param(
            Signature(inputs=(LABEL,), outputs=(FEATURES,)),
            [
                "input features of the file is not declared",
                "the file has no input label",
                "the file has no output features",
            ],
            id="other names",
        ),
    ],
)
def test_differences_between_declaration_and_file(
    declared: Signature, differences: list[str]
) -> None:
    assert list(declared.differences(IN_FILE)) == differences


@pytest.mark.parametrize(
    ("runtime", "declared", "sentence"),
    [
        pytest.param(
            OnnxRuntime(), Signature(inputs=(LABEL,)), "has no input label", id="other inputs"
        ),
        pytest.param(
            OnnxRuntime(prediction_output="class"),
            None,
            "runtime.prediction_output is 'class', but the file's outputs are label, scores",
            id="unknown output for the prediction",
        ),
        pytest.param(
            OnnxRuntime(prediction_output="label", confidence_output="score"),
            None,
            "runtime.confidence_output is 'score'",
            id="unknown output for the confidence",
        ),
    ],
)
def test_a_file_that_is_not_what_was_declared(
    runtime: OnnxRuntime, declared: Signature | None, sentence: str
) -> None:
    with pytest.raises(SignatureMismatch, match=sentence):
        check_signature(runtime, declared=declared, actual=IN_FILE)


def test_a_file_that_is_what_was_declared() -> None:
    runtime = OnnxRuntime(prediction_output="label", confidence_output="scores")

    check_signature(runtime, declared=IN_FILE, actual=IN_FILE)


FILE = File(sha256="a" * 64, size=10)


@pytest.mark.parametrize(
    "announced",
    [
        pytest.param(None, id="nothing announced"),
        pytest.param(Artifact(uri="s3://bucket/model.onnx"), id="only a place"),
        pytest.param(Artifact(sha256="a" * 64), id="the hash"),
        pytest.param(Artifact(sha256="a" * 64, size=10), id="hash and size"),
    ],
)
def test_a_file_as_announced(announced: Artifact | None) -> None:
    check_file(FILE, announced=announced, present=None)
    check_file(FILE, announced=announced, present=FILE.sha256)


@pytest.mark.parametrize(
    ("announced", "present", "refusal"),
    [
        pytest.param(Artifact(sha256="b" * 64), None, ArtifactMismatch, id="another hash"),
        pytest.param(Artifact(size=11), None, ArtifactMismatch, id="another size"),
        pytest.param(Artifact(size=0), None, ArtifactMismatch, id="a size of nothing"),
        pytest.param(None, "b" * 64, ArtifactFixed, id="another file was uploaded before"),
    ],
)
def test_another_file_than_announced(
    announced: Artifact | None, present: str | None, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal) as refused:
        check_file(FILE, announced=announced, present=present)

    assert len(refused.value.facts) == 2
