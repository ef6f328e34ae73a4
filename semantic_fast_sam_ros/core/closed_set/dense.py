"""Dense semantic branch: class probabilities for every pixel, from transformers or ultralytics."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.base.timing import stage
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.exported import ExportedSegmenter
from semantic_fast_sam_ros.core.closed_set.queries import (
    BY_QUERIES,
    IN_PATCHES,
    MASK2FORMER_GRID,
    class_scores,
    segment_in_patches,
)
from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics
from semantic_fast_sam_ros.core.networks import answers, weights
from semantic_fast_sam_ros.core.networks.batching import (
    Network,
    RunsNetwork,
    class_names,
    run_together,
    turns,
)
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.letterbox import letterbox
from semantic_fast_sam_ros.core.networks.model_files import dense_model
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.models import DenseSettings

SIDE_MULTIPLE = 8  # sides given to a transformers model are rounded to this, or to its patches
MAXIMUM_SIDE = 4096  # of what a network is given, however long and thin the image
ULTRALYTICS_SIZE = 640  # longer side where the settings name none; its own default
SQUARE_ONLY = ('dpt',)  # model types whose code takes no other images
SEMANTIC = 'AutoModelForSemanticSegmentation'
# (architecture suffix, the Auto class that loads it); the first that fits is taken
AUTO_CLASSES = (
    ('ForUniversalSegmentation', 'AutoModelForUniversalSegmentation'),
    ('ForInstanceSegmentation', 'AutoModelForInstanceSegmentation'),
    ('ForSemanticSegmentation', SEMANTIC),
)


class DenseSegmenter(Protocol):
    """A network that scores every pixel for every class."""

    class_names: tuple[str, ...]
    left_out: str  # one of them that means none of the others, and is not published; else ''

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB on the segmenter's device."""
        ...


@runtime_checkable
class BatchSegmenter(DenseSegmenter, Protocol):
    """One that may take several images at once."""

    takes_batches: bool

    def segment_all(self, images: Sequence[Tensor]) -> list[DenseMap]:
        """Score images (3, H, W) uint8 RGB, in one pass where they fit together."""
        ...


def published_classes(segmenter: DenseSegmenter) -> tuple[str, ...]:
    """Return a segmenter's classes without the one that means none of the others."""
    return tuple(name for name in segmenter.class_names if name != segmenter.left_out)


class TransformersSegmenter(RunsNetwork):
    """Any Hugging Face semantic or universal segmentation checkpoint."""

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
        self._size, self._name = settings.image_size, folder.name
        self._runtime = runtime
        self._model, self._processor = _load_transformers(folder)
        if self._size and self._model.config.model_type in IN_PATCHES:
            raise ConfigError(
                f'{folder.name} takes images at the size that its processor says: leave '
                'dense.image_size at 0'
            )
        self._model.to(
            device=runtime.device, dtype=runtime.dtype, memory_format=torch.channels_last
        )
        names = self._model.config.id2label
        self.class_names = answers.class_names([str(names[i]) for i in sorted(names)])
        self._task_inputs = self._tokenise_task(folder)
        self._statistics = _statistics(self._processor)
        self._network: Network | None = None
        if self._model.config.model_type not in BY_QUERIES:
            logits = _Logits(self._model, self.class_names)
            self._network = load_network(lambda: logits, folder, runtime)
        elif runtime.backend not in ('auto', 'torch') or runtime.precision == 'int8':
            raise ModelError(
                f'{folder.name} is a {self._model.config.model_type}: it runs on torch only, '
                f'not on {runtime.backend} in {runtime.precision}'
            )
        self._turn = turns(self._network)

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
        kind = self._model.config.model_type
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
        return answers.class_logits(self._name, found[0], len(self.class_names))

    def _preprocess(self, image: Tensor) -> Tensor:
        """Resize and normalise as the checkpoint's processor says, on the image's device."""
        options: dict[str, Any] = {}
        if self._size:
            image = self._scaled(image)
            options['do_resize'] = False
        if self._statistics is not None and self._size:
            scale, offset = (t.to(image.device) for t in self._statistics)
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
        config = self._model.config
        if config.model_type in SQUARE_ONLY:
            height = width = self._size
        patch = getattr(config, 'patch_size', None)
        unit = patch if isinstance(patch, int) and patch > SIDE_MULTIPLE else SIDE_MULTIPLE
        gain = min(self._size / min(height, width), MAXIMUM_SIDE / max(height, width))
        height, width = (max(unit, round(side * gain / unit) * unit) for side in (height, width))
        return height, width

    def _tokenise_task(self, folder: Path) -> dict[str, Tensor]:
        """Return OneFormer's task token (Jain et al., CVPR 2023, section 3.1), else nothing."""
        if self._model.config.model_type != 'oneformer':
            return {}
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        tokens = tokenizer(
            ['the task is semantic'],
            padding='max_length',
            max_length=self._model.config.task_seq_len,
            truncation=True,
            return_tensors='pt',
        )
        return {'task_inputs': tokens['input_ids'].to(self._runtime.device)}


