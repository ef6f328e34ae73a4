"""Dense segmenters of Hugging Face folders: semantic and universal checkpoints of transformers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError, first_line
from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.logits import Logits
from semantic_fast_sam_ros.core.closed_set.queries import (
    BY_QUERIES,
    IN_PATCHES,
    MASK2FORMER_GRID,
    class_scores,
    segment_in_patches,
)
from semantic_fast_sam_ros.core.networks import answers, weights
from semantic_fast_sam_ros.core.networks.batching import (
    Network,
    RunsNetwork,
    run_together,
    turns,
)
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.models import DenseSettings

SIDE_MULTIPLE = 8  # sides given to a transformers model are rounded to this, or to its patches
# Of these model types to this: behind a stage of an odd side the next one lies half a pixel aside
# of what it was trained to be. 360 instead of 384 rows cost EfficientNet-Lite0 two points of mIoU.
STAGE_MULTIPLES = {'upernet': 32}
MAXIMUM_SIDE = 4096  # of what a network is given, however long and thin the image
SQUARE_ONLY = ('dpt',)  # model types whose code takes no other images
SEMANTIC = 'AutoModelForSemanticSegmentation'
# (architecture suffix, the Auto class that loads it); the first that fits is taken
AUTO_CLASSES = (
    ('ForUniversalSegmentation', 'AutoModelForUniversalSegmentation'),
    ('ForInstanceSegmentation', 'AutoModelForInstanceSegmentation'),
    ('ForSemanticSegmentation', SEMANTIC),
)
# Of these the folder's two JSON files tell all that is needed beside the network itself.
PLAIN = ('SegformerForSemanticSegmentation', 'UperNetForSemanticSegmentation')
PLAIN_PROCESSORS = ('SegformerImageProcessor', 'SegformerImageProcessorFast')
Statistics = tuple[Tensor, Tensor]  # (scale, offset), (3, 1, 1) each


@dataclass(frozen=True)
class Checkpoint:
    """What is to be known of a folder beside its network."""

    kind: str  # transformers' model type
    class_names: tuple[str, ...]
    patch: int  # sides are multiples of it; 0: it has none
    statistics: Statistics | None  # of a processor that only normalises

    @classmethod
    def of(cls, config: Any, processor: Any) -> 'Checkpoint':
        """Take it from transformers' objects, or from others with their attributes."""
        names = {int(number): str(name) for number, name in config.id2label.items()}
        patch = getattr(config, 'patch_size', None)
        return cls(
            config.model_type,
            answers.class_names([names[i] for i in sorted(names)]),
            patch if isinstance(patch, int) else 0,
            _statistics(processor),
        )


