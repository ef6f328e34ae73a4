"""Evaluate rows on a data set, image by image; what is done stays done."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.evaluation import fingerprint
from semantic_fast_sam_ros.evaluation import scores as image_scores
from semantic_fast_sam_ros.evaluation.bench import Bench
from semantic_fast_sam_ros.evaluation.mask_quality import true_regions
from semantic_fast_sam_ros.evaluation.rows import Row
from semantic_fast_sam_ros.evaluation.samples import DataSet
from semantic_fast_sam_ros.evaluation.scores import ImageScores


@dataclass(frozen=True)
class Plan:
    """What to evaluate, and how."""

    data_set: DataSet
    config: Config
    rows: list[Row]
    work: Path
    runs: int = 1
    boundary_pixels: tuple[int, ...] = (1, 3)
    sam: str = ''

    def file(self, row: Row, name: str) -> Path:
        """Return where the scores of a row on an image are kept, and on no other content of it."""
        keys = self._contents
        if row.looks_back:
            keys = self._whole_chain if row.adapted else self._chains
        return self.folder(row) / f'{name}-{keys[name]}.npz'

    def folder(self, row: Row) -> Path:
        """Return where the scores of a row are kept."""
        return self._folders[row.name]

    def mapping_file(self, row: Row) -> Path:
        """Return where a row keeps the table of classes that it was scored by."""
        return self.folder(row) / 'classes.txt'

    @cached_property
    def _contents(self) -> dict[str, str]:
        samples = self.data_set.samples
        return {s.name: fingerprint.of_files(s.image, s.label) for s in samples}

    @cached_property
    def _chains(self) -> dict[str, str]:
        """Return keys that hold the images before, for rows that look back."""
        video = self.data_set.is_video
        own = [
            (s.sequence if video else '', self._contents[s.name]) for s in self.data_set.samples
        ]
        return dict(zip(self._contents, fingerprint.chained(own), strict=True))

    @cached_property
    def _whole_chain(self) -> dict[str, str]:
        """Return keys that hold all images before, for rows that settle over the data set."""
        own = [('all', key) for key in self._contents.values()]
        return dict(zip(self._contents, fingerprint.chained(own), strict=True))

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return {r.name: self.work / f'{r.name}-{self._fingerprint(r)}' for r in self.rows}

    def _fingerprint(self, row: Row) -> str:
        classes = self.data_set.vocabulary
        config = fingerprint.row_config(self.config, row, classes)
        content = [
            asdict(row),
            self.runs,
            self.boundary_pixels,
            repr(classes),
            self.data_set.table.tolist(),
            fingerprint.of_labeller(config, self.sam if row.masks == 'sam' else ''),
        ]
        return fingerprint.key(content)


def evaluate(plan: Plan) -> Iterator[tuple[int, int]]:
    """Compute the scores that are missing; yield (images done, images in all) after each.

    The table of classes is printed first.

    Raises:
        DataSetError: a file is missing or does not fit; what was done before stays.
    """
    todo = _missing(plan)
    missing = {row.name for rows in todo.values() for row in rows}
    total = len(plan.data_set.samples)
    bench = None
    if missing:
        rows = [row for row in plan.rows if row.name in missing]
        for row in rows:
            plan.folder(row).mkdir(parents=True, exist_ok=True)
        bench = Bench(plan.config, plan.data_set.vocabulary, rows, plan.sam, plan.runs)
        for row in rows:
            plan.mapping_file(row).write_text(f'{bench.mappings[row.name]}\n', encoding='utf-8')
    _print_mappings(plan)
    sequence = ''
    for done, sample in enumerate(plan.data_set.samples, start=1):
        if bench is not None and todo[sample.name]:
            image, truth = plan.data_set.read(sample)
            if done == 1:  # the first call pays for lazy start-up
                bench.run(todo[sample.name], image, truth)
                bench.begin()
            if not (plan.data_set.is_video and sample.sequence and sample.sequence == sequence):
                bench.forget()
            sequence = sample.sequence
            _score_image(plan, bench, sample.name, todo[sample.name], image, truth)
        yield done, total


def _missing(plan: Plan) -> dict[str, list[Row]]:
    """Return the rows that are to be computed for each image, by name.

    Rows that look back need the images before: of these all, if one is missing.
    """
    names = [sample.name for sample in plan.data_set.samples]
    missing = {n: [r for r in plan.rows if not plan.file(r, n).is_file()] for n in names}
    again = {row.name for rows in missing.values() for row in rows if row.looks_back}
    return {n: [r for r in plan.rows if r in missing[n] or r.name in again] for n in names}


def stored(plan: Plan, row: Row) -> Iterator[ImageScores]:
    """Return the scores of a row on all images in order."""
    for sample in plan.data_set.samples:
        yield image_scores.load(plan.file(row, sample.name))


def _score_image(
    plan: Plan,
    bench: Bench,
    name: str,
    rows: list[Row],
    image: NDArray[np.uint8],
    truth: NDArray[np.int16],
) -> None:
    classes, regions = len(plan.data_set.vocabulary), true_regions(truth)
    for row_name, outcome in bench.run(rows, image, truth).items():
        row = next(r for r in rows if r.name == row_name)
        result = image_scores.score(outcome, truth, classes, plan.boundary_pixels, regions)
        image_scores.save(plan.file(row, name), result, outcome.labels)


def mappings(plan: Plan) -> dict[str, list[str]]:
    """Return each table of classes, as text, and the names of the rows that it holds for."""
    tables: dict[str, list[str]] = {}
    for row in plan.rows:
        text = plan.mapping_file(row).read_text(encoding='utf-8')
        tables.setdefault(text, []).append(row.name)
    return tables


def _print_mappings(plan: Plan) -> None:
    for text, names in mappings(plan).items():
        print(f'classes of the model -> of the data set ({", ".join(names)}):\n{text}', end='')
