"""Write a report as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Collection, Iterable
from html import escape
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.evaluation import markdown, plots, scores
from semantic_fast_sam_ros.evaluation.markdown import Table
from semantic_fast_sam_ros.evaluation.published import NOTE
from semantic_fast_sam_ros.evaluation.rows import Row
from semantic_fast_sam_ros.evaluation.run import Plan

SHOWN = 3  # best and worst images
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;
color:#1c2733}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;white-space:nowrap}
th,td{padding:.3rem .6rem;border-bottom:1px solid #d5dce3;text-align:right}
th:first-child,td:first-child{text-align:left}thead th{background:#f0f3f6}
.published{background:#fff7e6;border-left:4px solid #d99100;padding:.4rem 1rem}
figure{margin:1rem 0}figure svg,figure img{max-width:100%;height:auto}
th.words,td.words{text-align:left;white-space:normal;min-width:18rem}
.row{display:flex;flex-wrap:wrap;gap:.5rem;align-items:flex-start}.row img{max-height:17rem}
figcaption{font-size:13px;color:#51606f}.pair{display:flex;flex-wrap:wrap;gap:.5rem}
.plots{display:flex;flex-wrap:wrap;gap:1rem}.key{display:flex;flex-wrap:wrap;gap:.2rem 1rem}
.key i{display:inline-block;width:1em;height:1em;margin-right:.4em;vertical-align:-.15em}
"""


def write(plan: Plan, report: dict[str, Any]) -> str:
    """Return the report's HTML."""
    title = f'{report["dataset"]} {report["split"]}: {report["images"]} images'
    masks, gap = markdown.mask_table(report), markdown.gap_table(report)
    sections = [
        f'<h1>{escape(title)}</h1>',
        f'<p>Measured by <code>python -m semantic_fast_sam_ros evaluate</code>: '
        f'{escape(markdown.summary(report))} {escape(markdown.temporal_note(report))}</p>',
        table(markdown.main_table(report)),
        _list([f'{row["name"]}: {row["about"]}' for row in report['rows']]),
        f'<section class="published"><h2>Published figures</h2><p>{NOTE}</p>',
        table(markdown.published_table()) + '</section>',
        '<h2>IoU a class</h2>' + table(markdown.class_table(report)),
        '<h2>Time and memory</h2>' + table(markdown.time_table(report)),
        '<h2>Masks against true regions</h2>' + table(masks) if masks else '',
        f'<h2>Where the IoU is lost</h2><p>{markdown.GAP_NOTE}</p>' + table(gap) if gap else '',
        '<h2>Errors by distance from the nearest true border</h2>',
        table(markdown.distance_table(report)),
        '<h2>Plots</h2><div class="plots">',
        *(
            f'<figure>{svg}<figcaption>{escape(name)}</figcaption></figure>'
            for name, svg in plots.draw(report).items()
        ),
        '</div>',
        _extremes(plan, report),
        '<h2>Classes of the model, and of the data set</h2>',
        *(
            f'<h3>{escape(names)}</h3><pre>{escape(text)}</pre>'
            for names, text in report['class_mapping'].items()
        ),
    ]
    return page(title, sections)


def page(title: str, sections: Iterable[str]) -> str:
    """Return a page of sections in HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<style>{STYLE}</style></head><body>{"".join(sections)}</body></html>\n'
    )


def table(content: Table, words: Collection[int] = ()) -> str:
    """Return a table as HTML; columns of these numbers hold words, which may go on below."""
    head, lines = content
    kinds = [' class="words"' if column in words else '' for column in range(len(head))]
    top = ''.join(f'<th{k}>{escape(cell)}</th>' for k, cell in zip(kinds, head, strict=True))
    rows = (
        ''.join(f'<td{k}>{escape(cell)}</td>' for k, cell in zip(kinds, line, strict=True))
        for line in lines
    )
    body = ''.join(f'<tr>{row}</tr>' for row in rows)
    whole = f'<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{whole}</div>'


def _list(lines: list[str]) -> str:
    return '<ul>' + ''.join(f'<li>{escape(line)}</li>' for line in lines) + '</ul>'


def _extremes(plan: Plan, report: dict[str, Any]) -> str:
    """Show the best and worst images of `sfs`, or of the first row: overlay and errors."""
    index = next((i for i, r in enumerate(report['rows']) if r['name'] == 'sfs'), 0)
    values = report['rows'][index]['per_image_miou']
    order = sorted((v, name) for name, v in values.items() if v is not None)
    count = min(SHOWN, len(order) // 2) or 1
    parts = []
    for heading, chosen in (('Best', order[::-1][:count]), ('Worst', order[:count])):
        parts.append(f'<h2>{heading} images of {escape(plan.rows[index].name)}</h2>')
        parts += [_pictures(plan, plan.rows[index], name, value) for value, name in chosen]
    return ''.join([*parts, _key(plan)])


def _key(plan: Plan) -> str:
    """Name the colours of the overlays."""
    classes = plan.data_set.vocabulary.classes
    colours = (f'<i style="background:rgb{c.colour}"></i>{escape(c.name)}' for c in classes)
    return f'<p class="key">{"".join(f"<span>{entry}</span>" for entry in colours)}</p>'


def _pictures(plan: Plan, row: Row, name: str, value: float) -> str:
    sample = next(s for s in plan.data_set.samples if s.name == name)
    labels = scores.load_labels(plan.file(row, name))
    image, truth = plan.data_set.read(sample)
    colours = np.array(
        [c.colour for c in plan.data_set.vocabulary.classes] + [(0, 0, 0)], np.uint8
    )
    overlay = cv2.addWeighted(image, 0.45, colours[labels], 0.55, 0)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    errors = (grey * 0.6 + 80).astype(np.uint8)
    errors[(truth != labels) & (truth >= 0)] = (220, 30, 30)
    errors[truth < 0] = (30, 30, 60)
    caption = f'{name}: mIoU {100 * value:.1f}. Left: labels. Right: red = wrong, dark = ignored.'
    return (
        f'<figure><div class="pair">{picture(overlay)}{picture(errors)}</div>'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def picture(image: NDArray[np.uint8]) -> str:
    """Return an image (H, W, 3) RGB as HTML that carries it."""
    done, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'
