"""Captions of crops by BLIP (Li et al., ICML 2022), through transformers."""

from pathlib import Path

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary.dense_text import load_transformers


class BlipCaptioner:
    """Describe crops, many at once."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        """Load a folder; raises ModelError if it holds no BLIP for captions."""
        self._device, self._dtype = device, dtype
        self._model, self._processor, self._tokenizer = load_transformers(
            folder, 'BlipForConditionalGeneration'
        )
        self._model.to(device=device, dtype=dtype)
        self.size = int(self._model.config.vision_config.image_size)  # side of the crops

    def describe(self, crops: Tensor, tokens: int) -> list[str]:
        """Return a caption a crop, the likeliest word after the likeliest word.

        Args:
            crops: (N, 3, size, size) 0-255 RGB.
            tokens: the longest caption.
        """
        prepared = self._processor(images=crops, return_tensors='pt', do_resize=False)
        pixels = prepared['pixel_values'].to(self._device, self._dtype)
        words = self._model.generate(
            pixel_values=pixels, max_new_tokens=tokens, num_beams=1, do_sample=False
        )
        captions: list[str] = self._tokenizer.batch_decode(words, skip_special_tokens=True)
        return captions