class UltralyticsSegmenter(RunsNetwork):
    """A checkpoint of ultralytics' semantic task, such as yolo26n-sem.pt."""

    left_out = ''

    def __init__(
        self,
        checkpoint: Path,
        settings: DenseSettings,
        runtime: Runtime,
    ) -> None:
        """Load the checkpoint; raises ModelError if it is not a semantic network."""
        self._size, self._name = settings.image_size, checkpoint.name
        self._dtype = runtime.dtype
        self._network = load_network(
            lambda: _load_semantic(checkpoint, runtime), checkpoint, runtime
        )
        self.class_names = answers.class_names(class_names(self._network))
        self._turn = turns(self._network)

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W) uint8 RGB on the segmenter's device."""
        return self.segment_all([image])[0]

    def segment_all(self, images: Sequence[Tensor]) -> list[DenseMap]:
        """Score images (3, H, W) uint8 RGB, in one pass where they fit together."""
        with stage('preprocess'):
            fitted = [letterbox(i, self._side(i), self._dtype) for i in images]
        with self._turn, stage('dense_network'):
            found = run_together(self._network, [batch for batch, _ in fitted])
        return [
            DenseMap(self._scores(place.sample(logits, batch.shape[2:])), are_logits=True)
            for (logits,), (batch, place) in zip(found, fitted, strict=True)
        ]

    def _scores(self, found: Tensor) -> Tensor:
        return answers.class_logits(self._name, found[0], len(self.class_names))

    def _side(self, image: Tensor) -> int:
        """Return the longer side that an image is scaled to."""
        longer = round(self._size * max(image.shape[1:]) / min(image.shape[1:]))
        return min(longer, MAXIMUM_SIDE) or ULTRALYTICS_SIZE


class _Logits(nn.Module):
    """A network with its logits, (N, C, h, w), as the only output."""

    takes_batches = True

    def __init__(self, network: nn.Module, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.class_names = network, class_names

    def forward(self, batch: Tensor) -> tuple[Tensor]:
        """Return the logits, (N, C, h, w), in a tuple."""
        if type(self.network).__name__ == 'UperNetForSemanticSegmentation':
            # On their own grid: the model would bring them to the batch's size.
            features: Any = self.network.backbone(batch)  # type: ignore[operator]
            logits: Tensor = self.network.decode_head(features.feature_maps)  # type: ignore[operator]
            return (logits,)
        found = self.network(batch)
        return (found[0] if isinstance(found, tuple | list) else getattr(found, 'logits', found),)


def _load_semantic(checkpoint: Path, runtime: Runtime) -> nn.Module:
    network = load_ultralytics(checkpoint, 'semantic')
    network.to(device=runtime.device, dtype=runtime.dtype, memory_format=torch.channels_last)
    return _Logits(network, tuple(network.names[i] for i in sorted(network.names)))


def load_dense(settings: DenseSettings, policy: Policy, runtime: Runtime) -> DenseSegmenter:
    """Load the dense branch that the settings name.

    Raises:
        ModelError: the model is missing, damaged or of another kind.
        ConfigError: the settings name other classes than an exported network has.
    """
    model = dense_model(settings)
    kinds: dict[str, Callable[[Path, DenseSettings, Runtime], DenseSegmenter]] = {
        'exported': ExportedSegmenter,
        'checkpoint': UltralyticsSegmenter,
        'transformers': TransformersSegmenter,
    }
    return kinds[model.kind](model.find(policy), settings, runtime)


def _statistics(processor: Any) -> tuple[Tensor, Tensor] | None:
    """Return (scale, offset), (3, 1, 1) each, of a processor that only normalises, else None.

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


def _load_transformers(folder: Path) -> tuple[Any, Any]:
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
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f'cannot load a segmentation model from {folder}: {reason}') from error
    return model.eval().requires_grad_(False), processor
