"""What the node's process uses, for the diagnostics."""

import os

import torch
from rclpy.utilities import get_rmw_implementation_identifier

from semantic_fast_sam_ros.core.networks.memory import device_bytes, process_bytes

PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def resources(device: torch.device | None) -> dict[str, str]:
    """Return memory in megabytes, middleware and DDS profile.

    Args:
        device: of the networks; None while there are none.
    """
    profiles = [os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)]
    return {
        'process_memory_mb': f'{process_bytes() / 1e6:.0f}',
        'device_memory_mb': f'{device_bytes(device) / 1e6:.0f}' if device else '',
        'middleware': get_rmw_implementation_identifier(),
        'dds_profile': profiles[0] if profiles else '',
    }
