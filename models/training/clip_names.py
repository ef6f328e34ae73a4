"""The names that the small CLIP learns, those it is tested with, and what labels leave open.

A *concept* is what one label of a data set shows; sets that label the same thing share it. It is
called as COCO panoptic calls it, where that knows it.
"""

from camvid import CLASSES as CAMVID_CLASSES
from labelme_facade import COLOURS

from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

# Every name of a concept is drawn equally often. CamVid's name, where it has one, stands first.
ROAD = {
    'sky': ('sky', 'clouds', 'cloudy sky', 'blue sky', 'grey sky', 'overcast sky', 'air'),
    'building': (
        'building',
        'facade',
        'apartment block',
        'architecture',
        'office building',
        'shop',
        'church',
        'home',
    ),
    'pole': ('pole', 'column', 'pillar', 'utility pole', 'mast', 'street light', 'flagpole'),
    'road': ('road', 'roadway', 'asphalt', 'tarmac', 'lane', 'carriageway', 'road surface'),
    'pavement': (
        'sidewalk',
        'walkway',
        'kerb',
        'curb',
        'pedestrian path',
        'side of the road for walking',
        'paved path',
    ),
    'tree': ('tree', 'bush', 'shrub', 'hedge', 'leaves', 'branches', 'forest', 'oak'),
    'sign': ('sign', 'street sign', 'road sign', 'signboard', 'notice', 'billboard'),
    'fence': ('fence', 'guard rail', 'picket fence', 'gate', 'fencing', 'wire fence', 'bars'),
    'car': ('car', 'sedan', 'van', 'taxi', 'suv', 'parked car', 'motorcar'),
    'person': ('pedestrian', 'walker', 'man', 'woman', 'child', 'human', 'people on foot'),
    'bicyclist': ('bicyclist', 'bicycle rider', 'bike rider', 'rider'),
}
# COCO's concepts that have more names than its vocabulary file says.
THINGS = {
    'airplane': ('airplane', 'jet', 'airliner'),
    'bear': ('bear', 'brown bear', 'grizzly'),
    'bed': ('bed', 'mattress'),
    'bicycle': ('bicycle', 'bike', 'parked bicycle'),
    'boat': ('boat', 'sailing boat', 'rowing boat'),
    'bottle': ('bottle', 'glass bottle'),
    'bus': ('bus', 'double decker', 'city bus'),
    'cabinet': ('cabinet', 'cupboard', 'drawers'),
    'cat': ('cat', 'tabby cat'),
    'cell phone': ('cell phone', 'mobile phone', 'smartphone'),
    'chair': ('chair', 'stool', 'office chair'),
    'couch': ('couch', 'sofa'),
    'cow': ('cow', 'bull', 'calf'),
    'cup': ('cup', 'coffee cup'),
    'curtain': ('curtain', 'drapes'),
    'dining table': ('dining table', 'kitchen table'),
    'dirt': ('dirt', 'soil', 'bare earth'),
    'dog': ('dog', 'hound', 'terrier'),
    'door': ('door', 'entrance', 'doorway'),
    'floor': ('floor', 'tiled floor', 'carpet floor'),
    'flower': ('flower', 'roses', 'blossoms'),
    'grass': ('grass', 'meadow', 'turf'),
    'handbag': ('handbag', 'bag', 'purse', 'shoulder bag'),
    'horse': ('horse', 'mare', 'stallion'),
    'house': ('house', 'cottage', 'villa'),
    'laptop': ('laptop', 'notebook computer'),
    'light': ('light', 'lamp', 'ceiling light'),
    'motorcycle': ('motorcycle', 'motorbike', 'scooter'),
    'mountain': ('mountain', 'hills', 'mountain range'),
    'potted plant': ('potted plant', 'houseplant'),
    'refrigerator': ('refrigerator', 'freezer'),
    'rock': ('rock', 'stone', 'boulders'),
    'rug': ('rug', 'mat'),
    'sea': ('sea', 'waves', 'salt water'),
    'sheep': ('sheep', 'lamb'),
    'shelf': ('shelf', 'bookcase', 'shelves'),
    'snow': ('snow', 'snowy ground'),
    'stairs': ('stairs', 'staircase', 'steps'),
    'surfboard': ('surfboard', 'surf board'),
    'table': ('table', 'desk', 'coffee table'),
    'tie': ('tie', 'necktie'),
    'train': ('train', 'tram', 'locomotive'),
    'truck': ('truck', 'pickup truck', 'delivery truck'),
    'tv': ('tv', 'television', 'computer screen'),
    'umbrella': ('umbrella', 'parasol'),
    'water': ('water', 'pond', 'lake water'),
    'wall': ('wall', 'white wall', 'room wall'),
    'window': ('window', 'glass pane', 'shop window'),
}
CLOTHES = {  # concept -> names; the first is its own
    'belt': ('belt', 'leather belt'),
    'boots': ('boots', 'ankle boots'),
    'coat': ('coat', 'winter coat', 'raincoat'),
    'dress': ('dress', 'gown', 'summer dress'),
    'hair': ('hair', 'long hair', 'haircut'),
    'hat': ('hat', 'cap', 'beanie'),
    'jacket': ('jacket', 'blazer', 'cardigan'),
    'jeans': ('jeans', 'blue jeans'),
    'pants': ('pants', 'trousers', 'leggings'),
    'scarf': ('scarf', 'shawl'),
    'shirt': ('shirt', 'blouse', 't-shirt'),
    'shoes': ('shoes', 'sneakers', 'sandals', 'high heels'),
    'shorts': ('shorts', 'short pants'),
    'skin': ('skin', 'face', 'arm', 'leg'),
    'skirt': ('skirt', 'mini skirt'),
    'socks': ('socks', 'stockings'),
    'suit': ('suit', 'business suit'),
    'sunglasses': ('sunglasses', 'glasses'),
    'sweater': ('sweater', 'jumper', 'hoodie'),
    'vest': ('vest', 'waistcoat'),
}
CAMVID = {
    name: {'sidewalk': 'pavement', 'pedestrian': 'person'}.get(name, name)
    for name in CAMVID_CLASSES
}
FACADE = {name: {'vegetation': 'tree'}.get(name, name) for name in COLOURS}
# Clothing Co-Parsing's numbers, as its label_list.mat has them, without what is rare or hidden.
CLOTHING = {
    'handbag': (2, 33),
    'belt': (3,),
    'shirt': (5, 38, 51, 54),
    'boots': (7,),
    'jacket': (4, 11, 24),
    'coat': (13,),
    'dress': (14,),
    'shoes': (16, 21, 28, 32, 36, 39, 43, 58),
    'hair': (19,),
    'hat': (20,),
    'jeans': (25,),
    'sweater': (22, 26, 48, 49),
    'pants': (27, 31),
    'scarf': (37,),
    'shorts': (40,),
    'skin': (41,),
    'skirt': (42,),
    'socks': (44, 45),
    'suit': (46,),
    'sunglasses': (17, 47),
    'tie': (52,),
    'vest': (55,),
}
COCO_VOCABULARY = resolve('coco_panoptic')
COCO = COCO_VOCABULARY.names
# As its owners call them, such as wall-other-merged.
COCO_NAMES = {own: c.name for c in COCO_VOCABULARY.classes for own in c.names}
NAMES = {name: (name.replace('-', ' '),) for name in COCO} | THINGS | CLOTHES | ROAD
CONCEPTS = tuple(NAMES)
WALLS = ('wall', 'wall-brick', 'wall-stone', 'wall-wood', 'house', 'roof', 'window', 'door')
GREENS = ('grass', 'flower', 'potted plant')
# What a label may cover without saying so: no wrong answer there. The same for each set.
LEFT_OPEN: dict[str, tuple[str, ...]] = {
    'building': (*WALLS, 'bridge', 'stairs'),
    'tree': GREENS,
    'car': ('bus', 'truck'),
    'bicyclist': ('person', 'bicycle', 'motorcycle'),
    'person': ('bicyclist', *CLOTHES, 'handbag', 'backpack'),
    'sign': ('traffic light', 'stop sign', 'banner'),
    'stop sign': ('sign',),
    'banner': ('sign',),
    'fence': ('net', 'wall'),
    'pole': ('light',),
    'house': ('building', *WALLS),
    'wall': WALLS,
    'table': ('dining table',),
    'dining table': ('table',),
    'coat': ('jacket',),
    'jacket': ('coat', 'suit'),
    'jeans': ('pants',),
    'boots': ('shoes',),
}
# Names that no image was ever paired with. Of CamVid's classes two each, of the rest one.
HELD_OUT_NAMES = {
    'sky': ('skies', 'heavens'),
    'building': ('tower block', 'skyscraper'),
    'pole': ('post', 'lamp post'),
    'road': ('street', 'highway'),
    'sidewalk': ('footway', 'footpath'),
    'tree': ('vegetation', 'foliage'),
    'sign': ('traffic sign', 'signpost'),
    'fence': ('railing', 'barrier'),
    'car': ('automobile', 'vehicle'),
    'pedestrian': ('bystander', 'passer-by'),
    'bicyclist': ('cyclist', 'biker'),
}
MORE_HELD_OUT = {
    'airplane': 'plane',
    'bed': 'cot',
    'boat': 'ship',
    'bus': 'coach',
    'cat': 'kitten',
    'cell phone': 'telephone',
    'chair': 'armchair',
    'couch': 'settee',
    'cow': 'cattle',
    'cup': 'mug',
    'dirt': 'mud',
    'dog': 'puppy',
    'flower': 'bouquet',
    'grass': 'lawn',
    'horse': 'pony',
    'motorcycle': 'moped',
    'mountain': 'peak',
    'refrigerator': 'fridge',
    'rug': 'carpet',
    'sea': 'ocean',
    'stairs': 'stairway',
    'truck': 'lorry',
    'tv': 'monitor',
    'umbrella': 'brolly',
    'water': 'lake',
    'window': 'windowpane',
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
    'a {} in the room.',
)