class TransformersSegmenter(RunsNetwork):
    """Any Hugging Face semantic or universal segmentation checkpoint.

    Where another library runs a conversion of the network, transformers is not imported.
    """

    left_out = ''

    def __init__(
        self,
        folder: Path,
        settings: DenseSettings,
        runtime: Runtime,
    ) -> None:
        """Load a folder.

        Raises:
            ModelError: it holds no segmentation model.
            ConfigError: its model takes images of one size only, and another is set.
        """
        self._folder, self._size, self._runtime = folder, settings.image_size, runtime
        self._checkpoint = (_told(folder) if self._size else None) or Checkpoint.of(
            self._model.config, self._processor
        )
        self.class_names = self._checkpoint.class_names
        if self._size and self._checkpoint.kind in IN_PATCHES:
            raise ConfigError(
                f'{folder.name} takes images at the size that its processor says: leave '
                'dense.image_size at 0'
            )
        self._network: Network | None = None
        if self._checkpoint.kind not in BY_QUERIES:
            self._network = load_network(
                lambda: Logits(self._model, self.class_names), folder, runtime
            )
        elif runtime.backend not in ('auto', 'torch') or runtime.precision == 'int8':
            raise ModelError(
                f'{folder.name} is a {self._checkpoint.kind}: it runs on torch only, '
                f'not on {runtime.backend} in {runtime.precision}'
            )
        self._turn = turns(self._network)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model, processor = _load(self._folder)
        device, dtype = self._runtime.device, self._runtime.dtype
        model.to(device=device, dtype=dtype, memory_format=torch.channels_last)
        return model, processor

    @property
    def _model(self) -> Any:
        return self._loaded[0]

    @property
    def _processor(self) -> Any:
        return self._loaded[1]

    @cached_property
    def _task_inputs(self) -> dict[str, Tensor]:
        """OneFormer's task token (Jain et al., CVPR 2023, section 3.1); else nothing."""
        if self._checkpoint.kind != 'oneformer':
            return {}
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            self._folder, local_files_only=True, trust_remote_code=False
        )
        tokens = tokenizer(
            ['the task is semantic'],
            padding='max_length',
            max_length=self._model.config.task_seq_len,
            truncation=True,
            return_tensors='pt',
        )
        return {'task_inputs': tokens['input_ids'].to(self._runtime.device)}

    def segment_all(self, images: Sequence[Tensor]) -> list[DenseMap]:
        """Score images (3, H, W) uint8 RGB, in one pass where they fit together."""
        if self._network is None:
            return [self.segment(image) for image in images]
        with stage('preprocess'):
            pixels = [self._preprocess(image) for image in images]
        with self._turn, stage('dense_network'):
            found = run_together(self._network, pixels)
        return [DenseMap(self._scores(logits), are_logits=True) for (logits,) in found]

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB on the segmenter's device."""
        if self._network is not None:
            return self.segment_all([image])[0]
        kind = self._checkpoint.kind
        if kind in IN_PATCHES:
            with self._turn, stage('dense_network'):
                scores = segment_in_patches(self._model, self._processor, image)[None]
            return DenseMap(self._scores(scores), are_logits=False)
        with stage('preprocess'):
            pixels = self._preprocess(image)
        with self._turn, stage('dense_network'):
            output = self._model(pixel_values=pixels, **self._task_inputs)
        scores = class_scores(output, MASK2FORMER_GRID if kind == 'mask2former' else None)
        return DenseMap(self._scores(scores), are_logits=False)

    def _scores(self, found: Tensor) -> Tensor:
        return answers.class_logits(self._folder.name, found[0], len(self.class_names))

    def _preprocess(self, image: Tensor) -> Tensor:
        """Resize and normalise as the checkpoint's processor says, on the image's device."""
        options: dict[str, Any] = {}
        if self._size:
            image = self._scaled(image)
            options['do_resize'] = False
        if self._checkpoint.statistics is not None and self._size:
            scale, offset = (t.to(image.device) for t in self._checkpoint.statistics)
            pixels = image[None].float().mul_(scale).sub_(offset)
        else:
            if hasattr(self._processor, 'do_center_crop'):
                options['do_center_crop'] = False  # the scores would lie over the centre only
            prepared = self._processor(images=image, return_tensors='pt', **options)
            pixels = prepared['pixel_values']
        return pixels.to(self._runtime.device, self._runtime.dtype)

    def _scaled(self, image: Tensor) -> Tensor:
        size = self._scaled_size(int(image.shape[1]), int(image.shape[2]))
        if tuple(image.shape[1:]) == size:
            return image
        # Bytes are resized twice as fast, but only on the CPU.
        x = image[None] if image.device.type == 'cpu' else image[None].float()
        x = functional.interpolate(x, size, mode='bilinear', antialias=True)[0]
        return x if x.dtype == torch.uint8 else x.round().to(torch.uint8)

    def _scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the sides for an image so that the shorter one is as the settings say."""
        if self._checkpoint.kind in SQUARE_ONLY:
            height = width = self._size
        least = STAGE_MULTIPLES.get(self._checkpoint.kind, SIDE_MULTIPLE)
        unit = max(self._checkpoint.patch, least)
        gain = min(self._size / min(height, width), MAXIMUM_SIDE / max(height, width))
        height, width = (max(unit, round(side * gain / unit) * unit) for side in (height, width))
        return height, width


def _told(folder: Path) -> Checkpoint | None:
    """Return what a folder's own files tell; None where only transformers knows the rest."""
    try:
        config, processor = (
            SimpleNamespace(**json.loads((folder / name).read_text(encoding='utf-8')))
            for name in ('config.json', 'preprocessor_config.json')
        )
        if config.architectures[0] not in PLAIN:
            return None
        if processor.image_processor_type not in PLAIN_PROCESSORS:
            return None
        checkpoint = Checkpoint.of(config, processor)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None  # transformers says what is wrong
    return checkpoint if checkpoint.statistics else None


def _statistics(processor: Any) -> Statistics | None:
    """Return (scale, offset) of a processor that only normalises, else None.

    After resizing, `pixels * scale - offset` is what such a processor makes of an image, without
    the milliseconds that it takes.
    """
    wanted = {'do_rescale': True, 'do_normalize': True}
    others = ('do_pad', 'do_flip_channel_order')
    if any(getattr(processor, k, None) is not v for k, v in wanted.items()) or any(
        getattr(processor, k, None) for k in others
    ):
        return None
    mean, deviation = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    if mean.numel() != 3 or deviation.numel() != 3:
        return None
    scale = processor.rescale_factor / deviation
    return scale[:, None, None], (mean / deviation)[:, None, None]


def _load(folder: Path) -> tuple[Any, Any]:
    weights.silence_libraries()
    import transformers as untyped_transformers

    transformers: Any = untyped_transformers
    transformers.utils.logging.disable_progress_bar()
    # A folder must neither run code of its own nor ask on the terminal whether it may.
    local: dict[str, Any] = {'local_files_only': True, 'trust_remote_code': False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        architecture = (config.architectures or [''])[0]
        auto = next((a for suffix, a in AUTO_CLASSES if architecture.endswith(suffix)), None)
        auto = AUTO_CLASSES[0][1] if config.model_type in ('oneformer', 'mask2former') else auto
        if auto is None:
            raise ModelError(
                f'{folder}: {architecture or "its model"} is not a segmentation model'
            )
        if auto != SEMANTIC and config.model_type not in BY_QUERIES:
            raise ModelError(
                f'{folder} is a {config.model_type} ({architecture}), which this package cannot '
                f'run; of universal segmenters it runs {", ".join(BY_QUERIES)}'
            )
        model = getattr(transformers, auto).from_pretrained(folder, dtype=torch.float32, **local)
        if config.model_type == 'oneformer':  # else it fetches class names from another repository
            local['class_info_file'] = None
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **local)
    except ModelError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise ModelError(f'cannot load a segmentation model from {folder}: {reason}') from error
    return model.eval().requires_grad_(False), processor
