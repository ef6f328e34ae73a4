"""Networks compiled by torch itself, for each shape of batch at its first one."""

import importlib
import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.networks.batching import class_names
from semantic_fast_sam_ros.core.networks.memory import ran_out
from semantic_fast_sam_ros.core.networks.runtime import Runtime

log = logging.getLogger(__name__)


class CompiledNetwork:
    """A network under torch.compile; run by plain torch, with a warning, where that fails."""

    def __init__(self, module: nn.Module, source: Path, runtime: Runtime) -> None:
        """Prepare; what takes its time, up to minutes, is the first batch of each shape."""
        _keep_to_the_cache()
        self._module, self._name = module, source.name
        self.class_names = class_names(module)
        # CUDA graphs, replayed for images of a size, write to the same outputs each time.
        self._graphs = runtime.device.type == 'cuda'
        mode = 'reduce-overhead' if self._graphs else 'default'
        self._compiled: Any = torch.compile(module, dynamic=False, mode=mode)

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Run the network on a batch (N, 3, h, w)."""
        if self._compiled is not None:
            try:
                found: tuple[Tensor, ...] = self._compiled(batch)
                return tuple(values.clone() for values in found) if self._graphs else found
            except Exception as error:  # whatever compilers raise
                if ran_out(error):
                    raise
                self._give_up(error)
        plain: tuple[Tensor, ...] = self._module(batch)
        return plain

    def _give_up(self, error: Exception) -> None:
        reason = next((line for line in str(error).splitlines() if line), type(error).__name__)
        log.warning('torch.compile cannot run %s, plain torch does: %s', self._name, reason)
        self._compiled = None


def _keep_to_the_cache() -> None:
    """Write what is compiled to the package's cache folder, and start no processes for it."""
    folder = cache_folder() / 'compiled'
    os.environ.setdefault('TORCHINDUCTOR_CACHE_DIR', str(folder))
    os.environ.setdefault('TRITON_CACHE_DIR', str(folder / 'triton'))
    # A pool of compilers, each with a torch of its own, would live as long as the node.
    config: Any = importlib.import_module('torch._inductor.config')
    config.compile_threads = 1
    # These would lie in /tmp, under a name that anyone can take first.
    if hasattr(config, 'cpp_cache_precompile_headers'):
        config.cpp_cache_precompile_headers = False
