"""The open-vocabulary labellers by name, and how each is loaded."""

from collections.abc import Callable

import torch

from semantic_fast_sam_ros.core.clip import ClipLabeller
from semantic_fast_sam_ros.core.clip_dense import ClipDenseLabeller
from semantic_fast_sam_ros.core.clip_model import load_clip
from semantic_fast_sam_ros.core.config import Config
from semantic_fast_sam_ros.core.dense_text import DenseTextLabeller, load_text_segmenter
from semantic_fast_sam_ros.core.open_vocabulary import OpenVocabularyLabeller, required
from semantic_fast_sam_ros.core.weights import Policy

Loader = Callable[[Config, Policy, torch.device, torch.dtype], OpenVocabularyLabeller]


def _clip(
    config: Config, policy: Policy, device: torch.device, dtype: torch.dtype
) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    return ClipLabeller(load_clip(config.clip, policy, device, dtype), vocabulary, config)


def _clip_dense(
    config: Config, policy: Policy, device: torch.device, dtype: torch.dtype
) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    return ClipDenseLabeller(load_clip(config.clip, policy, device, dtype), vocabulary, config)


def _dense_text(
    config: Config, policy: Policy, device: torch.device, dtype: torch.dtype
) -> OpenVocabularyLabeller:
    vocabulary = required(config)
    segmenter = load_text_segmenter(config, policy, device, dtype)
    return DenseTextLabeller(segmenter, vocabulary, config)


OPEN_LABELLERS: dict[str, Loader] = {
    'clip': _clip,
    'clip_dense': _clip_dense,
    'clipseg': _dense_text,
    'groupvit': _dense_text,
}
