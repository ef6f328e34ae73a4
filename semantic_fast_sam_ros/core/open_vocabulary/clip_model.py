"""CLIP-like networks through open_clip: found, loaded without unpickling code, two encoders."""

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.networks import model_files, weights
from semantic_fast_sam_ros.core.networks.answers import require_finite
from semantic_fast_sam_ros.core.networks.batching import Network, RunsNetwork
from semantic_fast_sam_ros.core.networks.engines import load_network, runs_outside_torch
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.known_texts import Encoded, KnownTexts
from semantic_fast_sam_ros.core.settings.models import ClipSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

Load: TypeAlias = Callable[[], tuple[Any, Any]]

TEXT_BATCH = 256  # texts encoded at once
# Crops encoded at once, neither more nor fewer, where it is not torch that encodes them: other
# libraries prepare anew for each number, and the number of masks changes with each image.
CROP_BATCH = 16
# In 8 bits the first convolutions of the CLIP that ships would cost 1.4 % of all segments' names.
EXACT_CONVOLUTIONS = 2


class ClipModel(RunsNetwork):
    """The image and the text encoder of an open_clip network, with its preprocessing."""

    def __init__(self, load: Load, source: Path, runtime: Runtime) -> None:
        """Prepare a network.

        Args:
            load: returns the network and its tokenizer, of open_clip. Called only where torch
                runs the network, it is still to be converted, or a text is not known.
            source: the file or folder that its weights come from.
            runtime: what it runs on; the text encoder always on torch.

        Raises:
            ModelError: see `load_network`.
        """
        self._device, self._dtype = runtime.device, runtime.dtype
        self.source = source
        self._load, self._encoding = functools.cache(load), threading.Lock()
        # Else the network is there for texts, too. A file alone does not tell its architecture.
        spared = source.is_dir() and runs_outside_torch(source, runtime)
        self._known = KnownTexts(source) if spared else None
        facts = (self._known and self._known.facts) or self._facts
        self.size = int(facts['size'])
        self.dimension = int(facts['dimension'])  # of its vectors
        self.mean = torch.tensor(facts['mean'], device=self._device) * 255  # (3,) RGB, 0-255
        self._std = torch.tensor(facts['std'], device=self._device) * 255
        self.scale = float(facts['scale'])  # of cosines to logits
        shape = (CROP_BATCH, 3, self.size, self.size)
        self._network = load_network(
            lambda: _ImageTower(self.network), source, runtime, shape, EXACT_CONVOLUTIONS
        )

    @functools.cached_property
    def network(self) -> Any:
        """The network of open_clip."""
        network, _ = self._load()
        return network.to(device=self._device, dtype=self._dtype).eval().requires_grad_(False)

    @functools.cached_property
    @torch.inference_mode()
    def _facts(self) -> dict[str, Any]:
        """What is to be known of the network while it is not loaded."""
        network, tokenizer = self.network, self._load()[1]
        preprocess = network.visual.preprocess_cfg
        return {
            'dimension': int(network.encode_text(tokenizer(['']).to(self._device)).shape[1]),
            'size': _square(network.visual.image_size),
            'mean': list(preprocess['mean']),
            'std': list(preprocess['std']),
            'scale': float(network.logit_scale.detach().float().exp()),
        }

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors, (T, dim) float32, of any number of texts."""
        if self._known and (known := self._known.find(texts)):
            return known.vectors
        vectors = []
        for start in range(0, len(texts), TEXT_BATCH):
            tokens = self._tokens(texts[start : start + TEXT_BATCH]).to(self._device)
            vectors.append(self.network.encode_text(tokens).float())
        return functional.normalize(torch.cat(vectors), dim=1)

    def remember(self, texts: Sequence[str]) -> None:
        """Encode texts such that the next start need not, where it can do without the network."""
        if self._known and self._known.find(texts) is None:
            encoded = Encoded(self._tokens(texts), self.encode_texts(texts))
            self._known.keep(texts, encoded, self._facts)

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        if self._known and (known := self._known.find(texts)):
            return known.tokens
        with self._encoding:  # Hugging Face tokenizers serve one thread at a time
            tokens: Tensor = self._load()[1](list(texts))
            return tokens

    @property
    def reads_at_once(self) -> bool:
        """Whether the tokenizer is loaded: new texts need not wait for that."""
        return bool(self._load.cache_info().currsize)

    def require_distinct(self, vocabulary: Vocabulary, templates: Sequence[str]) -> None:
        """Raise ConfigError for two classes whose names are the same as far as it reads them."""
        template = min(templates, key=lambda t: t.index('{'))  # leaves most room for the name
        known: dict[frozenset[tuple[int, ...]], str] = {}
        for c in vocabulary.classes:
            tokens = self._tokens([template.format(name) for name in c.names])
            first = known.setdefault(frozenset(map(tuple, tokens.tolist())), c.name)
            if first != c.name:
                raise ConfigError(
                    f'CLIP reads the first {tokens.shape[1]} tokens of a name only, and there '
                    f'{first!r} and {c.name!r} are the same: make them shorter'
                )

    def encode_crops(self, crops: Tensor) -> Tensor:
        """Return unit vectors, (N, dim) float32, of crops (N, 3, size, size) 0-255 RGB."""
        pixels = self.normalise(crops)
        if isinstance(self._network, nn.Module):
            vectors = self._network(pixels)[0]
        else:
            vectors = _in_batches(self._network, pixels)
        require_finite('CLIP', vectors)
        return functional.normalize(vectors.float(), dim=1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Bring (N, 3, H, W) RGB 0-255 to what the network was trained on."""
        scaled = (pixels - self.mean[:, None, None]) / self._std[:, None, None]
        return scaled.to(self._dtype).contiguous(memory_format=torch.channels_last)


