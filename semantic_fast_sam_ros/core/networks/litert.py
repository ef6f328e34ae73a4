"""Networks run by LiteRT, the TFLite interpreter, on CPUs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.sessions import Array, Port, numpy_type


class LiteRtSession:
    """A network in a TFLite file."""

    def __init__(self, file: Path, runtime: Runtime) -> None:
        """Read it; raises ModelError if it has operators that TFLite itself has not."""
        from ai_edge_litert import interpreter as untyped_interpreter

        # LiteRT knows a few, for detectors and sound; wired wrongly they end the process.
        if foreign := _foreign_operators(file):
            raise ModelError(
                f'it has operators that TFLite itself has not ({", ".join(foreign)}): export it '
                "with TFLite's built-in operators only"
            )
        litert: Any = untyped_interpreter
        self._interpreter = litert.Interpreter(str(file), num_threads=torch.get_num_threads())
        self._interpreter.allocate_tensors()
        self._ins = self._interpreter.get_input_details()
        self._outs = self._interpreter.get_output_details()
        self.inputs = tuple(_port(port) for port in self._ins)
        self.outputs = tuple(_port(port) for port in self._outs)
        self.metadata: dict[str, str] = {}

    def __call__(self, batch: Array) -> list[Array]:
        """Run it on a batch."""
        self._interpreter.set_tensor(self._ins[0]['index'], batch)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(port['index']) for port in self._outs]


def _foreign_operators(file: Path) -> list[str]:
    from ai_edge_litert import schema_py_generated as untyped_schema

    schema: Any = untyped_schema
    model = schema.Model.GetRootAs(file.read_bytes())
    codes = (model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength()))
    return sorted({code.decode(errors='replace') for code in codes if code})


def _port(port: Any) -> Port:
    shape = tuple(None if side < 0 else int(side) for side in port['shape_signature'])
    return Port(shape, numpy_type(np.dtype(port['dtype']).name), *port['quantization'])
