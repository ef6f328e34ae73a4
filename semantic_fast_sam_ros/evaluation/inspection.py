"""Look at every file of a data set before work begins: what cannot be read, what has no class."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from semantic_fast_sam_ros.evaluation.samples import IGNORE, DataSet, DataSetError


@dataclass
class Inspection:
    """A data set without what cannot be read, and what is to be told of it."""

    data_set: DataSet
    refused: dict[str, str] = field(default_factory=dict)  # sample -> reason
    without_class: dict[int, float] = field(default_factory=dict)  # label value -> share of pixels

    def told(self) -> list[str]:
        """Return lines for people."""
        lines = [f'left out: {reason}' for reason in self.refused.values()]
        if self.without_class:
            shares = ', '.join(f'{v} on {100 * s:.2f} %' for v, s in self.without_class.items())
            lines.append(f'label values without a class, which are not scored: {shares} of pixels')
        return lines


def inspect(data_set: DataSet) -> Inspection:
    """Read all samples once.

    Raises:
        DataSetError: none can be read.
    """
    good, refused = [], {}
    counts: Counter[int] = Counter()
    pixels = 0
    for sample in data_set.samples:
        try:
            _, values = data_set.read_values(sample)
        except DataSetError as error:
            refused[sample.name] = str(error)
            continue
        good.append(sample)
        pixels += values.size
        present = np.bincount(values.ravel())
        foreign = np.flatnonzero(present * (data_set.table[: len(present)] == IGNORE))
        counts.update({int(value): int(present[value]) for value in foreign})
    if not good:
        raise DataSetError(next(iter(refused.values()), 'there is nothing to read'))
    shares = {value: count / pixels for value, count in counts.most_common()}
    return Inspection(replace(data_set, samples=tuple(good)), refused, shares)
