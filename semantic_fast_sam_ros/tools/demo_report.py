"""The demo's results: report.json, overlay PNGs, and one page that needs nothing else."""

import base64
import html
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.tools.demo_observer import DemoObserver

PLOT_SIZE = (760, 180)
NO_STAGES = ('wait', 'frame', 'age')


def write_report(
    output: Path, observer: DemoObserver, published: int, config: Config
) -> dict[str, Any]:
    """Write everything into a folder and return the report's content."""
    report = build_report(observer, published, config)
    (output / 'report.json').write_text(json.dumps(report, indent=2) + '\n')
    for old in output.glob('overlay_*.png'):
        old.unlink()
    for index, image in enumerate(observer.overlays):
        cv2.imwrite(str(output / f'overlay_{index:02d}.png'), image[..., ::-1])
    page = build_page(report, observer.overlays, observer.latencies_ms, colours(config, observer))
    (output / 'index.html').write_text(page, encoding='utf-8')
    return report


def build_report(observer: DemoObserver, published: int, config: Config) -> dict[str, Any]:
    """Return the figures: counts from the node's diagnostics, latency as the observer saw it."""
    values = observer.values
    stages = {
        key.removesuffix('_ms_p50'): float(value)
        for key, value in values.items()
        if key.endswith('_ms_p50') and key.removesuffix('_ms_p50') not in NO_STAGES
    }
    return {
        'frames_published': published,
        'frames_received': int(values.get('frames_received', 0)),
        'frames_processed': int(values.get('frames_processed', 0)),
        'frames_dropped': int(values.get('frames_dropped', 0)),
        'frames_refused': int(values.get('frames_refused', 0)),
        'frames_failed': int(values.get('frames_failed', 0)),
        'rate_hz': round(observer.rate_hz(), 2),
        'latency_ms': {
            'p50': round(float(np.percentile(observer.latencies_ms, 50)), 1),
            'p95': round(float(np.percentile(observer.latencies_ms, 95)), 1),
        },
        'stage_ms': stages,
        'classes': {name: round(share, 4) for name, share in observer.class_shares().items()},
        'models': {'masks': config.masks.model, 'labeller': values.get('labeller', '')},
        'device': values.get('device', ''),
    }


def colours(config: Config, observer: DemoObserver) -> dict[str, str]:
    """Return each class's colour as CSS, as the node draws it."""
    named = vocabulary_files.resolve(config.vocabulary) if config.vocabulary.strip() else None
    found = {}
    for class_id, name in observer.names.items():
        known = named.find(name) if named else None
        colour = known.renumbered(class_id).colour if known else vocabularies.colour_of(class_id)
        found[name] = 'rgb({},{},{})'.format(*colour)
    return found


def build_page(
    report: dict[str, Any],
    overlays: list[NDArray[np.uint8]],
    latencies_ms: list[float],
    class_colours: dict[str, str],
) -> str:
    """Return the page: overlays, legend, figures, latency plot; no other file is needed."""
    legend = ''.join(
        f'<li><i style="background:{class_colours.get(name, "#888")}"></i>{html.escape(name)}'
        f'<b>{100 * share:.1f} %</b></li>'
        for name, share in report['classes'].items()
    )
    images = ''.join(f'<img alt="overlay" src="{_data_url(image)}">' for image in overlays)
    stages = ''.join(
        f'<tr><td>{html.escape(name)}</td><td>{value:.1f} ms</td></tr>'
        for name, value in report['stage_ms'].items()
    )
    facts = ''.join(
        f'<tr><td>{label}</td><td>{html.escape(str(value))}</td></tr>'
        for label, value in _facts(report)
    )
    return _PAGE.format(
        images=images, legend=legend, stages=stages, facts=facts, plot=latency_plot(latencies_ms)
    )


def latency_plot(latencies_ms: list[float]) -> str:
    """Return an SVG of latency over frames, with the median as a dashed line, and the largest."""
    width, height = PLOT_SIZE
    largest = max(latencies_ms)
    top = largest * 1.1
    xs = np.linspace(40, width - 10, max(2, len(latencies_ms)))
    points = ' '.join(
        f'{x:.1f},{height - 20 - (height - 30) * y / top:.1f}'
        for x, y in zip(xs, latencies_ms, strict=False)
    )
    median = float(np.median(latencies_ms))
    line, highest = (height - 20 - (height - 30) * y / top for y in (median, largest))
    # Not into the median's own label.
    peak = f'<text x="2" y="{highest + 4:.1f}">{largest:.0f}</text>' if line > highest + 12 else ''
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="latency over frames">'
        f'<line x1="40" x2="{width - 10}" y1="{height - 20}" y2="{height - 20}" class="axis"/>'
        f'<line x1="40" x2="{width - 10}" y1="{line:.1f}" y2="{line:.1f}" class="median"/>'
        f'<polyline points="{points}"/>'
        f'<text x="2" y="{line + 4:.1f}">{median:.0f}</text>{peak}'
        f'<text x="40" y="{height - 4}">frame 1</text>'
        f'<text x="{width - 10}" y="{height - 4}" text-anchor="end">'
        f'{len(latencies_ms)}</text></svg>'
    )


def _facts(report: dict[str, Any]) -> list[tuple[str, object]]:
    latency = report['latency_ms']
    return [
        ('images published', report['frames_published']),
        ('received by the node', report['frames_received']),
        ('labelled', report['frames_processed']),
        ('dropped for a newer one', report['frames_dropped']),
        ('refused, failed', f'{report["frames_refused"]}, {report["frames_failed"]}'),
        ('rate', f'{report["rate_hz"]:.1f} Hz'),
        ('latency, median / p95', f'{latency["p50"]:.0f} / {latency["p95"]:.0f} ms'),
        ('mask network', report['models']['masks']),
        ('labeller', report['models']['labeller']),
        ('device', report['device']),
    ]


def _data_url(image: NDArray[np.uint8]) -> str:
    _, encoded = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f'data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Semantic-Fast-SAM demo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1200px;
  padding: 0 1rem; color: #1c2430; background: #f6f7f9; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.05rem; margin: 0 0 .5rem; }}
section {{ background: #fff; border-radius: 8px; padding: 1rem; margin: 1rem 0; }}
.images {{ display: grid; gap: 10px;
  grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); }}
.images img {{ width: 100%; border-radius: 4px; display: block; }}
.columns {{ display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }}
ul {{ list-style: none; padding: 0; margin: 0; }} li {{ padding: 2px 0; }}
li i {{ display: inline-block; width: 1.1em; height: 1.1em; border-radius: 3px;
  vertical-align: -2px; margin-right: .5em; }}
li b, td + td {{ float: right; font-weight: 500; }} table {{ width: 100%; }}
svg {{ width: 100%; }} polyline {{ fill: none; stroke: #2a6fdb; stroke-width: 1.5; }}
.axis {{ stroke: #99a; }} .median {{ stroke: #c33; stroke-dasharray: 5 4; }}
text {{ font-size: 11px; fill: #556; }}
</style></head><body>
<h1>Semantic-Fast-SAM: what every pixel is</h1>
<section class="images">{images}</section>
<div class="columns">
<section><h2>Classes, share of all pixels</h2><ul>{legend}</ul></section>
<section><h2>The run</h2><table>{facts}</table></section>
<section><h2>Median time of each stage</h2><table>{stages}</table></section>
</div>
<section><h2>Latency, image stamp to label arrival, ms</h2>{plot}</section>
</body></html>
"""
