"""The CLIP labeller against the plain use of open_clip: one crop, one text, its own transform."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from tiny_clip import SIDE, write_clip
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import CROP_BATCH, load_clip
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.models import ClipSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

CPU = torch.device('cpu')
NAMES = 'road, car | vehicle | automobile, traffic light, dog'
# Crops of exactly the model's size, so that the two ways of resizing do not enter.
PLAIN = {'clip.scales': '1', 'clip.fill': 'none', 'vote.hypotheses': 4, 'clip.batch': 2}


def labeller(clip_path: Path, names: str = NAMES, **settings: object) -> ClipLabeller:
    """Return the labeller on the tiny model; settings by name, dots as double underscores."""
    changed = {name.replace('__', '.'): value for name, value in settings.items()}
    config = from_values({'labeller': 'clip', 'clip.model': str(clip_path), **PLAIN, **changed})
    model = load_clip(config.clip, Policy(offline=True), Runtime(CPU))
    return ClipLabeller(model, parse_list(names), config)


def scene() -> tuple[Tensor, MaskProposals]:
    """Return an image (3, 48, 80) and three masks whose boxes are as large as the tiny model's."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randint(0, 256, (3, 48, 80), dtype=torch.uint8, generator=generator)
    corners = [(0, 0), (40, 10), (48, 16)]
    masks = torch.zeros((3, 48, 80), dtype=torch.bool)
    for mask, (x, y) in zip(masks, corners, strict=True):
        mask[y : y + SIDE, x : x + SIDE] = True
    boxes = torch.tensor([[x, y, x + SIDE, y + SIDE] for x, y in corners], dtype=torch.float32)
    return image, MaskProposals(masks, boxes, torch.tensor([0.9, 0.8, 0.7]))


