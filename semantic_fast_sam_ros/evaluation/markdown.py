"""Write a report as Markdown tables."""

from collections.abc import Iterable
from typing import Any

from semantic_fast_sam_ros.evaluation.propagation import gaps
from semantic_fast_sam_ros.evaluation.published import NOTE, PUBLISHED

Table = tuple[list[str], list[list[str]]]


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in per cent; a dash where there is none."""
    return '-' if value is None else f'{100 * value:.{digits}f}'


def main_table(report: dict[str, Any]) -> Table:
    """Return head and lines of the table of rows."""
    pixels = [str(p) for p in report['boundary_pixels']]
    head = ['row', 'mIoU', '95 %', 'pixel acc.', 'fw IoU', *(f'boundary F {p} px' for p in pixels)]
    head += ['boundary IoU', 'AR 10/100/300', 'AP', 'masks', 'covered', 'ECE', 'temporal', 'ms']
    return head, [_main_line(row, pixels) for row in report['rows']]


def _main_line(row: dict[str, Any], pixels: list[str]) -> list[str]:
    recall, total = row['mask_ar'], row['stage_ms']['total']
    return [
        row['name'],
        percent(row['miou'], 2),
        '-'.join(percent(v) for v in row['miou_interval']),
        percent(row['pixel_accuracy']),
        percent(row['frequency_weighted_iou']),
        *(percent(row['boundary_f'][p]) for p in pixels),
        percent(row['boundary_iou']),
        '/'.join(percent(v) for v in recall.values()) if recall else '-',
        percent(row['mask_ap']),
        f'{row["mask_count"]:.1f}' if recall else '-',
        percent(row['mask_coverage']) if recall else '-',
        percent(row['ece']),
        percent(row['temporal']),
        f'{total["mean"]:.0f} ± {total["std"]:.0f}',
    ]


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
            *(
                f'{t["mean"]:.1f} ± {t["std"]:.1f}' if (t := row['stage_ms'].get(s)) else '-'
                for s in stages
            ),
            f'{row["frames_per_second"]:.1f}',
            f'{row["peak_memory_mb"]:.0f}',
        ]
        for row in report['rows']
    ]
    return ['row', *(f'{s} ms' for s in stages), 'images/s', 'peak MB, all rows'], lines


def gap_table(report: dict[str, Any]) -> Table | None:
    """Return head and lines of the error propagation, None where rows are missing."""
    parts = gaps(report)
    if parts is None:
        return None
    lines = [
        [name, *(f'{100 * v:+.1f}' for v in p.values()), f'{100 * sum(p.values()):.1f}']
        for name, p in parts.items()
    ]
    return ['', 'labels', 'unmasked pixels', 'mask shapes', 'in all'], lines


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


def write(report: dict[str, Any]) -> str:
    """Return the whole report."""
    parts = [
        f'{report["dataset"]}, split {report["split"]}, {report["images"]} images; '
        f'{report["torch_threads"]} threads, {report["rows"][0]["runs"]} runs. All but masks and '
        'ms in per cent.',
        _pipes(main_table(report)),
        '\n'.join(f'- `{row["name"]}`: {row["about"]}' for row in report['rows']),
        '### IoU a class',
        _pipes(class_table(report)),
        '### Time and memory',
        _pipes(time_table(report)),
    ]
    if (gap := gap_table(report)) is not None:
        parts += ['### Where the IoU is lost', _pipes(gap)]
    parts += ['### Errors by distance from the nearest true border']
    parts += [_pipes(distance_table(report)), '### Published figures', NOTE]
    parts += [_pipes(published_table()), temporal_note(report)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def temporal_note(report: dict[str, Any]) -> str:
    """Say how far true labels agree along the same flow."""
    if report['temporal_truth'] is None:
        return ''
    return (
        f'Temporal agreement over {report["frame_pairs"]} pairs of neighbouring frames; the true '
        f'labels themselves agree on {percent(report["temporal_truth"])} %.'
    )


def _bins(row: dict[str, Any]) -> list[dict[str, int]]:
    bins: list[dict[str, int]] = row['error_by_distance']
    return bins


def _pipes(table: Table) -> str:
    def line(cells: Iterable[str]) -> str:
        return f'| {" | ".join(cells)} |'

    head, lines = table
    return '\n'.join([line(head), line(['---'] * len(head)), *map(line, lines)])
