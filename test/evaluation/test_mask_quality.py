"""Mask recall and precision against pycocotools."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from semantic_fast_sam_ros.evaluation import mask_quality

HEIGHT, WIDTH = 48, 70
Scene = tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]


def scene(seed: int, regions: int = 9, masks: int = 25) -> Scene:
    """Make true rectangles and jittered, partly doubled proposals of distinct scores."""
    random = np.random.default_rng(seed)

    def box(top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
        drawn = np.zeros((HEIGHT, WIDTH), bool)
        drawn[max(0, top) : top + height, max(0, left) : left + width] = True
        return drawn

    places = [
        (
            random.integers(0, 30),
            random.integers(0, 50),
            random.integers(8, 18),
            random.integers(8, 20),
        )
        for _ in range(regions)
    ]
    true = np.stack([box(*place) for place in places])
    found = [
        box(*(value + random.integers(-3, 4) for value in places[random.integers(regions)]))
        for _ in range(masks)
    ]
    scores = random.permutation(masks).astype(np.float32) / masks
    return np.stack(found), scores, true


def coco_figures(scenes: list[Scene]) -> dict[str, float]:
    """Let pycocotools measure: AP, AR at 10, 100 and 300, AR by size, recall at IoU 0.5."""
    coco_module = pytest.importorskip('pycocotools.coco', reason='pycocotools is missing')
    from pycocotools import mask as encoding
    from pycocotools.cocoeval import COCOeval

    truth, proposals = coco_module.COCO(), []
    annotations = []
    for image, (masks, scores, regions) in enumerate(scenes):
        for region in regions:
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image,
                    'category_id': 1,
                    'iscrowd': 0,
                    'area': int(region.sum()),
                    'bbox': [0, 0, 1, 1],
                    'segmentation': encoding.encode(np.asfortranarray(region.astype(np.uint8))),
                }
            )
        proposals += [
            {
                'image_id': image,
                'category_id': 1,
                'score': float(score),
                'segmentation': encoding.encode(np.asfortranarray(mask.astype(np.uint8))),
            }
            for mask, score in zip(masks, scores, strict=True)
        ]
    size = {'height': HEIGHT, 'width': WIDTH}
    truth.dataset = {
        'info': {},
        'images': [{'id': i, **size} for i in range(len(scenes))],
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'region'}],
    }
    truth.createIndex()
    measured = COCOeval(truth, truth.loadRes(proposals), 'segm')
    measured.params.useCats = 0
    measured.params.maxDets = list(mask_quality.MASK_LIMITS)
    sizes = {'all': (0, 1e10), **mask_quality.SIZES}
    measured.params.areaRng = [[low, min(high - 1, 1e10)] for low, high in sizes.values()]
    measured.params.areaRngLbl = list(sizes)
    measured.evaluate()
    measured.accumulate()
    figures = {'ap': float(measured.eval['precision'][:, :, 0, 0, -1].mean())}
    for i, limit in enumerate(mask_quality.MASK_LIMITS):
        figures[f'ar_{limit}'] = float(measured.eval['recall'][:, 0, 0, i].mean())
    for i, size in enumerate(sizes):
        figures[size] = float(measured.eval['recall'][:, 0, i, 1].mean())
    figures['recall_at_half'] = float(measured.eval['recall'][0, 0, 0, 1])
    return figures


@pytest.mark.parametrize('seed', range(4))
def test_recall_and_precision_equal_pycocotools(seed: int) -> None:
    scenes = [scene(10 * seed + i) for i in range(3)]
    theirs = coco_figures(scenes)
    matches = [
        mask_quality.match(masks, scores, regions, np.ones((HEIGHT, WIDTH), bool))
        for masks, scores, regions in scenes
    ]
    assert mask_quality.average_precision(matches) == pytest.approx(theirs['ap'], abs=1e-9)
    for limit in mask_quality.MASK_LIMITS:
        ours = mask_quality.average_recall(matches, limit)
        assert ours == pytest.approx(theirs[f'ar_{limit}'], abs=1e-9)
    assert 0.1 < theirs['ap'] < 0.9 and theirs['ar_10'] < theirs['ar_100']


@pytest.mark.parametrize('seed', range(3))
def test_recall_by_size_and_at_one_iou_equals_pycocotools(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mask_quality, 'SIZES', {'small': (0, 120), 'medium': (120, 200), 'large': (200, 1e9)}
    )
    scenes = [scene(10 * seed + i) for i in range(3)]
    theirs = coco_figures(scenes)
    matches = [
        mask_quality.match_by_size(masks, scores, regions, np.ones((HEIGHT, WIDTH), bool))
        for masks, scores, regions in scenes
    ]
    for size in ('all', *mask_quality.SIZES):
        some = [m[size] for m in matches]
        assert sum(m.regions for m in some) > 0
        assert mask_quality.average_recall(some, 100) == pytest.approx(theirs[size], abs=1e-9)
    every = [m['all'] for m in matches]
    assert mask_quality.recall(every, 100, 0.5) == pytest.approx(theirs['recall_at_half'])
    assert mask_quality.recall(every, 100, 0.75) < theirs['recall_at_half']


def test_true_regions_are_scipys_components_of_each_class() -> None:
    random = np.random.default_rng(4)
    truth = random.integers(-1, 3, (9, 13)).repeat(5, 0).repeat(5, 1).astype(np.int16)
    ours = mask_quality.true_regions(truth, minimum_area=30)
    theirs = []
    for index in range(3):
        parts, count = ndimage.label(truth == index, np.ones((3, 3)))
        theirs += [parts == i for i in range(1, count + 1) if (parts == i).sum() >= 30]
    assert {m.tobytes() for m in ours} == {m.tobytes() for m in theirs}
    assert len(ours) == len(theirs)


def test_coverage_is_of_the_labelled_pixels() -> None:
    masks = np.zeros((2, 4, 5), bool)
    masks[0, :, :2], masks[1, :2, 1:3] = True, True
    labelled = np.ones((4, 5), bool)
    labelled[:, 0] = False
    found = mask_quality.match(masks, np.array([0.9, 0.8], np.float32), masks[:0], labelled)
    assert found.covered == pytest.approx(6 / 16)


def test_no_masks_and_no_regions_are_figures_too() -> None:
    empty, labelled = np.zeros((0, 4, 5), bool), np.ones((4, 5), bool)
    region = np.ones((1, 4, 5), bool)
    nothing = mask_quality.match(empty, np.zeros(0, np.float32), region, labelled)
    assert nothing.covered == 0
    assert mask_quality.average_recall([nothing], 10) == 0
    assert mask_quality.average_precision([nothing]) == 0
    unasked = mask_quality.match(region, np.ones(1, np.float32), empty, labelled)
    assert np.isnan(mask_quality.average_recall([unasked], 10))
