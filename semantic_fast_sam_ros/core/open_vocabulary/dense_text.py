"""Dense open-vocabulary branches, CLIPSeg and GroupViT: every pixel by text, then SSA's vote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError, first_line
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import transformers_model
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

CLASS_CHUNK = 32  # classes that CLIPSeg decodes at once


class TextSegmenter(Protocol):
    """A network that scores every pixel for classes given as text vectors."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return a vector a text, (T, dim)."""
        ...

    def merge(self, vectors: Tensor) -> Tensor:
        """Return one vector, (dim,), for the texts of one class, (T, dim)."""
        ...

    def segment(self, image: Tensor, classes: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB for class vectors (C, dim)."""
        ...


class HuggingFaceTextSegmenter:
    """What CLIPSeg and GroupViT share: loading, preprocessing, tokens."""

    architecture = ''

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Load a folder; raises ModelError if it holds no such model."""
        self._device, self._dtype = device, dtype
        self._model, self._processor, self._tokenizer = load_transformers(
            folder, self.architecture
        )
        self._model.to(device=device, dtype=dtype)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return a vector a text, (T, dim)."""
        limit = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=limit, return_tensors='pt'
        ).to(self._device)
        return self._text_vectors(**tokens)

    def _text_vectors(self, **tokens: Tensor) -> Tensor:
        raise NotImplementedError

    def _pixels(self, image: Tensor) -> Tensor:
        prepared = self._processor(images=image, return_tensors='pt')
        pixels: Tensor = prepared['pixel_values']
        return pixels.to(self._device, self._dtype)


class ClipSegSegmenter(HuggingFaceTextSegmenter):
    """CLIPSeg (Lueddecke and Ecker, CVPR 2022): the image once, its small decoder a class."""

    architecture = 'CLIPSegForImageSegmentation'

    def merge(self, vectors: Tensor) -> Tensor:
        """Return the mean: CLIPSeg's conditions are not of unit length."""
        return vectors.mean(0)

    def segment(self, image: Tensor, classes: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB for class vectors (C, dim)."""
        layers = self._layers(self._pixels(image))
        scores = [
            self._decode(layers, classes[None, start : start + CLASS_CHUNK])[0]
            for start in range(0, len(classes), CLASS_CHUNK)
        ]
        return DenseMap(torch.cat(scores), are_logits=True)

    def segment_crops(self, crops: Tensor, classes: Tensor) -> Tensor:
        """Score crops (N, 3, size, size) 0-255 RGB, each for its own class vectors (N, K, dim).

        Returns:
            (N, K, size, size) logits.
        """
        pixels = self._processor(images=crops, return_tensors='pt', do_resize=False)
        layers = self._layers(pixels['pixel_values'].to(self._device, self._dtype))
        return self._decode(layers, classes)

    @property
    def size(self) -> int:
        """The side of the crops that `segment_crops` takes, pixels."""
        return int(self._model.config.vision_config.image_size)

    def _layers(self, pixels: Tensor) -> list[Tensor]:
        vision = self._model.clip.vision_model(
            pixel_values=pixels, output_hidden_states=True, interpolate_pos_encoding=True
        )
        return [vision.hidden_states[i + 1] for i in self._model.extract_layers]

    def _decode(self, layers: list[Tensor], classes: Tensor) -> Tensor:
        """Run the decoder of N images, each for its K class vectors (N, K, dim): (N, K, h, w)."""
        images, count = classes.shape[:2]
        repeated = tuple(layer.repeat_interleave(count, 0) for layer in layers)
        logits = self._model.decoder(repeated, classes.flatten(0, 1).to(self._dtype)).logits
        scores: Tensor = logits.reshape(images, count, *logits.shape[-2:])
        return scores

    def _text_vectors(self, **tokens: Tensor) -> Tensor:
        count = len(tokens['input_ids'])
        vectors: Tensor = self._model.get_conditional_embeddings(batch_size=count, **tokens)
        return vectors


class GroupVitSegmenter(HuggingFaceTextSegmenter):
    """GroupViT (Xu et al., CVPR 2022): the image is grouped once, groups are named by text."""

    architecture = 'GroupViTModel'

    def merge(self, vectors: Tensor) -> Tensor:
        """Return the mean, of unit length."""
        return functional.normalize(vectors.mean(0), dim=0)

    def segment(self, image: Tensor, classes: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB for class vectors (C, dim)."""
        from transformers.models.groupvit.modeling_groupvit import get_grouping_from_attentions

        pixels = self._pixels(image)
        vision = self._model.vision_model(pixel_values=pixels, output_attentions=True)
        groups = self._model.visual_projection(vision.last_hidden_state[0])
        scale = self._model.logit_scale.exp()
        named = classes.to(groups.dtype) @ functional.normalize(groups, dim=1).T * scale
        # It is a plain function of tensors, without types.
        group: Any = get_grouping_from_attentions
        grouping = group(vision.attentions, pixels.shape[2:])[0]
        # The scale stands twice, as in the published code.
        return DenseMap(torch.einsum('cg,ghw->chw', named, grouping) * scale, are_logits=True)

    def _text_vectors(self, **tokens: Tensor) -> Tensor:
        return functional.normalize(self._model.get_text_features(**tokens).pooler_output, dim=1)


SEGMENTERS: dict[str, Callable[[Path, torch.device, torch.dtype], TextSegmenter]] = {
    'clipseg': ClipSegSegmenter,
    'groupvit': GroupVitSegmenter,
}


@dataclass
class _Names:
    """Stands in for a closed-set network whose classes are the vocabulary's."""

    class_names: tuple[str, ...]
    left_out: str = ''

    def segment(self, image: Tensor) -> DenseMap:
        raise NotImplementedError


@dataclass(frozen=True)
class PreparedNames:
    """A vocabulary, its text vectors and the vote that publishes it."""

    vocabulary: Vocabulary
    classes: Tensor  # (L, dim), a row a look, negatives among them
    voter: ClosedSetLabeller


class DenseTextLabeller:
    """Name masks by the votes of a dense open-vocabulary network's pixels."""

    def __init__(self, segmenter: TextSegmenter, vocabulary: Vocabulary, config: Config) -> None:
        """Encode the vocabulary."""
        self._segmenter = segmenter
        self._config = config
        self._prepared = self.prepare(vocabulary)

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that `label` chooses from."""
        return self._prepared.vocabulary

    def check(self, vocabulary: Vocabulary) -> None:
        """Take any vocabulary."""

    def prepare(self, vocabulary: Vocabulary) -> PreparedNames:
        """Encode a vocabulary for `use`. Slow; may run while another thread labels."""
        templates = TEMPLATES[self._config.clip.templates]
        vectors = [
            self._segmenter.merge(
                self._segmenter.encode_texts([t.format(n) for n in look for t in templates])
            )
            for c in vocabulary.classes
            for look in c.appearances
        ]
        rows = tuple(c.name for c in vocabulary.classes for _ in c.appearances)
        # Negatives are classes of the network that the published vocabulary leaves out.
        published = Vocabulary(tuple(replace(c, prompts=()) for c in vocabulary.published))
        voter = ClosedSetLabeller(_Names(rows), published, self._config.vote)
        return PreparedNames(vocabulary, torch.stack(vectors), voter)

    def use(self, prepared: PreparedNames) -> None:
        """Name pixels by this vocabulary from the next image on."""
        prepared.voter.settings = self._config.vote
        self._prepared = prepared

    def update(self, config: Config) -> None:
        """Take over the live settings."""
        self._config = config
        self._prepared.voter.settings = config.vote

    def label(self, image: Tensor, proposals: MaskProposals) -> MaskLabels:
        """Name the masks of an image, (3, H, W) uint8 RGB, and all its pixels."""
        dense = self._segmenter.segment(image, self._prepared.classes)
        return self._prepared.voter.vote(dense, proposals)


def load_text_segmenter(
    config: Config, policy: weights.Policy, device: torch.device, dtype: torch.dtype
) -> TextSegmenter:
    """Load the network that `dense.model` names, of the kind that `labeller` names.

    Raises:
        ModelError: the model is missing, damaged or of another kind.
    """
    folder = transformers_model(config.dense.model).find(policy)
    return SEGMENTERS[config.labeller](folder, device, dtype)


def load_transformers(folder: Path, architecture: str) -> tuple[Any, Any, Any]:
    """Return model, image processor and tokenizer of a Hugging Face folder.

    Args:
        folder: on this machine.
        architecture: the class of the model, such as CLIPSegForImageSegmentation.

    Raises:
        ModelError: it is damaged, or another kind of model.
    """
    weights.silence_libraries()
    import transformers as untyped_transformers

    transformers: Any = untyped_transformers
    transformers.utils.logging.disable_progress_bar()
    # A folder must neither run code of its own nor ask on the terminal whether it may.
    local: dict[str, Any] = {'local_files_only': True, 'trust_remote_code': False}
    try:
        kind = getattr(transformers, architecture)
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        if config.model_type != kind.config_class.model_type:
            raise ModelError(
                f'{folder} holds a {config.model_type} model; the labeller needs {architecture}'
            )
        model = kind.from_pretrained(folder, dtype=torch.float32, **local)
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **local)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
    except ModelError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise ModelError(f'cannot load {architecture} from {folder}: {reason}') from error
    return model.eval().requires_grad_(False), processor, tokenizer
