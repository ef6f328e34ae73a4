"""How errors of masks and labels become errors of the label map, told from the rows."""

from typing import Any

NEEDED = ('sfs', 'true_labels', 'true_labels_true_rest')


def gaps(report: dict[str, Any]) -> dict[str, dict[str, float]] | None:
    """Split the distance of `sfs` from a perfect mean IoU; None where rows are missing.

    The three parts add up to 1 - IoU of `sfs`: what true names of the same masks would gain
    (negative where a painted majority is worse than the fused pixels), what true labels outside
    all masks would gain on top, and what only better mask shapes could gain.

    Returns:
        'mean' and each class -> {labels, unmasked, shapes}, IoU in [0, 1].
    """
    rows = {row['name']: row for row in report['rows']}
    if any(name not in rows for name in NEEDED):
        return None
    own, named, rest = (rows[name] for name in NEEDED)
    result = {'mean': _parts(own['miou'], named['miou'], rest['miou'])}
    for name in report['classes']:
        values = [row['per_class_iou'][name] for row in (own, named, rest)]
        if all(v is not None for v in values):
            result[name] = _parts(*values)
    return result


def _parts(own: float, named: float, rest: float) -> dict[str, float]:
    return {'labels': named - own, 'unmasked': rest - named, 'shapes': 1 - rest}
