"""What the image before means for this one, as the settings temporal.* ask for it."""

from semantic_fast_sam_ros.core.masks.types import MaskLabeller, SegmentationResult
from semantic_fast_sam_ros.core.open_vocabulary.interface import OpenVocabularyLabeller
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.effects import REUSING
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.video.adapting import AdaptingLabeller, Adaptive, CameraAdaptation
from semantic_fast_sam_ros.core.video.hysteresis import Pixels, hold_labels
from semantic_fast_sam_ros.core.video.label_propagation import CarriedLabels
from semantic_fast_sam_ros.core.video.name_reuse import ReusingLabeller

Size = tuple[int, ...]  # height, width


def labeller_after(
    labeller: MaskLabeller,
    config: Config,
    size: Size,
    earlier: SegmentationResult | None,
    before: SegmentationResult | None,
) -> MaskLabeller:
    """Return what names the masks of an image.

    Args:
        labeller: names them without regard to other images.
        config: all settings.
        size: of the image.
        earlier: labels that the masks are to take over.
        before: the result of the image before, whose names may be reused.
    """
    if earlier is not None and _fits(earlier, size, labeller.vocabulary):
        return CarriedLabels(earlier, config.vote)
    if config.temporal.reuse and config.labeller in REUSING:
        known = before.memory if before is not None else None
        return ReusingLabeller(labeller, config.temporal, (config, size), known)
    return labeller


def adapted_labeller(
    labeller: MaskLabeller, config: Config, adaptation: CameraAdaptation | None
) -> MaskLabeller:
    """Return what names masks by what was learned, where clip.adaptation asks for it."""
    if adaptation is None or not config.clip.adapts or not isinstance(labeller, Adaptive):
        return labeller
    return AdaptingLabeller(labeller, adaptation)


def steadied(
    pixels: Pixels, config: Config, labeller: MaskLabeller, before: SegmentationResult | None
) -> Pixels:
    """Return labels and confidences with those of the image before where it was surer.

    Args:
        pixels: of this image.
        config: all settings.
        labeller: that named them.
        before: the result of the image before.
    """
    share, size = config.temporal.hysteresis, tuple(pixels[0].shape)
    if not share or before is None or not _fits(before, size, labeller.vocabulary):
        return pixels
    is_open = isinstance(labeller, OpenVocabularyLabeller)
    least = config.clip.minimum_confidence if is_open else 0.0
    return hold_labels(pixels, before, share, least)


def _fits(result: SegmentationResult, size: Size, vocabulary: Vocabulary) -> bool:
    """Say whether labels of another image can stand beside those of one of this size."""
    return result.label_map.shape == size and result.vocabulary == vocabulary
