"""Measure masks on regions without names, image by image; what is done stays done."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.masks.types import MaskGenerator
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.evaluation import fingerprint, mask_quality, sources
from semantic_fast_sam_ros.evaluation.mask_quality import MINIMUM_AREA, SIZES, MaskMatches
from semantic_fast_sam_ros.evaluation.region_sets import Regions, RegionSample, RegionSet
from semantic_fast_sam_ros.evaluation.results import mask_figures
from semantic_fast_sam_ros.evaluation.rows import Row


@dataclass(frozen=True)
class RegionPlan:
    """What to measure, and how."""

    region_set: RegionSet
    config: Config
    rows: list[Row]  # whatever names the masks in them: only the masks are looked at
    work: Path
    sam: str = ''

    def file(self, masks: str, sample: RegionSample) -> Path:
        """Return where the scores of an image by these masks (`Row.masks`) are kept."""
        return self._folders[masks] / f'{sample.name}-{self._contents[sample.name]}.npz'

    @cached_property
    def _contents(self) -> dict[str, str]:
        samples = self.region_set.samples
        return {s.name: fingerprint.of_files(s.image, s.label) for s in samples}

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return {masks: self._folder(masks) for masks in {row.masks for row in self.rows}}

    def _folder(self, masks: str) -> Path:
        config = replace(self.config, labeller='none')
        sam = self.sam if masks == 'sam' else ''
        name = fingerprint.key([masks, fingerprint.of_labeller(config, sam)])
        return self.work / f'regions-{masks}-{name}'


@dataclass(frozen=True)
class RegionScores:
    """What the masks of an image are worth to each of its annotators."""

    matches: list[dict[str, MaskMatches]]  # of all regions, and of each size
    masks: int
    milliseconds: float


def check_rows(rows: list[Row]) -> None:
    """Raise ConfigError where a row has no masks, or takes them from classes."""
    for row in rows:
        if row.masks in ('', 'true'):
            raise ConfigError(
                f'row {row.name}: regions without names measure masks that are proposed, such as '
                'those of sfs (FastSAM), ssa (SAM), superpixels, felzenszwalb'
            )


def evaluate(plan: RegionPlan) -> Iterator[tuple[int, int]]:
    """Compute the scores that are missing; yield (images done, images in all) after each.

    Raises:
        ConfigError: a row cannot be measured here.
        DataSetError: a file is missing or does not fit; what was done before stays.
    """
    check_rows(plan.rows)
    samples = plan.region_set.samples
    kinds = {row.masks for row in plan.rows}
    missing = {s.name: [k for k in kinds if not plan.file(k, s).is_file()] for s in samples}
    runtime = choose_runtime(plan.config)
    needed = {kind for some in missing.values() for kind in some}
    generators = sources.load_generators(needed, plan.config, runtime, plan.sam)
    for done, sample in enumerate(samples, start=1):
        for kind in missing[sample.name]:
            save(plan.file(kind, sample), measure(generators[kind], sample, runtime.device))
        yield done, len(samples)


def measure(generator: MaskGenerator, sample: RegionSample, device: torch.device) -> RegionScores:
    """Match the masks of one image with the regions of each annotator."""
    image, cuts = sample.read()
    with torch.inference_mode():
        started = time.perf_counter()
        found = generator.generate(torch.from_numpy(image).to(device).permute(2, 0, 1))
        masks, scores = found.masks.cpu().numpy(), found.scores.cpu().numpy()
        milliseconds = 1000 * (time.perf_counter() - started)
    matches = [mask_quality.match_by_size(masks, scores, regions_of(cut), cut > 0) for cut in cuts]
    return RegionScores(matches, len(masks), milliseconds)


def regions_of(cut: Regions) -> NDArray[np.bool_]:
    """Return the regions of one annotator, (N, H, W), none below `MINIMUM_AREA` pixels."""
    numbers, areas = np.unique(cut[cut > 0], return_counts=True)
    return np.asarray(cut[None] == numbers[areas >= MINIMUM_AREA][:, None, None])


def summarise(plan: RegionPlan) -> dict[str, Any]:
    """Return all figures as plain values: what --json writes."""
    return {
        'dataset': plan.region_set.name,
        'split': plan.region_set.split,
        'images': len(plan.region_set.samples),
        'stride': plan.region_set.stride,
        'torch_threads': torch.get_num_threads(),
        'rows': [_row(plan, row) for row in plan.rows],
    }


def _row(plan: RegionPlan, row: Row) -> dict[str, Any]:
    images = [load(plan.file(row.masks, s)) for s in plan.region_set.samples]
    matches = [annotator for image in images for annotator in image.matches]
    by_size = {size: [m[size] for m in matches] for size in ('all', *SIZES)}
    return {
        'name': row.name,
        'about': row.about,
        'annotations': len(matches),
        'regions': {size: sum(m.regions for m in some) for size, some in by_size.items()},
        **mask_figures(by_size['all']),
        'mask_ar_by_size': {
            size: mask_figures(some)['mask_ar']['100'] for size, some in by_size.items()
        },
        'mask_count': float(np.mean([image.masks for image in images])),
        'mask_reused': None,
        'mask_ms': float(np.mean([image.milliseconds for image in images])),
    }


def save(path: Path, scores: RegionScores) -> None:
    """Write scores; a file cut off by a crash never carries the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.part.npz')
    flat = [m[size] for m in scores.matches for size in ('all', *SIZES)]
    np.savez_compressed(
        partial,
        scores=flat[0].scores if flat else np.zeros(0, np.float32),
        matched=np.array([m.matched for m in flat]),
        regions=np.array([m.regions for m in flat]),
        covered=np.array([m.covered for m in flat]),
        numbers=np.array([scores.masks, scores.milliseconds]),
    )
    partial.replace(path)


def load(path: Path) -> RegionScores:
    """Read the scores that `save` wrote."""
    with np.load(path) as file:
        columns = (file['matched'], file['regions'].tolist(), file['covered'].tolist())
        flat = [MaskMatches(file['scores'], *values) for values in zip(*columns, strict=True)]
        masks, milliseconds = file['numbers'].tolist()
    sizes = ('all', *SIZES)
    matches = [
        dict(zip(sizes, flat[i : i + len(sizes)], strict=True))
        for i in range(0, len(flat), len(sizes))
    ]
    return RegionScores(matches, int(masks), milliseconds)