class _ImageTower(nn.Module):
    """The image encoder, a batch in, a tuple out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self._network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        vectors: Tensor = self._network.encode_image(pixels)
        return (vectors,)


def _in_batches(tower: Network, pixels: Tensor) -> Tensor:
    """Encode crops (N, 3, size, size) by batches of one length; zeros fill the last one up."""
    missing = -len(pixels) % CROP_BATCH
    filled = functional.pad(pixels, (0, 0, 0, 0, 0, 0, 0, missing))
    batches = torch.split(filled, CROP_BATCH)
    return torch.cat([tower(batch)[0] for batch in batches])[: len(pixels)]


def load_clip(settings: ClipSettings, policy: Policy, runtime: Runtime) -> ClipModel:
    """Load the network that the settings name.

    Args:
        settings: which one.
        policy: whether it may be downloaded.
        runtime: what it is to run on.

    Raises:
        ModelError: the model is missing, damaged, of another kind, or its file would run code; or
            the runtime's backend cannot run it.
    """
    weights.silence_libraries()
    with _quiet():
        source = model_files.clip_model(settings).find(policy)
    return ClipModel(functools.partial(_load, settings, source), source, runtime)


def _load(settings: ClipSettings, source: Path) -> tuple[Any, Any]:
    """Return the network and its tokenizer; open_clip's import takes seconds and 300 MB."""
    with _quiet():
        import open_clip

        if settings.checkpoint:
            return _from_file(open_clip, source, settings.model)
        return _from_folder(open_clip, source)


def _from_folder(open_clip: Any, folder: Path) -> tuple[Any, Any]:
    place = f'local-dir:{folder}'
    try:
        # weights_only is open_clip's default; said here because safety hangs on it.
        network = open_clip.create_model(place, require_pretrained=True, weights_only=True)
        return network, open_clip.get_tokenizer(place)
    except Exception as error:
        raise _unloadable(str(folder), error) from error


def _from_file(open_clip: Any, file: Path, architecture: str) -> tuple[Any, Any]:
    """Load a checkpoint file into an architecture of open_clip's list."""
    if architecture not in open_clip.list_models():
        raise ModelError(
            f'with clip.checkpoint, clip.model is an open_clip architecture such as '
            f'MobileCLIP2-S0, not {architecture!r}'
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    known = open_clip.get_pretrained_cfg(architecture, tags[0]) if tags else {}
    try:
        network = open_clip.create_model(
            architecture,
            pretrained=str(file),
            weights_only=True,
            # A file says nothing of its preprocessing; the architecture's public weights do.
            force_preprocess_cfg={k: known[k] for k in ('mean', 'std') if k in known},
        )
        return network, open_clip.get_tokenizer(architecture)
    except Exception as error:
        raise _unloadable(str(file), error) from error


def _unloadable(source: str, error: Exception) -> ModelError:
    text = str(error).strip()
    reason = text.splitlines()[0] if text else type(error).__name__
    return ModelError(f'cannot load an open_clip model from {source}: {reason}')


def _square(size: int | tuple[int, int]) -> int:
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(f'the CLIP model takes {height} x {width} images; squares are needed')
    return height


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's notes off the root logger while it loads."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
