"""Draw the figures of a report as SVG text."""

import io
from typing import Any

import numpy as np

from semantic_fast_sam_ros.core.networks import weights


def draw(report: dict[str, Any]) -> dict[str, str]:
    """Return title -> SVG."""
    return {
        'IoU a class': _bars(report),
        'Reliability: accuracy by confidence': _reliability(report),
        'Wrong pixels by distance from the nearest true border': _distance(report),
        'mIoU against time': _speed(report),
    }


def _axes(width: float, height: float) -> tuple[Any, Any]:
    weights.silence_libraries()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    return figure, figure.add_subplot()


def _svg(figure: Any) -> str:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    # Letters stay text and names of parts repeat: small files that differ only where they should.
    with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'semantic_fast_sam'}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={'Date': None})
    text = buffer.getvalue()
    svg = text[text.index('<svg') :]
    return '\n'.join(line.rstrip() for line in svg.splitlines()) + '\n'


def _bars(report: dict[str, Any]) -> str:
    figure, axes = _axes(11, 4)
    classes, rows = report['classes'], report['rows']
    shown = np.arange(min(len(classes), 40))
    for i, row in enumerate(rows):
        values = [100 * (row['per_class_iou'][classes[c]] or 0) for c in shown]
        axes.bar(
            shown + (i - len(rows) / 2) * 0.8 / len(rows),
            values,
            0.8 / len(rows),
            label=row['name'],
            align='edge',
        )
    axes.set_xticks(shown, [classes[c] for c in shown], rotation=45, ha='right')
    axes.set_ylabel('IoU, %')
    axes.legend(ncols=4, fontsize=8, loc='upper center', bbox_to_anchor=(0.5, 1.25))
    return _svg(figure)


def _reliability(report: dict[str, Any]) -> str:
    figure, axes = _axes(5, 4)
    axes.plot([0, 1], [0, 1], color='grey', linewidth=0.8)
    for row in report['rows']:
        points = row['reliability']
        axes.plot(
            [p['confidence'] for p in points],
            [p['accuracy'] for p in points],
            marker='.',
            label=row['name'],
        )
    axes.set(xlabel='mean confidence', ylabel='accuracy', xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=7)
    return _svg(figure)


def _distance(report: dict[str, Any]) -> str:
    figure, axes = _axes(5, 4)
    for row in report['rows']:
        bins = row['error_by_distance']
        shares = [100 * b['wrong'] / max(1, b['pixels']) for b in bins]
        axes.plot(range(len(bins)), shares, marker='.', label=row['name'])
    axes.set_xticks(range(len(bins)), [f'{b["from_px"]}+' for b in bins])
    axes.set(xlabel='distance, pixels', ylabel='wrong, %', ylim=(0, None))
    axes.legend(fontsize=7)
    return _svg(figure)


def _speed(report: dict[str, Any]) -> str:
    figure, axes = _axes(5, 4)
    for row in report['rows']:
        x, y = row['stage_ms']['total']['mean'], 100 * row['miou']
        axes.plot(x, y, 'o')
        axes.annotate(row['name'], (x, y), fontsize=7, xytext=(3, 3), textcoords='offset points')
    axes.set(xlabel='ms an image', ylabel='mIoU, %')
    return _svg(figure)


def curves(records: list[dict[str, Any]]) -> str:
    """Draw a sweep: for each value of a setting the best mIoU that the others allow, by mode.

    Args:
        records: from `sweeping.measure`, the dense map alone first.
    """
    dense, trials = records[0], records[1:]
    names = sorted({n for r in trials for n in r['settings']} - {'vote.mode'})
    varied = [n for n in names if len({r['settings'].get(n) for r in trials} - {None}) > 1]
    figure, _ = _axes(3.2 * max(1, len(varied)), 3)
    figure.clear()
    for axes, name in zip(figure.subplots(1, len(varied), squeeze=False)[0], varied, strict=True):
        axes.axhline(100 * dense['miou'], color='grey', linewidth=0.8, label='dense')
        for mode in sorted({r['settings']['vote.mode'] for r in trials}):
            points = _best(trials, mode, name)
            axes.plot(list(points), [100 * v for v in points.values()], marker='.', label=mode)
        axes.set(xlabel=name, ylabel='best mIoU, %')
    figure.axes[0].legend(fontsize=7)
    return _svg(figure)


def _best(trials: list[dict[str, Any]], mode: str, name: str) -> dict[float, float]:
    """Return value of a setting -> best mIoU of the mode's trials with it."""
    found: dict[float, float] = {}
    for trial in trials:
        settings = trial['settings']
        if settings['vote.mode'] == mode and name in settings:
            found[settings[name]] = max(found.get(settings[name], 0.0), trial['miou'])
    return dict(sorted(found.items()))
