"""Make the picture of a frame that a browser asked for, and give classes their colours."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.viewer.frames import Frame

MODES = ('overlay', 'labels', 'confidence', 'instances', 'found')
HEAT_OPACITY = 0.8  # of what surely shows what is looked for
JPEG_QUALITY = 90
Colour = tuple[int, int, int]


def jpeg(frame: Frame, mode: str, colours: Mapping[int, Colour]) -> bytes:
    """Return a frame's picture as JPEG; the overlay comes from the node as it is.

    Args:
        frame: of the node.
        mode: one of MODES.
        colours: RGB of the class ids, for the labels.
    """
    if mode == 'overlay':
        return frame.overlay_jpeg
    picture = _DRAW[mode](frame, colours)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode('.jpg', picture[..., ::-1], quality)[1].tobytes()


def class_colours(names: Mapping[int, str], vocabulary: str, groups: str) -> dict[int, Colour]:
    """Return the RGB colour that the node draws each class in.

    Args:
        names: of the class ids, from the node's label info.
        vocabulary: the node's parameter; a file that only its machine has is passed over.
        groups: the node's parameter.
    """
    known = _vocabulary(vocabulary, groups)
    colours = {}
    for class_id, name in names.items():
        found = known.find(name) if known else None
        # As the node does: ids are never reused, and a generated colour follows the id.
        colours[class_id] = (
            found.renumbered(class_id).colour if found else vocabularies.colour_of(class_id)
        )
    return colours


def _vocabulary(text: str, groups: str) -> vocabularies.Vocabulary | None:
    try:
        known = vocabulary_files.resolve(text)
        if groups.strip():
            known = vocabularies.apply_groups(known, vocabulary_files.read_groups(groups))
        return known
    except ConfigError:
        return None


def _labels(frame: Frame, colours: Mapping[int, Colour]) -> NDArray[np.uint8]:
    table = np.zeros((int(frame.labels.max()) + 1, 3), np.uint8)
    for class_id, colour in colours.items():
        if class_id < len(table):
            table[class_id] = colour
    return np.take(table, frame.labels, axis=0)


def _confidence(frame: Frame, colours: Mapping[int, Colour]) -> NDArray[np.uint8]:
    mapped = cv2.applyColorMap(frame.confidence, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return np.where(frame.labels[..., None] > 0, mapped, 0).astype(np.uint8)


def _instances(frame: Frame, colours: Mapping[int, Colour]) -> NDArray[np.uint8]:
    ids = range(1, int(frame.instances.max()) + 1)
    table = np.array([(0, 0, 0), *(vocabularies.colour_of(i) for i in ids)], np.uint8)
    return np.take(table, frame.instances, axis=0)


def _found(frame: Frame, colours: Mapping[int, Colour]) -> NDArray[np.uint8]:
    """Return the picture in grey, what is looked for in glowing colours."""
    encoded = np.frombuffer(frame.overlay_jpeg, np.uint8)
    grey = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2RGB)
    if frame.heat is None:
        return np.asarray(grey, np.uint8)
    glowing = cv2.applyColorMap(frame.heat, cv2.COLORMAP_INFERNO)[..., ::-1]
    share = HEAT_OPACITY * frame.heat[..., None] / 255
    return np.asarray((1 - share) * grey + share * glowing, np.uint8)


_DRAW = {
    'labels': _labels,
    'confidence': _confidence,
    'instances': _instances,
    'found': _found,
}
