"""The names of the CamVid classes that the small CLIP learns, and those it is tested with."""

# Every name is drawn equally often. The class name itself stands first.
TRAINING_NAMES = {
    'sky': ('sky', 'clouds', 'cloudy sky', 'blue sky', 'grey sky', 'overcast sky', 'air'),
    'building': (
        'building',
        'wall',
        'facade',
        'apartment block',
        'architecture',
        'office building',
        'shop',
        'church',
        'brick wall',
        'home',
    ),
    'pole': ('pole', 'column', 'pillar', 'utility pole', 'mast', 'street light', 'flagpole'),
    'road': ('road', 'roadway', 'asphalt', 'tarmac', 'lane', 'carriageway', 'road surface'),
    'sidewalk': (
        'sidewalk',
        'walkway',
        'kerb',
        'curb',
        'pedestrian path',
        'side of the road for walking',
        'paved path',
    ),
    'tree': ('tree', 'bush', 'shrub', 'plant', 'hedge', 'leaves', 'branches', 'forest', 'oak'),
    'sign': ('sign', 'street sign', 'road sign', 'signboard', 'stop sign', 'notice', 'billboard'),
    'fence': ('fence', 'guard rail', 'picket fence', 'gate', 'fencing', 'wire fence', 'bars'),
    'car': ('car', 'sedan', 'truck', 'van', 'taxi', 'suv', 'bus', 'parked car', 'motorcar'),
    'pedestrian': ('pedestrian', 'walker', 'man', 'woman', 'child', 'human', 'people on foot'),
    'bicyclist': ('bicyclist', 'bicycle rider', 'bike rider', 'rider', 'bicycle', 'bike'),
}
# Two names a class that no image was ever paired with: what the second accuracy is asked with.
HELD_OUT_NAMES = {
    'sky': ('skies', 'heavens'),
    'building': ('house', 'skyscraper'),
    'pole': ('post', 'lamp post'),
    'road': ('street', 'highway'),
    'sidewalk': ('pavement', 'footpath'),
    'tree': ('vegetation', 'foliage'),
    'sign': ('traffic sign', 'signpost'),
    'fence': ('railing', 'barrier'),
    'car': ('automobile', 'vehicle'),
    'pedestrian': ('person', 'passer-by'),
    'bicyclist': ('cyclist', 'biker'),
}
TRAINING_TEMPLATES = (
    '{}',
    'a {}',
    'the {}',
    'a photo of a {}.',
    'a photo of the {}.',
    'a cropped photo of a {}.',
    'a blurry photo of a {}.',
    'a low resolution photo of the {}.',
    'there is a {} in the scene.',
    'a {} in the street.',
)
