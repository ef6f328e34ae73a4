"""What is written for ONNX Runtime is ONNX."""

from pathlib import Path

from doubled import Doubled, needs

from semantic_fast_sam_ros.core.networks.onnx_engine import export_onnx


def test_the_exported_graph_takes_any_size(source: Path) -> None:
    needs('onnxruntime')
    import onnx

    file = source.parent / 'exported.onnx'
    export_onnx(Doubled().eval(), file)
    graph = onnx.load(file).graph
    onnx.checker.check_model(onnx.load(file))
    sides = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert sides == [1, 3, 'height', 'width']
    assert len(graph.output) == 2
