"""Write a report as Markdown tables."""

from collections.abc import Iterable
from typing import Any

from semantic_fast_sam_ros.evaluation.propagation import CAUSES
from semantic_fast_sam_ros.evaluation.published import NOTE, PUBLISHED

Table = tuple[list[str], list[list[str]]]
ABOUT_CAUSES = {
    'labels': 'wrong name in the right mask',
    'shapes': 'mask across a true border',
    'unmasked': 'pixel in no mask',
}
GAP_NOTE = (
    'Every wrong pixel has one cause: it is in no mask; or its topmost mask is mostly of another '
    'true class; or the mask is rightly its own and the name is wrong. The table tells how much '
    'IoU putting these pixels right would win.'
)


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in per cent; a dash where there is none."""
    return '-' if value is None else f'{100 * value:.{digits}f}'


def main_table(report: dict[str, Any]) -> Table:
    """Return head and lines of the table of rows."""
    pixels = [str(p) for p in report['boundary_pixels']]
    head = ['row', 'mIoU', '95 %', 'pixel acc.', 'fw IoU', *(f'F {p} px' for p in pixels)]
    head += ['boundary IoU', 'ECE', 'temporal', 'ms']
    return head, [_main_line(row, pixels) for row in report['rows']]


def _main_line(row: dict[str, Any], pixels: list[str]) -> list[str]:
    return [
        row['name'],
        percent(row['miou'], 2),
        '-'.join(percent(v) for v in row['miou_interval']),
        percent(row['pixel_accuracy']),
        percent(row['frequency_weighted_iou']),
        *(percent(row['boundary_f'][p]) for p in pixels),
        percent(row['boundary_iou']),
        percent(row['ece']),
        percent(row['temporal']),
        milliseconds(row['stage_ms']['total'], 0),
    ]


def milliseconds(time: dict[str, float | None] | None, digits: int = 1) -> str:
    """Write mean ± standard deviation over the runs; the mean alone of a single run."""
    if time is None:
        return '-'
    spread = '' if time['std'] is None else f' ± {time["std"]:.{digits}f}'
    return f'{time["mean"]:.{digits}f}{spread}'


def mask_table(report: dict[str, Any]) -> Table | None:
    """Return head and lines of the quality of the masks, None where no row has any."""
    rows = [row for row in report['rows'] if row['mask_ar']]
    lines = [
        [
            row['name'],
            *(percent(v) for v in row['mask_ar'].values()),
            *(percent(v) for v in row['mask_recall'].values()),
            percent(row['mask_ap']),
            f'{row["mask_count"]:.1f}',
            percent(row['mask_coverage']),
            percent(row['mask_reused']),
        ]
        for row in rows
    ]
    head = ['row', 'AR@10', 'AR@100', 'AR@300', 'R@0.5', 'R@0.75', 'AP', 'masks an image']
    head += ['pixels covered', 'names reused']
    return (head, lines) if rows else None


def class_table(report: dict[str, Any]) -> Table:
    """Return head and lines of the IoU a class."""
    head = ['row', *report['classes']]
    return head, [
        [row['name'], *(percent(v) for v in row['per_class_iou'].values())]
        for row in report['rows']
    ]


def time_table(report: dict[str, Any]) -> Table:
    """Return head and lines of the milliseconds a stage."""
    stages = ['masks', 'dense', 'labels', 'total']
    lines = [
        [
            row['name'],
            *(milliseconds(row['stage_ms'].get(s)) for s in stages),
            f'{row["frames_per_second"]:.1f}',
            f'{row["peak_memory_mb"]:.0f}',
        ]
        for row in report['rows']
    ]
    return ['row', *(f'{s} ms' for s in stages), 'images/s', 'peak MB, all rows'], lines


def gap_table(report: dict[str, Any]) -> Table | None:
    """Return head and lines of the error propagation, None where no row has masks."""
    lines = [
        [
            f'{row["name"]}: {ABOUT_CAUSES[cause]}',
            *map(_gain, row['error_propagation'][cause].values()),
        ]
        for row in report['rows']
        if row['error_propagation']
        for cause in CAUSES
    ]
    return (['IoU won if cured', 'mIoU', *report['classes']], lines) if lines else None


def _gain(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:+.1f}'


def distance_table(report: dict[str, Any]) -> Table:
    """Return head and lines of the share of wrong pixels by distance from a true border."""
    edges = [b['from_px'] for b in report['rows'][0]['error_by_distance']]
    names = [f'{a}-{b} px' for a, b in zip(edges, [*edges[1:], ''], strict=True)]
    lines = [
        [row['name'], *(percent(b['wrong'] / max(1, b['pixels'])) for b in _bins(row))]
        for row in report['rows']
    ]
    return ['wrong pixels, %', *names], lines


def published_table() -> Table:
    """Return head and lines of the figures of others."""
    return ['published', 'data', 'mIoU', 'time an image'], [list(line) for line in PUBLISHED]


def write_regions(report: dict[str, Any]) -> str:
    """Return the report of regions without names."""
    masks = mask_table(report)
    assert masks is not None
    rows = report['rows']
    sizes = list(rows[0]['regions'])
    lines = [
        [
            row['name'],
            *(f'{percent(row["mask_ar_by_size"][s])} of {row["regions"][s]}' for s in sizes),
            f'{row["mask_ms"]:.1f}',
        ]
        for row in rows
    ]
    stride = f' (every {report["stride"]}th)' if report['stride'] > 1 else ''
    parts = [
        f'{report["dataset"]}, split {report["split"]}, {report["images"]} images{stride}, '
        f'{rows[0]["annotations"]} annotations; {report["torch_threads"]} threads. Per cent where '
        'no unit stands.',
        pipes(masks),
        'AR@100 by size of the regions (small: below 32² pixels, large: from 96²):',
        pipes((['row', *sizes, 'ms'], lines)),
    ]
    return '\n\n'.join(parts) + '\n'


def write(report: dict[str, Any]) -> str:
    """Return the whole report."""
    parts = [
        summary(report),
        pipes(main_table(report)),
        '\n'.join(f'- `{row["name"]}`: {row["about"]}' for row in report['rows']),
        *(
            f'Classes of {names}:\n\n```\n{text}```'
            for names, text in report['class_mapping'].items()
        ),
        '### IoU a class',
        pipes(class_table(report)),
        '### Time and memory',
        pipes(time_table(report)),
    ]
    if (masks := mask_table(report)) is not None:
        parts += ['### Masks against true regions', pipes(masks)]
    if (gap := gap_table(report)) is not None:
        parts += ['### Where the IoU is lost', GAP_NOTE, pipes(gap)]
    parts += ['### Errors by distance from the nearest true border']
    parts += [pipes(distance_table(report)), '### Published figures', NOTE]
    parts += [pipes(published_table()), temporal_note(report)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def summary(report: dict[str, Any]) -> str:
    """Say what was measured, and how."""
    stride = f' (every {report["stride"]}th)' if report['stride'] > 1 else ''
    runs = report['rows'][0]['runs']
    return (
        f'{report["dataset"]}, split {report["split"]}, {report["images"]} images{stride} of '
        f'{len(report["sequences"])} sequence(s); {report["torch_threads"]} threads, each stage '
        f'timed {runs} time(s). Per cent where no unit stands. F: boundary F-score.'
    )


def temporal_note(report: dict[str, Any]) -> str:
    """Say how far true labels agree along the same flow."""
    if report['temporal_truth'] is None:
        return ''
    stride = f', every {report["stride"]}th frame taken' if report['stride'] > 1 else ''
    return (
        f'Temporal agreement over {report["frame_pairs"]} pairs of frames that follow each other'
        f'{stride}; the true labels themselves agree on {percent(report["temporal_truth"])} %.'
    )


def _bins(row: dict[str, Any]) -> list[dict[str, int]]:
    bins: list[dict[str, int]] = row['error_by_distance']
    return bins


def pipes(table: Table) -> str:
    """Return a table as Markdown."""

    def line(cells: Iterable[str]) -> str:
        return f'| {" | ".join(cells)} |'

    head, lines = table
    return '\n'.join([line(head), line(['---'] * len(head)), *map(line, lines)])
