"""Write figures as JSON, as Markdown tables and as a plot."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.benchmarking import machine
from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError, reason_of
from semantic_fast_sam_ros.core.networks import weights

Entry = dict[str, Any]
PLOT_SUFFIXES = ('.svg', '.png')


def report(rows: Sequence[Entry], peers: Sequence[Entry], notes: Sequence[str] = ()) -> Entry:
    """Return everything that is written: where it was measured, the rows, the peers."""
    return {
        'machine': machine.machine(),
        'commit': machine.commit(),
        'versions': machine.versions(),
        'load_average': round(os.getloadavg()[0], 1),  # what else ran shows here
        'notes': list(notes),
        'rows': list(rows),
        'peers': list(peers),
    }


def peer(name: str, ours: str, peer_ms: float, ours_ms: float, **facts: Any) -> Entry:
    """Return a comparison: medians of both, and how many times faster ours is."""
    return {
        'peer': name,
        'ours': ours,
        'peer_ms': round(peer_ms, 2),
        'ours_ms': round(ours_ms, 2),
        'ratio': round(peer_ms / ours_ms, 2),
        **facts,
    }


def write_json(path: Path, content: Entry) -> None:
    """Write a report; raises SemanticFastSamError if the file cannot be written."""
    write_text(path, json.dumps(content, indent=1) + '\n')


def write_text(path: Path, text: str) -> None:
    """Write a file and its folder; raises SemanticFastSamError if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise SemanticFastSamError(f'cannot write {path}: {error.strerror}') from error


def read_peers(paths: Sequence[Path]) -> list[Entry]:
    """Return the peers of reports that scripts of benchmarks/ wrote, with where they ran.

    Raises:
        ConfigError: a file is missing or no such report.
    """
    found = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            place = {'machine': content['machine'], 'commit': content['commit']}
            found += [{**entry, **place} for entry in content['peers']]
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = reason_of(error)
            raise ConfigError(f'--peers: {path} is no report of benchmarks/: {why}') from error
    return found


def tables(content: Entry) -> str:
    """Return a report as Markdown."""
    parts = [f'{content["machine"]}; commit {content["commit"] or "unknown"}']
    parts += [_stage_table(row) for row in content['rows']]
    if content['peers']:
        parts.append(_peer_table(content['peers']))
    return '\n\n'.join([*parts, *content['notes']])


def _stage_table(row: Entry) -> str:
    threads = f'{row["threads"]} thread' + ('s' if row['threads'] > 1 else '')
    title = f'{row["size"]}, {row["masks_found"]:.0f} masks, {threads}, {row["profile"]}'
    lines = [f'**{title}**', '', '| stage | median ms | p95 ms | share |', '|---|---|---|---|']
    lines += [
        f'| {name} | {spent:.1f} | {row["stage_p95_ms"][name]:.1f} '
        f'| {100 * row["stage_share"][name]:.0f} % |'
        for name, spent in row['stage_ms'].items()
    ]
    lines.append(f'| whole frame | {row["frame_ms"]:.1f} | {row["frame_p95_ms"]:.1f} | |')
    if row['overhead']:
        lines += [
            '',
            f'overhead: {row["overhead"]:.2f} up to the labels, '
            f'{row["overhead_published"]:.2f} as published ({row["networks_ms"]:.1f} ms networks)',
        ]
    return '\n'.join(lines)


def _peer_table(peers: Sequence[Entry]) -> str:
    lines = ['| peer | ms | ours | ms | ratio |', '|---|---|---|---|---|']
    lines += [
        f'| {p["peer"]} | {p["peer_ms"]:.1f} | {p["ours"]} | {p["ours_ms"]:.1f} '
        f'| {p["ratio"]:.1f} |'
        for p in peers
    ]
    return '\n'.join(lines)


def plot(content: Entry, path: Path) -> None:
    """Draw the stages of every row as stacked bars, SVG or PNG.

    Raises:
        ConfigError: the file's ending is neither.
    """
    check_plot(path)
    weights.silence_libraries()
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = content['rows']
    figure = Figure(figsize=(9, 1.6 + 0.42 * len(rows)), layout='constrained')
    axes = figure.add_subplot()
    names = list(dict.fromkeys(name for row in rows for name in row['stage_ms']))
    colours = colormaps['tab20']
    left = [0.0] * len(rows)
    for number, name in enumerate(names):
        widths = [row['stage_ms'].get(name, 0.0) for row in rows]
        axes.barh(range(len(rows)), widths, left=left, label=name, color=colours(number))
        left = [a + b for a, b in zip(left, widths, strict=True)]
    titles = [f'{r["size"]}, {r["masks_found"]:.0f} masks, {r["threads"]} thr.' for r in rows]
    axes.set_yticks(range(len(rows)), titles)
    axes.invert_yaxis()
    axes.set_xlabel('milliseconds a frame (medians)')
    axes.legend(ncols=5, fontsize=8, loc='lower center', bbox_to_anchor=(0.4, 1.0), frameon=False)
    buffer = io.BytesIO()
    canvas = FigureCanvasSVG if path.suffix == '.svg' else FigureCanvasAgg
    method = 'print_svg' if path.suffix == '.svg' else 'print_png'
    getattr(canvas(figure), method)(buffer, metadata={'Date': None} if 'svg' in method else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def check_plot(path: Path) -> None:
    """Refuse a plot's file of another format than SVG or PNG."""
    if path.suffix not in PLOT_SUFFIXES:
        raise ConfigError(f'--plot writes {" or ".join(PLOT_SUFFIXES)}, not {path.name!r}')
