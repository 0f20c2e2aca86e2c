from pathlib import Path

import pytest

from tests.registry import onnx_files
from turnout.registry import onnx
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.upload import UnusableModel


def signature(tmp_path: Path, content: bytes) -> Signature:
    path = tmp_path / "file"
    path.write_bytes(content)
    return onnx.signature(path)


def test_the_signature_of_a_file(tmp_path: Path) -> None:
    assert signature(tmp_path, onnx_files.adding()) == Signature(
        inputs=(TensorSpec(name="x", dtype=DType.FLOAT32, shape=(None, 2)),),
        outputs=(TensorSpec(name="y", dtype=DType.FLOAT32, shape=(None, 2)),),
    )


def test_the_signature_of_a_classifier_with_a_map_of_probabilities(tmp_path: Path) -> None:
    assert signature(tmp_path, onnx_files.classifier()).outputs == (
        TensorSpec(name="label", dtype=DType.INT64, shape=(None,)),
        TensorSpec(name="probabilities", dtype=DType.MAP, shape=()),
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"hello", "the file is not an ONNX model", id="text"),
        pytest.param(b"\x80\x04\x95pickle.", "the file is not an ONNX model", id="a pickle"),
        pytest.param(
            onnx_files.adding()[:-9], "the file is not an ONNX model", id="a file cut short"
        ),
        pytest.param(
            onnx_files.with_custom_operator(),
            "needs the operator acme.ops:Guess, which onnxruntime does not have",
            id="a custom operator",
        ),
        pytest.param(
            onnx_files.with_unknown_operator(),
            "needs the operator Guess, which onnxruntime does not have",
            id="an operator that does not exist",
        ),
        pytest.param(
            onnx_files.naming_its_input("x" * 101),
            "its signature cannot be kept: inputs.0.name: .* at most 100 characters",
            id="a name that is too long to be read again",
        ),
        pytest.param(
            onnx_files.naming_its_input("x\ny"),
            "its signature cannot be kept: inputs.0.name: control and invisible characters",
            id="a name of two lines",
        ),
        pytest.param(
            onnx_files.with_weights_in("weights.bin"),
            "keeps weights outside of its file",
            id="weights beside the file",
        ),
        pytest.param(
            onnx_files.with_weights_in("/etc/passwd"),
            "keeps weights outside of its file",
            id="weights anywhere on the machine",
        ),
        pytest.param(
            onnx_files.with_weights_in("../../../../etc/passwd"),
            "keeps weights outside of its file",
            id="weights above the file",
        ),
        pytest.param(onnx_files.without_inputs(), "at least one input", id="no inputs"),
        pytest.param(
            onnx_files.with_a_sequence(fed=True),
            r"input many is a seq\(tensor\(float\)\), but only plain tensors",
            id="an input that is no tensor",
        ),
        pytest.param(
            onnx_files.with_a_sequence(fed=False), "one output that can be read", id="no output"
        ),
        pytest.param(
            onnx_files.with_a_newer_opset(),
            "onnxruntime does not load the model: .*Opset 999",
            id="an opset of the future",
        ),
        pytest.param(
            onnx_files.with_a_missing_name(),
            "onnxruntime does not load the model: Invalid model. Node input 'nowhere'",
            id="a graph with a hole",
        ),
    ],
)
def test_a_file_that_cannot_be_run(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(UnusableModel, match=sentence) as refused:
        signature(tmp_path, content)

    assert str(tmp_path) not in refused.value.detail
