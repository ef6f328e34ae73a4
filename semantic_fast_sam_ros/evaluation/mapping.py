"""Bring the classes that a pipeline publishes to the classes of a data set, by name."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.evaluation.samples import DataSetError


@dataclass(frozen=True)
class ClassMapping:
    """Published id -> class index of the data set."""

    table: NDArray[np.int16]  # (max_id + 1,); the number of classes where there is no counterpart
    pairs: dict[str, str]  # published name -> the data set's
    unmapped: tuple[str, ...]  # published names without a counterpart: their pixels count as wrong
    never_found: tuple[str, ...]  # the data set's classes that nothing maps to

    def __str__(self) -> str:
        """Write the table of what maps to what, and of what does not."""
        lines = [f'  {name:<24} -> {target}' for name, target in self.pairs.items()]
        lines += [
            f'  {name:<24} of the model has no counterpart: counts as wrong'
            for name in self.unmapped
        ]
        lines += [f'  {name:<24} of the data set is never predicted' for name in self.never_found]
        return '\n'.join(lines)


def map_classes(published: Vocabulary, wanted: Vocabulary) -> ClassMapping:
    """Pair classes by name or synonym, the data set's synonyms first.

    Raises:
        DataSetError: no class has a counterpart.
    """
    index_of = {c.id: i for i, c in enumerate(wanted.classes)}
    table = np.full(published.max_id + 1, len(wanted), np.int16)
    pairs: dict[str, str] = {}
    unmapped = []
    for c in published.classes:
        target = _counterpart(c, wanted)
        if target is None:
            unmapped.append(c.name)
        else:
            table[c.id] = index_of[target.id]
            pairs[c.name] = target.name
    missing = tuple(c.name for i, c in enumerate(wanted.classes) if i not in table)
    if len(missing) == len(wanted):
        raise DataSetError(
            f'the model names {", ".join(published.names[:8])}, ...: none is a class of the data '
            f'set ({", ".join(wanted.names[:8])}, ...)'
        )
    return ClassMapping(table, pairs, tuple(unmapped), missing)


def _counterpart(c: SemanticClass, wanted: Vocabulary) -> SemanticClass | None:
    return next((found for name in c.names if (found := wanted.find(name))), None)
