"""Small real ONNX models, written to a file each."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

Shape = Sequence[int | str | None]


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
) -> Path:
    graph = helper.make_graph(nodes, "model", inputs, outputs, constants)
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def tensor(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def identity(path: Path, kind: int = TensorProto.FLOAT, shape: Shape = ("N", 3)) -> Path:
    """Answers what it is given."""
    return save(
        path,
        [helper.make_node("Identity", ["X"], ["Y"])],
        [tensor("X", kind, shape)],
        [tensor("Y", kind, shape)],
    )


def constant(path: Path, value: float, *, name: str = "X", width: int = 2) -> Path:
    """Answers one number per row, whatever the row."""
    return save(
        path,
        [
            helper.make_node("ReduceSum", [name, "axis"], ["sums"], keepdims=0),
            helper.make_node("Mul", ["sums", "zero"], ["zeros"]),
            helper.make_node("Add", ["zeros", "value"], ["Y"]),
        ],
        [tensor(name, TensorProto.FLOAT, ("N", width))],
        [tensor("Y", TensorProto.FLOAT, ("N",))],
        [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("value", TensorProto.FLOAT, [], [value]),
        ],
    )


def endless(path: Path) -> Path:
    """Computes for minutes, in steps that can be stopped between."""
    step = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["x"], ["same"]),
        ],
        "step",
        [
            tensor("i", TensorProto.INT64, []),
            tensor("go", TensorProto.BOOL, []),
            tensor("x", TensorProto.FLOAT, ("N", 2)),
        ],
        [tensor("go_on", TensorProto.BOOL, []), tensor("same", TensorProto.FLOAT, ("N", 2))],
    )
    return save(
        path,
        [helper.make_node("Loop", ["times", "go", "X"], ["Y"], body=step)],
        [tensor("X", TensorProto.FLOAT, ("N", 2))],
        [tensor("Y", TensorProto.FLOAT, ("N", 2))],
        [
            helper.make_tensor("times", TensorProto.INT64, [], [10**12]),
            helper.make_tensor("go", TensorProto.BOOL, [], [True]),
        ],
    )


def classifier(path: Path, *, zipmap: bool, probabilities: str = "probabilities") -> Path:
    """Says `yes` where the first of two numbers, a probability, is above one half."""
    linear = helper.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        classlabels_strings=["no", "yes"],
        coefficients=[-1.0, 0.0, 1.0, 0.0],
        intercepts=[1.0, 0.0],
        post_transform="NONE",
    )
    label = tensor("label", TensorProto.STRING, ("N",))
    if not zipmap:
        same = helper.make_node("Identity", ["scores"], [probabilities])
        scores = tensor(probabilities, TensorProto.FLOAT, ("N", 2))
        return save(
            path, [linear, same], [tensor("X", TensorProto.FLOAT, ("N", 2))], [label, scores]
        )
    mapped = helper.make_node(
        "ZipMap", ["scores"], ["chances"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"]
    )
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    chances = helper.make_value_info(
        "chances",
        helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, value)),
    )
    return save(
        path, [linear, mapped], [tensor("X", TensorProto.FLOAT, ("N", 2))], [label, chances]
    )
