"""Which classes are things, to be counted and tracked; the others, road and sky, are stuff."""

import functools

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary

# Vocabularies that ship, each as its data set's owners divide it (of Cityscapes, traffic lights
# and signs are things, as COCO and ADE20K have them). The first that has a name decides.
KNOWN = ('coco_panoptic', 'ade20k', 'cityscapes', 'camvid', 'embedded')
UNKNOWN, STUFF, THING = -1, 0, 1


@functools.lru_cache(4096)
def is_thing(c: SemanticClass) -> bool:
    """Say whether a class is one of things.

    If its vocabulary does not tell, a class that ships under its name, or under one of its
    prompts, does. Names that no such class has are things'.
    """
    if c.thing is not None:
        return c.thing
    for name in c.names:
        for words in shipped():
            if known := words.find(name):
                return known.thing is not False
    return True


def kinds(vocabulary: Vocabulary) -> NDArray[np.int8]:
    """Return THING, STUFF or, where no class has it, UNKNOWN for each id, (max_id + 1,)."""
    table = np.full(vocabulary.max_id + 1, UNKNOWN, np.int8)
    for c in vocabulary.classes:
        table[c.id] = THING if is_thing(c) else STUFF
    return table


@functools.cache
def shipped() -> tuple[Vocabulary, ...]:
    """Return the vocabularies of KNOWN; the first time, reading them takes a while."""
    return tuple(vocabulary_files.resolve(name) for name in KNOWN)
