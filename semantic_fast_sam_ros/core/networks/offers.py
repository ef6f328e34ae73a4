"""What a model that is not here would take: bytes, and under which licence."""

from dataclasses import dataclass
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError, first_line
from semantic_fast_sam_ros.core.networks import downloads, weights
from semantic_fast_sam_ros.core.networks.model_files import Model, hub_name
from semantic_fast_sam_ros.core.networks.weights import Policy


@dataclass(frozen=True)
class Offer:
    """What the server of a model says of it."""

    model: Model
    size: int = 0  # bytes; 0: unknown
    licence: str = 'unknown'
    problem: str = ''  # why nothing is known


def is_here(model: Model) -> bool:
    """Return whether a model, as it came, is on this machine; asks no network."""
    try:
        model.find(Policy(offline=True, trust_model_files=True))  # nothing is loaded here
    except (SemanticFastSamError, ImportError):
        return False
    return True


def offer(model: Model) -> Offer:
    """Ask for the size and the licence of a model; one that cannot be had says why."""
    try:
        if model.kind in ('transformers', 'open_clip'):
            files, licence = weights.hub_files(hub_name(model))
            return Offer(model, sum(files.values()), licence)
        if model.name in weights.KNOWN:
            size = downloads.remote_size(weights.KNOWN[model.name])
            return Offer(model, size, weights.LICENCES[Path(model.name).suffix])
    except Exception as error:  # the hub client lets through what its HTTP library raises
        return Offer(model, problem=first_line(error))
    return Offer(model, problem='no server has it')
