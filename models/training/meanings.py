"""What the labels of CamVid, LabelMeFacade, COCO and people may mean in the dense classes.

Every set speaks only of the classes that it labels. So a pixel's label becomes a *mark*: the set
of classes that it may mean. Mark 0 allows every class and says nothing.
"""

import camvid
import numpy as np
from labelme_facade import COLOURS
from numpy.typing import NDArray

CLASSES = (*camvid.CLASSES, 'bus or truck', 'terrain', 'two-wheeler', 'other')
WEAK = 0.3  # allowance of `b?`: a label may cover b without saying so

# 'a|b': the pixel is a or b. 'a|b?': it is a, or perhaps b, such as a pole before a house.
# 'a|b??': it is hardly ever b. Without the doubt a network is free to call every car a bus.
ANYTHING = '|'.join(CLASSES)
GREEN = 'tree|terrain??'  # of a set whose greenery covers lawns
PERSON = 'pedestrian'
RIDER = 'pedestrian|bicyclist'
HOUSE = 'building|pole?|sign?'
WALL = 'building|fence|other'
OPENING = 'building|other'
CAMVID = {
    **{name: name for name in camvid.CLASSES},
    'tree': GREEN,
    'car': 'car|bus or truck??',
    'bicyclist': 'bicyclist|two-wheeler??',
}
FACADE = {
    'building': HOUSE,
    'door': HOUSE,
    'window': HOUSE,
    'car': 'car|bus or truck??',
    'pavement': 'sidewalk',
    'road': 'road',
    'sky': 'sky|pole?',
    'vegetation': GREEN,
}
COCO = {
    'person': PERSON,
    'car': 'car',
    'bus': 'bus or truck',
    'truck': 'bus or truck',
    'train': 'bus or truck|other',
    'bicycle': 'two-wheeler',
    'motorcycle': 'two-wheeler',
    'traffic light': 'sign',
    'stop sign': 'sign',
    'parking meter': 'pole|other',
    'fire hydrant': 'pole|other',
    'light': 'pole|other',
    'banner': 'sign|building|other',
    'road': 'road',
    'pavement-merged': 'sidewalk',
    'gravel': 'terrain|road|sidewalk',
    'platform': 'sidewalk|other',
    'railroad': 'terrain|other',
    'playingfield': 'terrain|other',
    'grass-merged': 'terrain',
    'dirt-merged': 'terrain',
    'sand': 'terrain',
    'rock-merged': 'terrain|other',
    'mountain-merged': 'terrain|tree|other',
    'snow': 'terrain|other',
    'tree-merged': 'tree',
    'potted plant': 'tree|other',
    'flower': 'tree|terrain|other',
    'sky-other-merged': 'sky',
    'building-other-merged': 'building',
    'house': 'building',
    'roof': 'building',
    'bridge': OPENING,
    'stairs': 'sidewalk|building|other',
    'fence-merged': 'fence',
    'net': 'fence|other',
    'wall-brick': WALL,
    'wall-stone': WALL,
    'wall-other-merged': WALL,
    'wall-tile': WALL,
    'wall-wood': WALL,
    'door-stuff': OPENING,
    'window-other': OPENING,
}  # every other name is 'other'
INDOORS = frozenset(
    {
        'bed',
        'cabinet-merged',
        'ceiling-merged',
        'counter',
        'couch',
        'floor-wood',
        'microwave',
        'oven',
        'refrigerator',
        'rug-merged',
        'shelf',
        'sink',
        'toilet',
        'tv',
    }
)  # where one of these is, walls and windows are no building
MEANINGS = (
    ANYTHING,
    *sorted({*CAMVID.values(), *FACADE.values(), *COCO.values(), RIDER, *CLASSES}),
)
assert set(FACADE) == set(COLOURS)


def mark(meaning: str) -> int:
    """Return the mark of a meaning, such as 'tree|terrain'."""
    return MEANINGS.index(meaning)


def allowances() -> NDArray[np.float32]:
    """Return how far each mark allows each class, in 0..1: (marks, classes)."""
    table = np.zeros((len(MEANINGS), len(CLASSES)), np.float32)
    for row, meaning in zip(table, MEANINGS, strict=True):
        for name in meaning.split('|'):
            row[CLASSES.index(name.rstrip('?'))] = WEAK ** name.count('?')
    return table


def coco_meaning(name: str, present: frozenset[str]) -> str:
    """Return what one of COCO's panoptic names may mean in an image that has these names."""
    meaning = COCO.get(name, 'other')
    if meaning == PERSON and present & {'bicycle', 'motorcycle'}:
        return RIDER
    return 'other' if meaning in (WALL, OPENING) and present & INDOORS else meaning
