"""The space that the vectors of masks are of, in words."""

import json

from semantic_fast_sam_ros.core.networks import checksums
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES, sharpness
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.effects import VECTORS, listed


def feature_space(config: Config, model: ClipModel) -> str:
    """Return as JSON what is to be known of vectors before they are compared with others."""
    told = {
        'model': config.clip.model,
        'file': model.source.name,
        'sha256': checksums.content(model.source),
        'dimension': model.dimension,
        'scale': sharpness(config.clip, model.scale),
        'templates': TEMPLATES[config.clip.templates],
    }
    return json.dumps(told)


def lacking_vectors(labeller: str) -> str:
    """Say that a labeller has no vectors of masks."""
    return f'labeller {labeller!r} has no vectors of masks; {listed(VECTORS)} have'
