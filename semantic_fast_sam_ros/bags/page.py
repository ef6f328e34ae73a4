"""The summary as one HTML page that needs nothing else: timeline, samples, figures."""

import base64
import html
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

WIDTH, HEIGHT = 960, 220
DAY_NS = 24 * 3600 * 10**9
UNLABELLED = (40, 40, 40)
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; background: #f3f4f6; }
figure { display: inline-block; margin: 0 .8rem .8rem 0; } figure img { max-width: 30rem; }
figcaption { color: #57606a; font-size: .85rem; }
.bad { border-left: 4px solid #c62828; padding-left: .8rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .35rem 0 0; }
.keys span.item { margin-right: 1rem; white-space: nowrap; }
pre { overflow-x: auto; background: #f3f4f6; padding: .8rem; }
"""
HEAD = '<!doctype html><html lang="en"><meta charset="utf-8">'


def page(
    content: dict[str, Any], vocabulary: Vocabulary, samples: Sequence[tuple[int, str, bytes]]
) -> str:
    """Return the page.

    Args:
        content: as summary.json has it.
        vocabulary: for names and colours.
        samples: record time in nanoseconds, topic and JPEG of frames to show.
    """
    title = f'Labels of {content["run"]["input"]}'
    parts = [
        f'{HEAD}<title>{html.escape(title)}</title><style>{STYLE}</style>',
        f'<h1>{html.escape(title)}</h1>',
        _state(content),
        '<h2>Classes over time</h2>'
        if len(content['timeline']['shares']) > 1
        else '<h2>Classes</h2>',
        _timeline(content['timeline'], vocabulary),
        _keys(content['class_shares'], vocabulary),
        '<h2>Samples</h2>',
        *(_sample(*sample) for sample in samples),
        '<h2>Figures</h2>',
        _figures(content),
        '<h2>Settings and models</h2>',
        f'<pre>{html.escape(json.dumps(content["run"], indent=1))}</pre>',
    ]
    return '\n'.join(parts) + '</html>\n'


def _state(content: dict[str, Any]) -> str:
    lines = [f'<p>{content["frames"]} frames labelled.</p>']
    bad = []
    if content['interrupted']:
        bad.append('The run was interrupted; --resume goes on with it.')
    if content['problem']:
        bad.append(f'The run ended early: {content["problem"]}.')
    for loss in content['losses']:
        count = '' if loss['messages'] is None else f' ({loss["messages"]} messages)'
        bad.append(f'Not read: {loss["file"]}: {loss["reason"]}{count}.')
    bad += [f'Note: {note}.' for note in content['notes']]
    for topic, count in content['refused'].items():
        bad.append(f'{count} images of {topic} refused; first: {content["refusals"][topic]}.')
    for topic, count in content['without_boxes'].items():
        reason = content['without_boxes_reasons'][topic]
        bad.append(f'{count} images of {topic} have no boxes in space; first: {reason}.')
    if bad:
        lines.append('<div class="bad">')
        lines += [f'<p>{html.escape(text)}</p>' for text in bad]
        lines.append('</div>')
    return '\n'.join(lines)


def _timeline(timeline: dict[str, Any], vocabulary: Vocabulary) -> str:
    """Return stacked bars: the share of each class in each stretch of time."""
    rows = timeline['shares']
    if not rows:
        return '<p>No frames.</p>'
    bin_s = timeline['bin_s']
    first = rows[0][0]
    span = max(rows[-1][0] - first + bin_s, bin_s)
    bars = []
    for at, *shares in rows:
        left, width = WIDTH * (at - first) / span, WIDTH * bin_s / span
        top = 0.0
        for class_id, share in enumerate(shares):
            if share > 0:
                bars.append(
                    f'<rect x="{left:.1f}" y="{HEIGHT * top:.1f}" width="{width + 0.3:.1f}" '
                    f'height="{HEIGHT * share:.1f}" fill="{_colour(class_id, vocabulary)}"/>'
                )
                top += share
    # Photos have no time: they share one bar.
    axis = f'{span:.1f} s, one bar {bin_s:g} s' if len(rows) > 1 else ''
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="share of each class over time">{"".join(bars)}</svg><p>{axis}</p>'
    )


def _keys(shares: dict[str, float], vocabulary: Vocabulary) -> str:
    items = []
    for class_id, (name, share) in enumerate(shares.items()):
        if share > 0:
            colour = _colour(class_id, vocabulary)
            items.append(
                f'<span class="item"><span class="key" style="background:{colour}"></span>'
                f'{html.escape(name)} {100 * share:.1f} %</span>'
            )
    return f'<p class="keys">{" ".join(items)}</p>'


def _sample(time_ns: int, topic: str, jpeg: bytes) -> str:
    data = base64.b64encode(jpeg).decode()
    return (
        f'<figure><img alt="overlay" src="data:image/jpeg;base64,{data}">'
        f'<figcaption>{_when(time_ns)} {html.escape(topic)}</figcaption></figure>'
    )


def _when(time_ns: int) -> str:
    """Return the moment of a recording, the place in a video, or nothing for a photo."""
    if time_ns < DAY_NS:
        return f'{time_ns / 1e9:.1f} s' if time_ns else ''
    return datetime.fromtimestamp(time_ns / 1e9, timezone.utc).isoformat(timespec='milliseconds')


def _figures(content: dict[str, Any]) -> str:
    rows = [('frames a second', content['frames_a_second']), ('seconds', content['seconds'])]
    rows.append(('masks a frame', content['masks_a_frame']))
    rows += [(f'frames of {topic}', n) for topic, n in content['frames_by_topic'].items()]
    rows.append(('messages copied', content['copied_messages']))
    rows += [(f'{stage}, ms a frame', ms) for stage, ms in content['stage_ms'].items()]
    cells = [f'<tr><td>{html.escape(k)}</td><td class="n">{v}</td></tr>' for k, v in rows]
    return f'<table>{"".join(cells)}</table>'


def _colour(class_id: int, vocabulary: Vocabulary) -> str:
    known = {c.id: c.colour for c in vocabulary.classes}
    return '#{:02x}{:02x}{:02x}'.format(*known.get(class_id, UNLABELLED))
