"""Count what a frame asks of a device outside of its networks: operations, and waits for answers.

Each operation is a launch on a GPU, which costs the CPU some time; at each wait the GPU runs dry.
Both can be counted on a CPU, with the loops that only CPUs have switched off.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn.modules import module as modules
from torch.utils._python_dispatch import TorchDispatchMode

from semantic_fast_sam_ros.core.base import jit

# Operations whose answer, or its size, the host has to know.
WAITS = ('aten._local_scalar_dense', 'aten.nonzero', 'aten.masked_select', 'torchvision.nms')
BY_MASK = ('aten.index.Tensor', 'aten.index_put')  # wait where an index is boolean
WHOLE = ('aten.upsample', 'aten._upsample')  # one kernel, although torch could take it apart
EMPTY = ('aten.empty', 'aten.new_empty', 'aten.detach')  # nothing is computed


class CountedWork(TorchDispatchMode):
    """Counts what runs meanwhile in this thread, by name; what networks do is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self._inside = 0  # so many modules deep

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count an operation and run it; one that is made of others is taken apart."""
        name = str(operation)
        if not name.startswith(WHOLE):
            with self:
                found = operation.decompose(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        if not self._inside and not _is_view(operation) and not name.startswith(EMPTY):
            self.operations[name] += 1
            if name.startswith(WAITS) or (name.startswith(BY_MASK) and _by_mask(args[1])):
                self.waits[name] += 1
        return operation(*args, **(kwargs or {}))

    @contextlib.contextmanager
    def counting(self) -> Iterator['CountedWork']:
        """Count, as on a device that has no loops of its own."""
        with contextlib.ExitStack() as stack:
            hooks = (
                modules.register_module_forward_pre_hook(lambda *_: self._step(1)),
                modules.register_module_forward_hook(lambda *_: self._step(-1), always_call=True),
            )
            for hook in hooks:
                stack.callback(hook.remove)
            stack.enter_context(mock.patch.object(jit, 'suits', lambda device: False))
            for name in ('cpu', 'tolist'):  # which on a CPU reach no dispatcher
                stack.enter_context(mock.patch.object(Tensor, name, self._download(name)))
            stack.enter_context(self)
            yield self

    def _step(self, by: int) -> None:
        self._inside += by

    def _download(self, name: str) -> Callable[..., Any]:
        original = getattr(Tensor, name)

        def download(tensor: Tensor, *arguments: Any) -> Any:
            if not self._inside:
                self.waits[name] += 1
            return original(tensor, *arguments)

        return download


def _is_view(operation: Any) -> bool:
    """Say whether an operation only looks at its argument in another way."""
    aliases = [value.alias_info for value in operation._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)


def _by_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)
