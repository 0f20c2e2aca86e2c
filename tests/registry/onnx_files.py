"""Small ONNX files, good and bad, as bytes."""

import onnx
from onnx import TensorProto, helper

OPSET = helper.make_opsetid("", 17)
FLOAT = TensorProto.FLOAT


def file(
    *nodes: onnx.NodeProto,
    inputs: tuple[onnx.ValueInfoProto, ...],
    outputs: tuple[onnx.ValueInfoProto, ...],
    weights: tuple[onnx.TensorProto, ...] = (),
    domains: tuple[str, ...] = (),
) -> bytes:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(weights))
    opsets = [OPSET, *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    content: bytes = model.SerializeToString()
    return content


X = helper.make_tensor_value_info("x", FLOAT, ["rows", 2])
Y = helper.make_tensor_value_info("y", FLOAT, ["rows", 2])


def adding(constant: float = 1.0) -> bytes:
    """y = x + constant, for rows of two numbers."""
    weight = helper.make_tensor("w", FLOAT, [1, 2], [constant, constant])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return file(node, inputs=(X,), outputs=(Y,), weights=(weight,))


def naming_its_input(name: str) -> bytes:
    node = helper.make_node("Identity", [name], ["y"])
    return file(node, inputs=(helper.make_tensor_value_info(name, FLOAT, [2]),), outputs=(Y,))


def with_custom_operator() -> bytes:
    node = helper.make_node("Guess", ["x"], ["y"], domain="acme.ops")
    return file(node, inputs=(X,), outputs=(Y,), domains=("acme.ops",))


def with_unknown_operator() -> bytes:
    return file(helper.make_node("Guess", ["x"], ["y"]), inputs=(X,), outputs=(Y,))


def with_weights_in(location: str) -> bytes:
    weight = TensorProto(name="w", data_type=FLOAT, dims=[1, 2], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return file(node, inputs=(X,), outputs=(Y,), weights=(weight,))


def without_inputs() -> bytes:
    value = helper.make_tensor("v", FLOAT, [2], [1.0, 2.0])
    node = helper.make_node("Constant", [], ["y"], value=value)
    return file(node, inputs=(), outputs=(helper.make_tensor_value_info("y", FLOAT, [2]),))


def with_a_sequence(*, fed: bool) -> bytes:
    """A model that takes a sequence of tensors, or that answers with one."""
    many = helper.make_tensor_sequence_value_info("many", FLOAT, None)
    if fed:
        node = helper.make_node("ConcatFromSequence", ["many"], ["y"], axis=0)
        return file(node, inputs=(many,), outputs=(Y,))
    return file(
        helper.make_node("SequenceConstruct", ["x"], ["many"]), inputs=(X,), outputs=(many,)
    )


def with_a_newer_opset() -> bytes:
    model = onnx.load_from_string(adding())
    model.opset_import[0].version = 999
    content: bytes = model.SerializeToString()
    return content


def with_a_missing_name() -> bytes:
    return file(helper.make_node("Relu", ["nowhere"], ["y"]), inputs=(X,), outputs=(Y,))


def classifier() -> bytes:
    """Label and {class: probability}, the way scikit-learn's converter writes them."""
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[1.0, -1.0, -1.0, 1.0],
        intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )
    zipped = helper.make_node(
        "ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]
    )
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"])
    probabilities = helper.make_value_info(
        "probabilities",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(
                TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, None)
            )
        ),
    )
    return file(node, zipped, inputs=(X,), outputs=(label, probabilities), domains=("ai.onnx.ml",))
