"""The small CLIP that ships: small, loadable by plain open_clip, and at home on the road."""

import open_clip
import pytest
import torch
from data_sets import data_set

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import from_names
from semantic_fast_sam_ros.core.settings.vocabulary_files import resolve

FOLDER = resource_folder('models') / 'clip_lite0'


def labeller(names: str) -> ClipLabeller:
    """Return the labeller of the profile, asked with these names."""
    config = load_profile('embedded_open')
    model = load_clip(config.clip, Policy(offline=True), Runtime(torch.device('cpu')))
    return ClipLabeller(model, resolve(names), config)


def test_folder_is_at_most_ten_megabytes() -> None:
    assert sum(file.stat().st_size for file in FOLDER.rglob('*')) <= 10_000_000


def test_plain_open_clip_loads_it() -> None:
    model = open_clip.create_model(f'local-dir:{FOLDER}', require_pretrained=True)
    texts = open_clip.get_tokenizer(f'local-dir:{FOLDER}')(['a photo of a car.'])
    assert torch.isfinite(model.eval().encode_text(texts)).all()


@pytest.mark.parametrize(
    ('name', 'nearest'),
    [('automobile', 'car'), ('foliage', 'tree'), ('street', 'road'), ('cyclist', 'bicyclist')],
)
def test_names_kept_out_of_training_lie_near_their_class(name: str, nearest: str) -> None:
    known = 'sky, building, pole, road, sidewalk, tree, sign, fence, car, pedestrian, bicyclist'
    ours = labeller(known)
    vector = ours.prepare(resolve(name)).weights[:, 0]
    best = int((vector @ ours.prepare(ours.vocabulary).weights).argmax())
    assert ours.vocabulary.names[best] == nearest


def test_real_segments_get_their_names() -> None:
    camvid = data_set('camvid') / 'val'
    import numpy as np

    from semantic_fast_sam_ros.core.masks.types import MaskProposals

    ours, right, total = labeller('sky, road, car, tree, building'), 0, 0
    ids = {0: 1, 3: 2, 8: 3, 5: 4, 1: 5}  # CamVid's to ours
    for path in sorted((camvid / 'images').glob('*.png'))[::25]:
        image = torch.from_numpy(read_image(path)).permute(2, 0, 1)
        label = read_labels(camvid / 'labels' / path.name)
        for class_id, expected in ids.items():
            mask = label == class_id
            if mask.sum() < 1000:
                continue
            y, x = np.nonzero(mask)
            box = torch.tensor([[x.min(), y.min(), x.max() + 1, y.max() + 1]]).float()
            proposals = MaskProposals(torch.from_numpy(mask)[None], box, torch.ones(1))
            with torch.inference_mode():
                right += int(ours.label(image, proposals).class_ids[0, 0]) == expected
            total += 1
    assert total >= 15 and right >= 0.75 * total, f'{right} of {total}'


def test_names_that_are_the_same_as_far_as_it_reads_are_refused() -> None:
    ours = labeller('road, road sign, rail road')
    ours.prepare(ours.vocabulary)
    start = (
        'a long grey wall of old bricks with moss and small plants that grow beside the road in'
    )
    with pytest.raises(ConfigError, match=r'first 24 tokens .* are the same'):
        ours.prepare(from_names([f'{start} a town', f'{start} a village with few houses']))
