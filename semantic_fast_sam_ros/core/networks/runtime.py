"""What the networks run on: device, number format and library."""

from dataclasses import dataclass

import torch

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.config import Config

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}


@dataclass(frozen=True)
class Runtime:
    """What networks run on."""

    device: torch.device
    dtype: torch.dtype = torch.float32  # of the batches, and of the weights in torch
    backend: str = 'torch'  # as the setting of this name
    precision: str = 'auto'  # likewise: whether a network's 8-bit form may, or must, be taken
    images_at_once: int = 1  # that OpenVINO is to serve, one CPU thread each if there are several


def choose_runtime(config: Config, images_at_once: int = 1) -> Runtime:
    """Return what a configuration asks for; `images_at_once` as of `Runtime`.

    Raises:
        ConfigError: the device is unknown, or this machine has no such device.
    """
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    return Runtime(device, dtype, config.backend, config.precision, images_at_once)


def choose_device(name: str) -> torch.device:
    """Return the torch device of a setting; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: the name is unknown, or this machine has no such device.
    """
    if name == 'auto':
        mps = torch.backends.mps.is_available()
        return torch.device('cuda' if torch.cuda.is_available() else 'mps' if mps else 'cpu')
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f'device {name!r} cannot be used (auto, cpu, cuda:N, mps): {reason}'
        ) from error
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return torch's number format of a setting; `auto` is fp16 on CUDA and fp32 elsewhere."""
    automatic = torch.float16 if device.type == 'cuda' else torch.float32
    return DTYPES.get(precision, automatic)
