"""The command on a tiny data set with tiny networks: rows, figures, going on, reports."""

import json
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.evaluation import bench, confusion, scores

ROWS = 'dense,sfs,sfs_soft,superpixels,true_masks,true_labels'
KEYS = (
    'name miou per_class_iou pixel_accuracy boundary_f mask_ar ece temporal stage_ms '
    'peak_memory_mb runs'
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def evaluate(folder: Path, work: Path, *options: str) -> dict[str, Any]:
    """Run the command and return what it wrote."""
    output = work / 'out.json'
    command = ['evaluate', 'camvid', str(folder), f'--work={work}', f'--json={output}', *options]
    assert main(command) == 0
    report: dict[str, Any] = json.loads(output.read_text())
    return report


@pytest.fixture(scope='module')
def report(segnet: Path, networks: list[str], tmp_path_factory: pytest.TempPathFactory):
    """Evaluate the rows of the issue; give folder and report."""
    pytest.importorskip('skimage', reason='scikit-image is missing (requirements/base.txt)')
    work = tmp_path_factory.mktemp('work')
    files = [f'--html={work / "out.html"}', f'--markdown={work / "out.md"}']
    files += [f'--plots={work / "plots"}']
    return work, evaluate(segnet, work, f'--rows={ROWS}', '--runs=2', *files, *networks)


def test_the_report_has_the_figures_of_every_row(report) -> None:
    _, figures = report
    assert [figures[k] for k in ('dataset', 'split', 'images')] == ['camvid', 'val', 4]
    assert [row['name'] for row in figures['rows']] == ROWS.split(',')
    for row in figures['rows']:
        assert set(KEYS.split()) <= set(row)
        assert len(row['per_class_iou']) == 11 and row['runs'] == 2
        assert 0 <= row['miou'] <= 1 and row['peak_memory_mb'] > 100
        assert (row['mask_ar'] is None) == (row['name'] == 'dense')
        total = row['stage_ms']['total']
        stages = [t['mean'] for name, t in row['stage_ms'].items() if name != 'total']
        assert total['mean'] == pytest.approx(sum(stages)) and total['std'] >= 0


def test_true_masks_are_found_whole(report) -> None:
    row = next(r for r in report[1]['rows'] if r['name'] == 'true_masks')
    assert row['mask_ar'] == {'10': 1, '100': 1, '300': 1} and row['mask_coverage'] == 1


def test_error_propagation_is_told_for_rows_with_masks(report) -> None:
    rows = {row['name']: row for row in report[1]['rows']}
    assert rows['dense']['error_propagation'] is None
    won = rows['sfs']['error_propagation']
    assert set(won) == {'labels', 'shapes', 'unmasked', 'all'}
    assert rows['sfs']['miou'] + won['all']['mean'] == pytest.approx(1, abs=0.3)
    assert rows['true_masks']['error_propagation']['unmasked']['mean'] == 0


def test_the_table_of_classes_is_printed_with_what_did_not_map(
    report, segnet, networks, capsys
) -> None:
    work, _ = report
    figures = evaluate(segnet, work, '--rows=dense', '--runs=2', *networks)  # nothing to compute
    printed = capsys.readouterr().out
    assert 'car                      -> car' in printed
    assert 'rhinoceros               of the model has no counterpart' in printed
    assert 'bicyclist                of the data set is never predicted' in printed
    assert 'rhinoceros' in figures['class_mapping']['dense']


def test_figures_are_of_the_labels_that_were_kept(report, segnet) -> None:
    work, figures = report
    total = np.zeros((11, 12), np.int64)
    for file in sorted(next(work.glob('sfs-*')).glob('*.npz')):
        found = scores.load_labels(file)
        truth = layouts.labels(
            (int(file.stem.partition('-')[0][-4:]) - 7959) // 2, (0, 3, 8, 11)
        ).astype(np.int16)
        truth[truth > 10] = -1
        total += confusion.confusion_matrix(truth, found, 11)
    assert figures['rows'][1]['miou'] == pytest.approx(confusion.mean_iou(total))


def test_an_interrupted_evaluation_goes_on_and_ends_the_same(
    segnet: Path, networks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate(segnet, tmp_path / 'a', *networks)
    calls = []
    real = bench.Bench.run

    def run(self, rows, image, truth):
        calls.append(len(rows))
        if len(calls) == 4:  # the first image is run twice, to warm up
            raise FrameError('the machine went down')
        return real(self, rows, image, truth)

    monkeypatch.setattr(bench.Bench, 'run', run)
    command = ['evaluate', 'camvid', str(segnet), f'--work={tmp_path / "b"}']
    assert main([*command, *networks]) != 0
    calls[3:] = []
    calls.append(0)  # no more interruption
    resumed = evaluate(segnet, tmp_path / 'b', *networks)
    assert len(calls) == 4 + 2
    for row, again in zip(whole['rows'], resumed['rows'], strict=True):
        for name in ('miou', 'per_class_iou', 'boundary_f', 'mask_ar', 'ece', 'temporal'):
            assert row[name] == again[name]


def test_other_settings_are_not_served_from_what_was_kept(
    segnet: Path, networks: list[str], tmp_path: Path
) -> None:
    evaluate(segnet, tmp_path, '--limit=1', '--rows=sfs', *networks)
    evaluate(segnet, tmp_path, '--limit=1', '--rows=sfs', *networks, '--set=vote.mode=hard')
    assert len(list(tmp_path.glob('sfs-*'))) == 2


def test_limit_and_stride_choose_the_images(segnet, networks, tmp_path) -> None:
    figures = evaluate(segnet, tmp_path, '--rows=dense', '--stride=2', '--limit=1', *networks)
    assert figures['images'] == 1 and figures['stride'] == 2
    assert list(figures['rows'][0]['per_image_miou']) == ['0016E5_07959']
    assert figures['rows'][0]['temporal'] is None


def test_a_file_that_goes_missing_is_named_and_what_was_done_stays(
    networks: list[str], tmp_path: Path, capsys
) -> None:
    folder = layouts.camvid(tmp_path / 'data')
    layouts.write(folder / 'val' / 'labels' / '0016E5_07963.png', np.zeros((3, 4), np.uint8))
    command = ['evaluate', 'camvid', str(folder), '--rows=dense', f'--work={tmp_path / "w"}']
    assert main([*command, *networks]) != 0
    assert '0016E5_07963.png is 4x3' in capsys.readouterr().err
    assert len(list((tmp_path / 'w').rglob('*.npz'))) == 2


@pytest.mark.parametrize(
    ('option', 'reason'),
    [('--rows=sfz', "no row 'sfz'"), ('--boundary-px=0', 'from 1'), ('--boundary-px=a', 'a')],
)
def test_wrong_options_are_named(option, reason, segnet, networks, capsys) -> None:
    try:
        code = main(['evaluate', 'camvid', str(segnet), option, *networks])
    except SystemExit as ended:  # argparse
        code = ended.code
    assert code != 0 and reason in capsys.readouterr().err


def test_the_markdown_has_all_tables(report) -> None:
    text = (report[0] / 'out.md').read_text()
    for heading in ('IoU a class', 'Time and memory', 'Masks against true regions'):
        assert f'### {heading}' in text
    assert '| sfs_soft |' in text and 'mask across a true border' in text
    assert 'Published by others' in text and '70.33' in text


def test_plots_are_written_as_files(report) -> None:
    files = {path.name: path.read_text() for path in (report[0] / 'plots').iterdir()}
    assert set(files) == {
        'iou_a_class.svg',
        'reliability.svg',
        'wrong_pixels_by_distance_from_the_nearest_true_border.svg',
        'miou_against_time.svg',
    }
    assert all(text.startswith('<svg') and '>sfs_soft<' in text for text in files.values())


def test_the_page_shows_itself_in_a_browser(report, browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={'width': 1280, 'height': 900})
    problems: list[str] = []
    page.on('console', lambda message: problems.append(message.text))
    page.on(
        'request',
        lambda request: problems.append(request.url) if 'http' in request.url[:5] else None,
    )
    page.goto((report[0] / 'out.html').as_uri())
    assert not problems  # self-contained
    assert page.locator('table').first.locator('tbody tr').count() == len(ROWS.split(','))
    assert page.locator('.plots svg').count() == 4
    assert 'Published by others' in page.inner_text('.published')
    images = page.locator('.pair img')
    assert images.count() >= 4
    widths = images.evaluate_all('all => all.map(image => image.naturalWidth)')
    assert set(widths) == {layouts.WIDTH}
    assert page.evaluate('() => document.documentElement.scrollWidth') <= 1280
    page.screenshot(path=tmp_path / 'page.png', full_page=True)
    page.close()


def test_rows_that_look_back_start_anew_and_end_the_same(
    segnet: Path, networks: list[str], tmp_path: Path
) -> None:
    options = ['--rows=sfs,sfs_hysteresis', '--set=temporal.hysteresis=0.9', *networks]
    whole = evaluate(segnet, tmp_path, *options)['rows']
    assert whole[0]['mask_reused'] is None and whole[1]['mask_reused'] is None
    files = sorted(next(tmp_path.glob('sfs_hysteresis-*')).glob('*.npz'))
    labels = [scores.load_labels(file) for file in files]
    files[2].unlink()
    again = evaluate(segnet, tmp_path, *options)['rows']
    for file, before in zip(files, labels, strict=True):
        np.testing.assert_array_equal(scores.load_labels(file), before)
    assert [row['miou'] for row in again] == [row['miou'] for row in whole]
    assert [row['temporal'] for row in again] == [row['temporal'] for row in whole]


def test_the_first_image_has_none_before_it(
    segnet: Path, networks: list[str], tmp_path: Path
) -> None:
    options = ['--set=temporal.hysteresis=0.95', '--rows=sfs,sfs_hysteresis', *networks]
    evaluate(segnet, tmp_path, *options)
    plain, held = (
        [scores.load_labels(file) for file in sorted(next(tmp_path.glob(name)).glob('*.npz'))]
        for name in ('sfs-*', 'sfs_hysteresis-*')
    )
    np.testing.assert_array_equal(plain[0], held[0])
    changed = [float((a != b).mean()) for a, b in zip(plain, held, strict=True)]
    assert max(changed[1:]) > 0
