"""Texts that a CLIP encoded before: where all are known, nobody waits for its text encoder."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.networks import conversions

MOST_TEXTS = 8192  # kept of one model
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """Texts as the model reads them, and as it understands them."""

    tokens: Tensor  # (T, length) int64
    vectors: Tensor  # (T, dim) float32, unit length


class KnownTexts:
    """The texts of one model, in a file of the cache folder that has the weights' checksum."""

    def __init__(self, source: Path) -> None:
        """Read what is known; a file that is damaged is as one that is not there.

        Args:
            source: the file or folder that the model's weights came from.
        """
        name = conversions.engine_file(source, 'safetensors').name
        self._file = cache_folder() / 'texts' / name
        self._rows: dict[str, int] = {}
        self._encoded: Encoded | None = None
        self.facts: dict[str, Any] = {}  # that the model told when the texts were encoded
        try:
            with safe_open(self._file, 'pt') as file:
                texts, facts = (json.loads(file.metadata()[key]) for key in ('texts', 'facts'))
                encoded = Encoded(file.get_tensor('tokens'), file.get_tensor('vectors'))
            if len(encoded.tokens) == len(encoded.vectors) == len(texts):
                self._rows = {text: row for row, text in enumerate(texts)}
                self._encoded, self.facts = encoded, facts
        except Exception as error:  # whatever a damaged file makes the library raise
            if self._file.exists():
                log.warning('%s cannot be read, texts are encoded anew: %s', self._file, error)

    def find(self, texts: Sequence[str]) -> Encoded | None:
        """Return the texts if each of them is known."""
        if self._encoded is None or not all(text in self._rows for text in texts):
            return None
        rows = torch.tensor([self._rows[text] for text in texts], dtype=torch.int64)
        return Encoded(self._encoded.tokens[rows], self._encoded.vectors[rows])

    def keep(self, texts: Sequence[str], encoded: Encoded, facts: dict[str, Any]) -> None:
        """Remember texts, for the next start too; of too many, the oldest are forgotten."""
        before = self._encoded
        known, parts = [*self._rows, *texts], [encoded] if before is None else [before, encoded]
        last = {text: row for row, text in enumerate(known)}
        rows = sorted(last.values())[-MOST_TEXTS:]
        tokens = torch.cat([part.tokens for part in parts])[rows]
        vectors = torch.cat([part.vectors for part in parts])[rows]
        self._rows = {known[row]: new for new, row in enumerate(rows)}
        self._encoded, self.facts = Encoded(tokens, vectors), facts
        metadata = {'texts': json.dumps([*self._rows]), 'facts': json.dumps(facts)}
        try:
            with conversions.written(self._file) as partial:
                save_file({'tokens': tokens, 'vectors': vectors}, partial, metadata)
        except OSError as error:
            log.warning('texts are encoded anew at the next start: %s', error)
