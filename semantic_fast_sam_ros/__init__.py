"""Live semantic labelling of images: FastSAM masks, named by a labelling branch.

    from semantic_fast_sam_ros import SemanticFastSam
    segment = SemanticFastSam.from_profile('embedded')
    result = segment(rgb_image)

Importing the package costs nothing: torch and the models come with the first use of a name.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semantic_fast_sam_ros.core.base.errors import (
        ConfigError,
        FrameError,
        ModelError,
        SemanticFastSamError,
    )
    from semantic_fast_sam_ros.core.masks.types import SegmentationResult
    from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
    from semantic_fast_sam_ros.core.settings.config import Config
    from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary

__all__ = (
    'Config',
    'ConfigError',
    'FrameError',
    'ModelError',
    'SegmentationResult',
    'SemanticClass',
    'SemanticFastSam',
    'SemanticFastSamError',
    'Vocabulary',
)

_HOMES = {
    'Config': 'settings.config',
    'ConfigError': 'base.errors',
    'FrameError': 'base.errors',
    'ModelError': 'base.errors',
    'SegmentationResult': 'masks.types',
    'SemanticClass': 'settings.vocabulary',
    'SemanticFastSam': 'pipeline',
    'SemanticFastSamError': 'base.errors',
    'Vocabulary': 'settings.vocabulary',
}


def __getattr__(name: str) -> Any:
    """Import a public name from core/ when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.core.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
