#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ONNX Runtime's MoE operator on CPU: a model of two nodes, the router's product and the experts.

    python3 bench/peers/onnxruntime_moe.py --experts 128 --k 8 --hidden 2048 --inter 768 \\
        --tokens 1,8,64,512 --threads 2 --json onnxruntime.json

Weights lie beside the model in a temporary folder of their size (a protobuf ends at 2 GB).
"""

import os
import sys
import tempfile

sys.dont_write_bytecode = True
import moe_rows

given = moe_rows.options(__doc__, ["f32"])
try:
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper
except (ImportError, OSError) as error:
    moe_rows.missing("ONNX Runtime: pip install onnxruntime onnx", error)

E, K, H, I = given.experts, given.k, given.hidden, given.inter
random = numpy.random.default_rng(1)


def weights(rows, cols):
    return ((random.random((rows, cols), dtype=numpy.float32) * 2 - 1) * (3.0 / cols) ** 0.5).astype(
        numpy.float32)


with tempfile.TemporaryDirectory() as folder:
    offset = 0
    blob = open(os.path.join(folder, "weights"), "wb")

    def outside(name, one, copies=1):
        """A tensor whose numbers are in the file beside the model, `copies` times the same."""
        global offset
        shape = [copies, *one.shape] if copies > 1 else list(one.shape)
        for _ in range(copies):
            one.tofile(blob)
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape,
                             data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "weights"), ("offset", offset),
                           ("length", one.nbytes * copies)):
            tensor.external_data.add(key=key, value=str(value))
        offset += one.nbytes * copies
        return tensor

    gate, up, down, router = weights(I, H), weights(I, H), weights(H, I), weights(E, H)
    both = numpy.empty((2 * I, H), numpy.float32)  # rows of gate and up in turn
    both[0::2], both[1::2] = gate, up
    tensors = [outside("router", numpy.ascontiguousarray(router.T)),
               outside("fc1", both, E), outside("fc2", down, E)]
    blob.close()
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "router"], ["logits"]),
         helper.make_node("MoE", ["x", "logits", "fc1", "", "fc2"], ["y"], domain="com.microsoft",
                          k=K, activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.0,
                          activation_beta=0.0, normalize_routing_weights=1)],
        "moe", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", H])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", H])], tensors)
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
    path = os.path.join(folder, "moe.onnx")
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = given.threads
    settings.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # this build has no such operator
        moe_rows.missing("ONNX Runtime's MoE", str(error).splitlines()[0])

rows = moe_rows.Rows(given, {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__})
few = (random.random((3, H), dtype=numpy.float32) * 2 - 1).astype(numpy.float32)
a, b = few @ gate.T, few @ up.T
wanted = (a / (1 + numpy.exp(-a)) * b) @ down.T  # all experts are equal, weights add up to one
got = session.run(["y"], {"x": few})[0]
error = numpy.linalg.norm(got - wanted) / numpy.linalg.norm(wanted)
if not error < 0.01:
    moe_rows.missing("ONNX Runtime's MoE", f"another result than numpy, relative error {error:.2g}")
for tokens in given.tokens:
    batches = (random.random((16, tokens, H), dtype=numpy.float32) * 2 - 1).astype(numpy.float32)
    rows.measure("onnxruntime", tokens, lambda i: session.run(["y"], {"x": batches[i]}))
rows.write()
