"""The open-vocabulary labellers by name, and how each is loaded."""

from collections.abc import Callable

from semantic_fast_sam_ros.core.clip import ClipLabeller
from semantic_fast_sam_ros.core.clip_dense import ClipDenseLabeller
from semantic_fast_sam_ros.core.clip_model import load_clip
from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.dense import load_dense
from semantic_fast_sam_ros.core.dense_text import DenseTextLabeller, load_text_segmenter
from semantic_fast_sam_ros.core.hybrid import HybridLabeller
from semantic_fast_sam_ros.core.open_vocabulary import (
    OpenVocabularyLabeller,
    requested,
    required,
)
from semantic_fast_sam_ros.core.runtime import Runtime
from semantic_fast_sam_ros.core.ssa_engine import SsaEngineLabeller
from semantic_fast_sam_ros.core.ssa_stages import load_stages
from semantic_fast_sam_ros.core.vocabulary import from_names
from semantic_fast_sam_ros.core.weights import Policy
from semantic_fast_sam_ros.core.yoloe import load_yoloe

NAMELESS = 'object'  # the one name of an ssa_engine that is given none to begin with

Loader = Callable[[Config, Policy, Runtime], OpenVocabularyLabeller]


def _clip(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    return ClipLabeller(
        load_clip(config.clip, policy, runtime.device, runtime.dtype), vocabulary, config
    )


def _clip_dense(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    return ClipDenseLabeller(
        load_clip(config.clip, policy, runtime.device, runtime.dtype), vocabulary, config
    )


def _dense_text(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    segmenter = load_text_segmenter(config, policy, runtime.device, runtime.dtype)
    return DenseTextLabeller(segmenter, vocabulary, config)


def _hybrid(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    segmenter = load_dense(config.dense, policy, runtime)
    clip = load_clip(config.clip, policy, runtime.device, runtime.dtype)
    return HybridLabeller(segmenter, clip, vocabulary, config)


def _yoloe(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    return load_yoloe(config, required(config), policy, runtime.device, runtime.dtype)


def _ssa_engine(config: Config, policy: Policy, runtime: Runtime) -> OpenVocabularyLabeller:
    vocabulary = required(config) if requested(config) else from_names([NAMELESS])
    return SsaEngineLabeller(load_stages(config, policy, runtime), vocabulary, config)


OPEN_LABELLERS: dict[str, Loader] = {
    'clip': _clip,
    'clip_dense': _clip_dense,
    'clipseg': _dense_text,
    'groupvit': _dense_text,
    'hybrid': _hybrid,
    'yoloe': _yoloe,
    'ssa_engine': _ssa_engine,
}
