"""A data set is looked at before work begins: damage and label values without a class are told."""

import unicodedata
from pathlib import Path

import layouts
import numpy as np
import PIL.Image
import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.evaluation.datasets import Source, read_data_set
from semantic_fast_sam_ros.evaluation.inspection import inspect
from semantic_fast_sam_ros.evaluation.samples import DataSetError


def camvid(folder: Path, count: int = 3):
    """Return a data set of so many samples."""
    layouts.camvid(folder, count=count)
    return camvid_again(folder)


def camvid_again(folder: Path):
    """Return the data set as it lies there."""
    return read_data_set('camvid', Source(folder, 'val'))


def test_one_unreadable_file_costs_its_sample_only(tmp_path: Path) -> None:
    data_set = camvid(tmp_path, 4)
    data_set.samples[1].image.write_bytes(b'\xff\xd8\xff damaged')
    data_set.samples[2].label.write_bytes(b'damaged')
    found = inspect(data_set)
    assert found.data_set.samples == (data_set.samples[0], data_set.samples[3])
    assert list(found.refused) == [s.name for s in data_set.samples[1:3]]
    assert all('is not a readable image' in line for line in found.told()[:2])


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    data_set = camvid(tmp_path, 1)
    data_set.samples[0].label.write_bytes(b'')
    with pytest.raises(DataSetError, match='is not a readable image'):
        inspect(data_set)


def test_label_values_without_a_class_are_counted_and_told(tmp_path: Path) -> None:
    data_set = camvid(tmp_path, 1)
    values = np.full((layouts.HEIGHT, layouts.WIDTH), 3, np.uint8)
    values[: layouts.HEIGHT // 2] = 17 * values[: layouts.HEIGHT // 2]
    values[-1, :2] = 200
    layouts.write(data_set.samples[0].label, values)
    found = inspect(data_set)
    assert found.without_class == {51: 0.5, 200: pytest.approx(2 / values.size)}
    assert found.told() == [
        'label values without a class, which are not scored: 51 on 50.00 %, 200 on 0.21 % of '
        'pixels'
    ]


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_labels_of_few_bits_are_class_numbers(bits: int, tmp_path: Path) -> None:
    data_set = camvid(tmp_path, 1)
    values = (
        np.arange(layouts.HEIGHT * layouts.WIDTH).reshape(layouts.HEIGHT, -1) % (1 << bits) % 11
    )
    picture = PIL.Image.fromarray(values.astype(np.uint8)).convert('P')
    picture.putdata(values.ravel().tolist())
    picture.save(data_set.samples[0].label, bits=bits)
    _, truth = data_set.read(data_set.samples[0])
    np.testing.assert_array_equal(truth, values)


def test_one_label_is_not_scored_twice(tmp_path: Path) -> None:
    image = camvid(tmp_path).samples[0].image
    image.with_suffix('.jpg').write_bytes(image.read_bytes())
    with pytest.raises(ConfigError, match=r'07959\.jpg and .*07959\.png would both be'):
        camvid(tmp_path)


def test_names_are_paired_as_other_systems_write_them(tmp_path: Path) -> None:
    images, targets = (tmp_path / 'val' / kind for kind in ('images', 'labels'))
    layouts.write_pairs(images, targets, ['Köln_1', 'Köln_2'], (0,))
    for number, form in ((1, 'NFC'), (2, 'NFD')):
        name = f'Köln_{number}.png'
        (images / name).rename(images / unicodedata.normalize(form, name))
    (targets / 'Köln_1.png').rename(targets / unicodedata.normalize('NFD', 'Köln_1.PNG'))
    (targets / 'Köln_2.png').rename(targets / unicodedata.normalize('NFC', 'Köln_2.png'))
    data_set = read_data_set('generic', Source(tmp_path, 'val', 'camvid'))
    assert len(inspect(data_set).data_set.samples) == 2


def test_what_was_never_fetched_costs_its_sample_only(tmp_path: Path) -> None:
    data_set = camvid(tmp_path, 5)
    pointed, page, zeros = (s.image for s in data_set.samples[:3])
    pointed.write_text('version https://git-lfs.github.com/spec/v1')
    page.write_text('<!DOCTYPE html>')
    zeros.write_bytes(bytes(500))
    annexed = data_set.samples[3].label
    annexed.unlink()
    annexed.symlink_to('../.git/annex/objects/gone')
    found = inspect(camvid_again(tmp_path))
    assert [s.name for s in found.data_set.samples] == [data_set.samples[4].name]
    told = ('pointer of Git LFS', 'a page of the web', 'it is zeros', 'No such file')
    for part, line in zip(told, found.told(), strict=False):
        assert part in line and 'convert it' not in line


def test_what_macos_leaves_is_no_sample_and_frames_come_in_natural_order(tmp_path: Path) -> None:
    folders = [tmp_path / 'val' / kind for kind in ('images', 'labels')]
    layouts.write_pairs(*folders, [f'drive_{i}' for i in (1, 2, 10, 9)], (0,))
    for folder in folders:
        (folder / '._drive_1.png').write_bytes(b'left')
        (folder / '.DS_Store').touch()
    data_set = read_data_set('generic', Source(tmp_path, 'val', 'camvid'))
    assert [s.name for s in data_set.samples] == [f'drive_{i}' for i in (1, 2, 9, 10)]
