"""The models that a configuration names: the mask generator, and the labellers by name."""

import json
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set.dense import load_dense, published_classes
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller, closed_set_vocabulary
from semantic_fast_sam_ros.core.masks.fastsam import PRIOR, FastSamGenerator
from semantic_fast_sam_ros.core.masks.types import (
    MaskGenerator,
    MaskLabeller,
    MaskLabels,
    MaskProposals,
)
from semantic_fast_sam_ros.core.networks import checksums
from semantic_fast_sam_ros.core.networks.conversions import int8_file
from semantic_fast_sam_ros.core.networks.model_files import (
    Model,
    clip_model,
    mask_model,
    models_of,
)
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_dense import ClipDenseLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.open_vocabulary.dense_text import (
    DenseTextLabeller,
    load_text_segmenter,
)
from semantic_fast_sam_ros.core.open_vocabulary.hybrid import HybridLabeller
from semantic_fast_sam_ros.core.open_vocabulary.interface import OpenVocabularyLabeller
from semantic_fast_sam_ros.core.open_vocabulary.yoloe import (
    YoloeGenerator,
    YoloeLabeller,
    load_yoloe,
)
from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary_files import requested, required
from semantic_fast_sam_ros.core.ssa_engine.labeller import SsaEngineLabeller
from semantic_fast_sam_ros.core.ssa_engine.stages import load_stages

NAMELESS = 'object'  # the one name of an ssa_engine that is given none to begin with


def policy_of(config: Config) -> Policy:
    """Return which model files a configuration allows."""
    return Policy(config.offline, config.trust_model_files)


def model_checksums(config: Config) -> dict[str, str]:
    """Return the checksums of all models that a configuration loads; see `checksums_of`."""
    policy, found = policy_of(config), models_of(config)
    return {name: sum_ for m in found for name, sum_ in checksums_of(m, policy).items()}


def checksums_of(model: Model, policy: Policy) -> dict[str, str]:
    """Return the SHA-256 of a model, and of its 8-bit form where there is one, by name.

    Of a folder, one over its files' names and checksums.

    Raises:
        ModelError: it is not here.
    """
    source = model.find(policy)
    found = {model.name: checksums.content(source)}
    if source.suffix.lower() == '.xml':  # OpenVINO keeps the weights beside it
        found[f'{model.name} weights'] = checksums.content(source.with_suffix('.bin'))
    if form := int8_file(source):
        found[form.name] = checksums.content(form.with_suffix('.bin'))
    return found


def clip_identity(config: Config) -> str:
    """Return what the vectors of a configuration's CLIP are of: its checksums and the templates.

    Raises:
        ModelError: it is not here.
    """
    sums = checksums_of(clip_model(config.clip), policy_of(config))
    return json.dumps([sums, config.clip.templates], sort_keys=True)


def load_generator(
    config: Config, runtime: Runtime, labellers: Iterable[MaskLabeller] = ()
) -> MaskGenerator:
    """Load what proposes masks; a YOLOE among the labellers that does both is not loaded again.

    Raises:
        ModelError: the model is missing, damaged, not trusted or of another kind.
    """
    if config.masks.model == config.yoloe.model:
        loaded = (one for one in labellers if isinstance(one, YoloeLabeller))
        yoloe = next(loaded, None) or _yoloe(config, policy_of(config), runtime)
        return YoloeGenerator(yoloe, config.masks)
    file = mask_model(config.masks).find(policy_of(config))
    return FastSamGenerator(file, config.masks, runtime)


def load_labeller(config: Config, runtime: Runtime) -> MaskLabeller:
    """Load what names masks.

    Raises:
        ConfigError: the vocabulary or the group map is wrong.
        ModelError: a model is missing, damaged, not trusted or of another kind.
    """
    known: dict[str, Callable[[Config, Policy, Runtime], MaskLabeller]] = {
        **OPEN_LABELLERS,
        'closed_set': load_closed_set,
        'none': _none,
    }
    return known[config.labeller](config, policy_of(config), runtime)


def introduce(generator: MaskGenerator, labeller: MaskLabeller, config: Config) -> None:
    """Let a labeller hear what the mask network takes masks for, where `masks.names` asks so.

    Raises:
        ConfigError: it publishes none of the network's classes.
    """
    if config.masks.names != PRIOR or not isinstance(labeller, ClosedSetLabeller):
        return
    if isinstance(generator, FastSamGenerator):
        labeller.hear(generator.class_names)


class MasksOnly:
    """The labeller `none`: masks without names."""

    vocabulary = vocabularies.from_names(['segment'])
    networks = ()

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Leave every mask and pixel unlabelled."""
        ids = torch.zeros((len(proposals), 1), dtype=torch.int64, device=image.device)
        return MaskLabels(ids, proposals.scores[:, None] * 0, ids[:, 0] > 0)


def _none(config: Config, policy: Policy, runtime: Runtime) -> MaskLabeller:
    return MasksOnly()


def load_closed_set(config: Config, policy: Policy, runtime: Runtime) -> ClosedSetLabeller:
    """Load a dense segmenter and the names that the settings ask for.

    Raises:
        ConfigError: the vocabulary or the group map is wrong.
        ModelError: the model is missing, damaged, not trusted or of another kind.
    """
    wanted = requested(config)
    groups = vocabulary_files.read_groups(config.groups) if config.groups.strip() else {}
    segmenter = load_dense(config.dense, policy, runtime)
    vocabulary = closed_set_vocabulary(published_classes(segmenter), wanted, groups)
    return ClosedSetLabeller(segmenter, vocabulary, config.vote)


def _clip(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    return ClipLabeller(load_clip(config.clip, policy, runtime), vocabulary, config)


def _clip_dense(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    on_torch = Runtime(runtime.device, runtime.dtype)  # features inside of the tower are read
    return ClipDenseLabeller(load_clip(config.clip, policy, on_torch), vocabulary, config)


def _dense_text(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    segmenter = load_text_segmenter(config, policy, runtime.device, runtime.dtype)
    return DenseTextLabeller(segmenter, vocabulary, config)


def _hybrid(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    segmenter = load_dense(config.dense, policy, runtime)
    clip = load_clip(config.clip, policy, runtime)
    return HybridLabeller(segmenter, clip, vocabulary, config)


def _yoloe(config: Config, policy: Policy, runtime: Runtime) -> YoloeLabeller:
    return load_yoloe(config, required(config), policy, runtime.device, runtime.dtype)


def _ssa_engine(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config) if requested(config) else vocabularies.from_names([NAMELESS])
    return SsaEngineLabeller(load_stages(config, policy, runtime), vocabulary, config)


OPEN_LABELLERS: dict[str, Callable[[Config, Policy, Runtime], OpenVocabularyLabeller]] = {
    'clip': _clip,
    'clip_dense': _clip_dense,
    'clipseg': _dense_text,
    'groupvit': _dense_text,
    'hybrid': _hybrid,
    'yoloe': _yoloe,
    'ssa_engine': _ssa_engine,
}
