"""The networks of the SSA-engine, and how they are loaded."""

from dataclasses import dataclass, replace

from torch import Tensor

from semantic_fast_sam_ros.core.closed_set.dense import (
    DenseSegmenter,
    load_dense,
    published_classes,
)
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.model_files import transformers_model
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import ClipModel, load_clip
from semantic_fast_sam_ros.core.open_vocabulary.dense_text import ClipSegSegmenter
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.models import VoteSettings, resolve_preset
from semantic_fast_sam_ros.core.settings.vocabulary import from_names, without_repeats
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve
from semantic_fast_sam_ros.core.ssa_engine.blip import BlipCaptioner
from semantic_fast_sam_ros.core.ssa_engine.nouns import require_tagger

TOP_CLASS = VoteSettings(mode='hard', keep_dense=False, hypotheses=1)


class ClosedSetProposer:
    """Name each mask by the most frequent class of a segmenter inside it."""

    def __init__(self, segmenter: DenseSegmenter, data_set: str) -> None:
        """Take a segmenter; `data_set` is the shipped vocabulary that tidies its names up."""
        own = from_names(without_repeats(published_classes(segmenter)))
        tidy = resolve(data_set)
        self._names = [''] + [
            found.name if (found := tidy.find(name)) else name for name in own.names
        ]
        self._voter = ClosedSetLabeller(segmenter, own, TOP_CLASS)

    def propose(self, image: Tensor, proposals: MaskProposals) -> list[str]:
        """Return a name a mask; '' where the segmenter has no pixel in it."""
        classes = self._voter.label(image, proposals).class_ids[:, 0]
        return [self._names[i] for i in classes.tolist()]


@dataclass(frozen=True)
class Stages:
    """The networks of the engine."""

    closed_sets: tuple[ClosedSetProposer, ...]
    captioner: BlipCaptioner
    clip: ClipModel
    clipseg: ClipSegSegmenter


def load_stages(config: Config, policy: Policy, runtime: Runtime) -> Stages:
    """Load the networks that the settings and their preset name.

    Raises:
        ModelError: a model is missing, damaged or of another kind, or textblob is not installed.
    """
    require_tagger()
    settings = resolve_preset(config.ssa_engine)
    segmenters = {'coco_panoptic': settings.coco_model, 'ade20k': settings.ade20k_model}
    closed_sets = [
        ClosedSetProposer(
            load_dense(replace(config.dense, model=model), policy, runtime), data_set
        )
        for data_set, model in segmenters.items()
    ]
    device, dtype = runtime.device, runtime.dtype
    clip = replace(config.clip, model=settings.clip_model, checkpoint='')
    return Stages(
        tuple(closed_sets),
        BlipCaptioner(transformers_model(settings.caption_model).find(policy), device, dtype),
        load_clip(clip, policy, runtime),
        ClipSegSegmenter(transformers_model(settings.clipseg_model).find(policy), device, dtype),
    )
