"""Readers of data sets, on folders laid out as their owners publish them."""

from pathlib import Path

import cv2
import layouts
import numpy as np
import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set
from semantic_fast_sam_ros.evaluation.samples import DataSetError


def indices(kind: str, source: Source) -> set[int]:
    data_set = read_data_set(kind, source)
    image, truth = data_set.read(data_set.samples[0])
    assert image.shape == (*truth.shape, 3) == (layouts.HEIGHT, layouts.WIDTH, 3)
    return set(np.unique(truth).tolist())


@pytest.mark.parametrize('write', [layouts.camvid, layouts.segnet])
def test_camvid_in_both_layouts(write, tmp_path: Path) -> None:
    source = Source(write(tmp_path), 'val')
    data_set = read_data_set('camvid', source)
    assert [s.name for s in data_set.samples] == ['0016E5_07959', '0016E5_07961', '0016E5_07963']
    assert {s.sequence for s in data_set.samples} == {'0016E5'}
    assert data_set.is_video and len(data_set.vocabulary) == 11
    assert indices('camvid', source) == {-1, 0, 3, 8}  # 11 and 255 are ignored


def test_images_are_rgb(tmp_path: Path) -> None:
    data_set = read_data_set('camvid', Source(layouts.camvid(tmp_path), 'val'))
    image, _ = data_set.read(data_set.samples[1])
    np.testing.assert_array_equal(image, layouts.picture(1))


def test_cityscapes_ids_and_train_ids_mean_the_same(tmp_path: Path) -> None:
    by_id = layouts.cityscapes(tmp_path / 'a', 'labelIds', (7, 26, 33, 0))
    by_train_id = layouts.cityscapes(tmp_path / 'b', 'labelTrainIds', (0, 13, 18, 255))
    for folder in (by_id, by_train_id):
        data_set = read_data_set('cityscapes', Source(folder, 'val'))
        names = [data_set.vocabulary.names[i] for i in (0, 13, 18)]
        assert names == ['road', 'car', 'bicycle']
        assert indices('cityscapes', Source(folder, 'val')) == {-1, 0, 13, 18}
        assert not data_set.is_video  # its labelled frames are seconds apart


def test_cityscapes_refuses_a_mixture_of_label_kinds(tmp_path: Path) -> None:
    folder = layouts.cityscapes(tmp_path, 'labelIds', (7,))
    label = next((folder / 'gtFine').rglob('ulm*labelIds.png'))
    label.rename(label.with_name(label.name.replace('labelIds', 'labelTrainIds')))
    with pytest.raises(DataSetError, match='some labels are labelTrainIds'):
        read_data_set('cityscapes', Source(folder, 'val'))


def test_foggy_driving_takes_fine_labels_and_coarse_ones(tmp_path: Path) -> None:
    data_set = read_data_set('foggy_driving', Source(layouts.foggy(tmp_path), 'val'))
    assert [s.label.name for s in data_set.samples] == [
        'web_0_gtFine_labelIds.png',
        'web_1_gtCoarse_labelIds.png',
    ]
    assert indices('foggy_driving', Source(tmp_path, 'val')) == {-1, 0, 13}


def test_ade20k_starts_at_one_and_zero_is_not_annotated(tmp_path: Path) -> None:
    assert indices('ade20k', Source(layouts.ade20k(tmp_path), 'val')) == {-1, 0, 149}


@pytest.mark.parametrize('layout', ['SPLIT/KIND', 'KIND/SPLIT'])
def test_a_generic_folder_with_a_vocabulary(layout: str, tmp_path: Path) -> None:
    folders = [
        tmp_path / layout.replace('SPLIT', 'test').replace('KIND', kind)
        for kind in ('images', 'labels')
    ]
    layouts.write_pairs(*folders, ['a_1', 'a_2'], (4, 5, 6))
    classes = tmp_path / 'names.yaml'
    classes.write_text('classes: [{name: lawn}, {name: path}]\n')
    assert indices('generic', Source(tmp_path, 'test', str(classes), 4)) == {-1, 0, 1}


def test_a_generic_folder_needs_its_classes(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match='--classes'):
        read_data_set('generic', Source(tmp_path, 'val'))
    layouts.camvid(tmp_path)
    with pytest.raises(ConfigError):
        read_data_set('generic', Source(tmp_path, 'val', str(tmp_path / 'none.yaml')))


def test_a_missing_folder_split_label_and_image_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r'no folder .*nowhere'):
        read_data_set('camvid', Source(tmp_path / 'nowhere', 'val'))
    layouts.camvid(tmp_path)
    with pytest.raises(DataSetError, match=r'test/images.*test/labels.*testannot'):
        read_data_set('camvid', Source(tmp_path, 'test'))
    label = tmp_path / 'val' / 'labels' / '0016E5_07961.png'
    label.rename(tmp_path / 'kept.png')
    with pytest.raises(DataSetError, match=r'missing file .*labels/0016E5_07961\.png'):
        read_data_set('camvid', Source(tmp_path, 'val'))
    (tmp_path / 'kept.png').rename(label)
    (tmp_path / 'val' / 'images' / '0016E5_07961.png').unlink()
    with pytest.raises(DataSetError, match=r'labels/0016E5_07961\.png has no image'):
        read_data_set('camvid', Source(tmp_path, 'val'))


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    for kind in ('images', 'labels'):
        (tmp_path / 'val' / kind).mkdir(parents=True)
    with pytest.raises(DataSetError, match="no images of the split 'val'"):
        read_data_set('camvid', Source(tmp_path, 'val'))


def test_labels_that_do_not_fit_are_named_with_both_sizes(tmp_path: Path) -> None:
    data_set = read_data_set('camvid', Source(layouts.camvid(tmp_path), 'val'))
    label = data_set.samples[0].label
    layouts.write(label, np.zeros((5, 9), np.uint8))
    with pytest.raises(DataSetError, match=r'07959\.png is 9x5, but .*07959\.png is 40x24'):
        data_set.read(data_set.samples[0])
    layouts.write(label, np.zeros((24, 40, 3), np.uint8))
    with pytest.raises(DataSetError, match='a label image has one channel'):
        data_set.read(data_set.samples[0])
    label.write_bytes(b'nothing')
    with pytest.raises(DataSetError, match='not a readable image'):
        data_set.read(data_set.samples[0])


def test_sixteen_bit_labels_are_read(tmp_path: Path) -> None:
    data_set = read_data_set('camvid', Source(layouts.camvid(tmp_path), 'val'))
    wide = np.full((24, 40), 3, np.uint16)
    wide[0] = 40_000
    assert cv2.imwrite(str(data_set.samples[0].label), wide)
    _, truth = data_set.read(data_set.samples[0])
    assert (truth[0] == -1).all() and (truth[1:] == 3).all()


@pytest.mark.parametrize(
    ('stride', 'limit', 'expected'), [(1, 0, [0, 1, 2, 3, 4]), (2, 0, [0, 2, 4]), (2, 2, [0, 2])]
)
def test_stride_and_limit(stride: int, limit: int, expected: list[int], tmp_path: Path) -> None:
    every = read_data_set('camvid', Source(layouts.camvid(tmp_path, count=5), 'val'))
    chosen = every.select(stride, limit)
    assert chosen.samples == tuple(every.samples[i] for i in expected)
    assert chosen.stride == stride