def plainly(folder: Path, crop: Tensor, vocabulary: Vocabulary, templates: tuple[str, ...]) -> Any:
    """Return the class shares of one crop as open_clip's documentation computes them."""
    place = f'local-dir:{folder}'
    model, _, transform = open_clip.create_model_and_transforms(place)
    tokenizer = open_clip.get_tokenizer(place)
    picture = Image.fromarray(crop.permute(1, 2, 0).numpy())
    columns = []
    with torch.no_grad():
        for c in vocabulary.classes:
            texts = [
                model.encode_text(tokenizer([t.format(name)]), normalize=True)
                for name in c.names
                for t in templates
            ]
            mean = torch.cat(texts).mean(0)
            columns.append(mean / mean.norm())
        features = model.eval().encode_image(transform(picture)[None], normalize=True)
        return (model.logit_scale.exp() * features @ torch.stack(columns, 1)).softmax(1)[0]


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
@pytest.mark.parametrize('crops', [1, CROP_BATCH, CROP_BATCH + 3])
def test_vectors_of_any_number_of_crops_are_those_of_torch(
    backend: str, crops: int, clip_path: Path
) -> None:
    pytest.importorskip(backend, reason=f'{backend} is not installed')
    settings, policy = ClipSettings(model=str(clip_path)), Policy(offline=True)
    there = load_clip(settings, policy, Runtime(CPU, backend=backend))
    pixels = 255 * torch.rand((crops, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = load_clip(settings, policy, Runtime(CPU)).encode_crops(pixels)
        torch.testing.assert_close(there.encode_crops(pixels), expected, rtol=0, atol=1e-5)


def test_names_are_checked_without_waiting_for_a_tokenizer_that_is_not_loaded(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('openvino', reason='openvino is not installed')
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path))
    config = from_values({'labeller': 'clip', 'clip.model': str(clip_path), **PLAIN})
    policy, runtime = Policy(offline=True), Runtime(CPU, backend='openvino')
    long = 'a name of very many words ' * 20
    alike = parse_list(f'{long} one, {long} two')
    for reads_at_once in (True, False):
        model = load_clip(config.clip, policy, runtime)
        ours = ClipLabeller(model, parse_list(NAMES), config)
        assert model.reads_at_once == reads_at_once
        if reads_at_once:
            with pytest.raises(ConfigError, match='make them shorter'):
                ours.check(alike)
        else:
            ours.check(alike)
            assert not model.reads_at_once
        with pytest.raises(ConfigError, match='make them shorter'):
            ours.prepare(alike)


def test_scores_are_those_of_the_library_one_by_one(clip_path: Path) -> None:
    image, proposals = scene()
    ours = labeller(clip_path)
    with torch.inference_mode():
        labels = ours.label(image, proposals)
    assert len({tuple(row) for row in labels.class_ids.tolist()}) > 1  # the crops do differ
    for i, (x1, y1, x2, y2) in enumerate(proposals.boxes.int().tolist()):
        shares = plainly(clip_path, image[:, y1:y2, x1:x2], ours.vocabulary, TEMPLATES['photo'])
        expected, order = shares.sort(descending=True)
        assert torch.allclose(labels.scores[i], expected, atol=1e-4)
        assert labels.class_ids[i].tolist() == [ours.vocabulary.classes[k].id for k in order]


def test_resized_crop_means_what_the_library_makes_of_it(clip_path: Path) -> None:
    ramp = np.linspace(0, 255, 96)
    picture = np.stack(
        [np.tile(ramp, (64, 1)), np.tile(ramp[:64, None], 96), np.full((64, 96), 90)]
    )
    image = torch.from_numpy(picture.astype(np.uint8))
    masks = torch.ones((1, 64, 96), dtype=torch.bool)
    proposals = MaskProposals(masks, torch.tensor([[20.0, 0, 84, 64]]), torch.ones(1))
    ours = labeller(clip_path)
    with torch.inference_mode():
        scores = ours.label(image, proposals).scores[0]
    shares = plainly(clip_path, image[:, :, 20:84], ours.vocabulary, TEMPLATES['photo'])
    assert torch.allclose(scores, shares.sort(descending=True).values, atol=0.02)


def test_classifier_is_open_clips_own_where_classes_have_one_name(clip_path: Path) -> None:
    ours = labeller(clip_path, 'road, car, dog', clip__templates='many')
    place = f'local-dir:{clip_path}'
    expected = open_clip.build_zero_shot_classifier(
        open_clip.create_model(place).eval(),
        open_clip.get_tokenizer(place),
        ['road', 'car', 'dog'],
        TEMPLATES['many'],
    )
    weights = ours.prepare(ours.vocabulary).weights
    assert torch.allclose(weights, expected, atol=1e-5)


def test_channel_order_is_red_green_blue(clip_path: Path) -> None:
    image, proposals = scene()
    ours = labeller(clip_path)
    with torch.inference_mode():
        right, wrong = (ours.label(i, proposals).scores for i in (image, image.flip(0)))
    assert (right - wrong).abs().max() > 1e-3


def test_chunks_do_not_change_the_scores(clip_path: Path) -> None:
    image, proposals = scene()
    with torch.inference_mode():
        first, second = (
            labeller(clip_path, clip__batch=batch).label(image, proposals).scores
            for batch in (1, 64)
        )
    assert torch.allclose(first, second, atol=1e-5)


def test_several_scales_average_the_vectors(clip_path: Path) -> None:
    image, proposals = scene()
    with torch.inference_mode():
        near, far, both = (
            labeller(clip_path, clip__scales=scales).encode(image, proposals)
            for scales in ('1', '2', '1, 2')
        )
    mean = (near + far) / (near + far).norm(dim=1, keepdim=True)
    assert torch.allclose(both, mean, atol=1e-5) and not torch.allclose(near, far, atol=1e-2)


def test_no_masks_give_no_labels(clip_path: Path) -> None:
    image, proposals = scene()
    labels = labeller(clip_path).label(image, proposals.take(torch.tensor([], dtype=torch.long)))
    assert labels.class_ids.shape == labels.scores.shape == (0, 4)


def test_single_name_is_a_class_and_not_its_letters(clip_path: Path) -> None:
    image, proposals = scene()
    labels = labeller(clip_path, 'car').label(image, proposals)
    assert labels.class_ids.tolist() == [[1]] * 3 and labels.scores.tolist() == [[1.0]] * 3


def test_shipped_hub_names_resolve_to_a_reason_when_offline(tmp_path: Path) -> None:
    for name, reason in (
        ('MobileCLIP2-S0/dfndr2b', 'MobileCLIP2-S0-OpenCLIP'),
        ('ViT-B-32', 'needs a set of weights'),
        ('ViT-B-32/none', 'ViT-B-32/TAG'),
    ):
        config = from_values({'clip.model': name})
        with pytest.raises(ModelError, match=reason):
            load_clip(config.clip, Policy(offline=True), Runtime(CPU))


def test_damaged_and_code_carrying_weights_are_refused(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / 'clip')
    (folder / 'open_clip_model.safetensors').write_bytes(b'nothing')
    with pytest.raises(ModelError, match='cannot load an open_clip'):
        labeller(folder)
    (folder / 'open_clip_model.safetensors').unlink()
    torch.save({'state_dict': Path('code')}, folder / 'open_clip_pytorch_model.bin')
    with pytest.raises(ModelError, match='cannot load an open_clip'):
        labeller(folder)
    (folder / 'open_clip_config.json').write_text(json.dumps({}))
    with pytest.raises(ModelError, match=r'model_cfg'):
        labeller(folder)


def test_checkpoint_file_needs_an_architecture(clip_path: Path, tmp_path: Path) -> None:
    weights = str(clip_path / 'open_clip_model.safetensors')
    for settings, reason in (
        ({'clip.checkpoint': weights}, 'is an open_clip architecture'),
        ({'clip.model': 'ViT-B-32', 'clip.checkpoint': str(tmp_path / 'no.pt')}, 'no file'),
        ({'clip.model': 'ViT-B-32', 'clip.checkpoint': weights}, 'cannot load an open_clip'),
    ):
        with pytest.raises(ModelError, match=reason):
            load_clip(from_values(settings).clip, Policy(), Runtime(CPU))


def test_templates_scales_and_negatives_are_checked(clip_path: Path) -> None:
    for name, value in (('clip.scales', '1, x'), ('clip.scales', '99'), ('clip.templates', 'all')):
        with pytest.raises(ConfigError, match=name):
            from_values({name: value})
    with pytest.raises(ConfigError, match=r'clip\.negatives'):
        labeller(clip_path, clip__negatives='wall,,floor')
    assert Config().clip.negatives == ''
