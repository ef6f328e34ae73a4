"""Data sets of regions without names: readers, and the command on them."""

import json
from pathlib import Path
from typing import Any

import cv2
import layouts
import numpy as np
import pytest

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.evaluation import region_run
from semantic_fast_sam_ros.evaluation.datasets import Source
from semantic_fast_sam_ros.evaluation.mask_quality import SIZES
from semantic_fast_sam_ros.evaluation.region_sets import read_region_set
from semantic_fast_sam_ros.evaluation.samples import DataSetError

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize('inner', ['', 'BSR/BSDS500/data'])
def test_bsds500_gives_the_cut_of_every_annotator(inner: str, tmp_path: Path) -> None:
    layouts.bsds500(tmp_path / inner)
    region_set = read_region_set('bsds500', Source(tmp_path, 'val'))
    assert [sample.name for sample in region_set.samples] == ['2018', '2019']
    image, cuts = region_set.samples[0].read()
    assert image.shape == (layouts.HEIGHT, layouts.WIDTH, 3)
    assert [(cut == 1).sum() // layouts.HEIGHT for cut in cuts] == [10, 30]


def test_coco_panoptic_joins_the_bytes_of_ids_and_leaves_crowds_out(tmp_path: Path) -> None:
    folder = layouts.coco_panoptic(tmp_path)
    (sample,) = read_region_set('coco_panoptic', Source(folder, 'val')).samples
    _, (cut,) = sample.read()
    assert np.unique(cut).tolist() == [0, 1, 256 * 7 + 9]
    assert (cut[:12, 30:] == 0).all()  # the crowd
    assert (cut[20:, :4] == 0).all()  # not labelled
    (again,) = read_region_set('coco_panoptic', Source(folder, 'val2017')).samples
    assert again.label == sample.label


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    layouts.bsds500(tmp_path)
    with pytest.raises(DataSetError, match='no images/test and groundTruth/test'):
        read_region_set('bsds500', Source(tmp_path, 'test'))
    with pytest.raises(DataSetError, match=r'missing file .*panoptic_val2017\.json'):
        read_region_set('coco_panoptic', Source(tmp_path, 'val'))
    (tmp_path / 'groundTruth' / 'val' / '2019.mat').unlink()
    with pytest.raises(DataSetError, match=r'2019\.jpg has no .*missing file .*2019\.mat'):
        read_region_set('bsds500', Source(tmp_path, 'val'))


def test_damaged_labels_are_named(tmp_path: Path) -> None:
    sample = read_region_set('bsds500', Source(layouts.bsds500(tmp_path), 'val')).samples[0]
    assert cv2.imwrite(str(sample.image), np.zeros((9, 5, 3), np.uint8))
    with pytest.raises(DataSetError, match=r'2018\.mat is 40x24, but .*2018\.jpg is 5x9'):
        sample.read()
    for content in (b'nothing', sample.label.read_bytes()[:200]):
        sample.label.write_bytes(content)
        with pytest.raises(DataSetError, match=r'2018\.mat holds no groundTruth of BSDS500'):
            sample.read()
    layouts.coco_panoptic(tmp_path)
    (tmp_path / 'annotations' / 'panoptic_val2017.json').write_text('{"images": []}')
    with pytest.raises(DataSetError, match='no list of panoptic annotations'):
        read_region_set('coco_panoptic', Source(tmp_path, 'val'))


def test_regions_below_the_smallest_area_do_not_count() -> None:
    cut = layouts.halves(2)  # 48 pixels on the left
    assert region_run.regions_of(cut).shape == (1, layouts.HEIGHT, layouts.WIDTH)
    assert not region_run.regions_of(np.zeros_like(cut)).size


def evaluate(kind: str, folder: Path, work: Path, *options: str) -> dict[str, Any]:
    output = work / 'out.json'
    command = ['evaluate', kind, str(folder), f'--work={work}', f'--json={output}', *options]
    assert main(command) == 0
    report: dict[str, Any] = json.loads(output.read_text())
    return report


def test_the_command_measures_every_annotator(
    networks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('skimage', reason='scikit-image is missing (requirements/base.txt)')
    folder = layouts.bsds500(tmp_path / 'data')
    report = evaluate('bsds500', folder, tmp_path, '--rows=sfs,superpixels', *networks)
    assert report['images'] == 2 and [row['name'] for row in report['rows']] == [
        'sfs',
        'superpixels',
    ]
    for row in report['rows']:
        assert row['annotations'] == 4 and row['regions']['all'] == 8
        assert sum(row['regions'][size] for size in SIZES) == 8
        assert 0 <= row['mask_recall']['0.75'] <= row['mask_recall']['0.5'] <= 1
    assert report['rows'][1]['mask_coverage'] == 1
    assert '4 annotations' in capsys.readouterr().out
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob('*.npz')}
    assert len(kept) == 4
    again = evaluate('bsds500', folder, tmp_path, '--rows=sfs,superpixels', *networks)
    assert again == report  # times, too: nothing was computed again
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob('*.npz')} == kept


@pytest.mark.parametrize('option', ['--rows=dense', '--rows=true_masks', '--html=a.html'])
def test_what_needs_names_is_refused(
    option: str, networks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = layouts.coco_panoptic(tmp_path)
    assert main(['evaluate', 'coco_panoptic', str(folder), option, *networks]) == 1
    assert 'regions without names' in capsys.readouterr().err
