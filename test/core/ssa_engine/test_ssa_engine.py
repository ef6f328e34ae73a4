"""The SSA-engine against plain, unbatched use of transformers and open_clip, mask by mask."""

from collections import Counter
from typing import Any

import open_clip
import pytest
import torch
import transformers
from PIL import Image
from tiny import write_segformer
from tiny_clip import SIDE, write_clip
from tiny_text import write_blip, write_clipseg
from torch import Tensor

pytest.importorskip('textblob', reason='textblob is not installed: run scripts/setup')

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError
from semantic_fast_sam_ros.core.loading import OPEN_LABELLERS
from semantic_fast_sam_ros.core.masks.types import MaskLabels, MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.vocabulary import VocabularyHistory
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list
from semantic_fast_sam_ros.core.ssa_engine.ballot import count_votes, shortlist
from semantic_fast_sam_ros.core.ssa_engine.labeller import SsaEngineLabeller
from semantic_fast_sam_ros.core.ssa_engine.nouns import nouns
from semantic_fast_sam_ros.core.video.name_reuse import ReusingLabeller

pytestmark = pytest.mark.slow

CPU, FP32 = torch.device('cpu'), torch.float32
COCO = ('person', 'road', 'sky-other-merged', 'tree-merged')
ADE20K = ('wall', 'building', 'windowpane', 'grass')


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give tiny checkpoints of all stages, all for crops of one size, as settings."""
    base = tmp_path_factory.mktemp('engine')
    folders = {
        'coco_model': write_segformer(base / 'coco', COCO),
        'ade20k_model': write_segformer(base / 'ade20k', ADE20K),
        'caption_model': write_blip(base / 'blip', SIDE),
        'clip_model': write_clip(base / 'clip'),
        'clipseg_model': write_clipseg(base / 'clipseg', SIDE),
    }
    return {f'ssa_engine.{stage}': str(folder) for stage, folder in folders.items()}


def engine(models: dict[str, str], **settings: object) -> SsaEngineLabeller:
    """Return the labeller; settings by name, dots as double underscores."""
    plain = {
        'labeller': 'ssa_engine',
        # Crops of exactly the models' size, so that the two ways of resizing do not enter.
        'ssa_engine.filter_scale': 1.0,
        'ssa_engine.context_scale': 1.0,
        'ssa_engine.batch': 2,
        'clip.templates': 'none',
    }
    changed = {name.replace('__', '.'): value for name, value in settings.items()}
    config = from_values({**plain, **models, **changed})
    labeller = OPEN_LABELLERS['ssa_engine'](config, Policy(offline=True), Runtime(CPU))
    assert isinstance(labeller, SsaEngineLabeller)
    return labeller


def scene() -> tuple[Tensor, MaskProposals]:
    """Return an image (3, 48, 80) and three masks, round ones in boxes of the models' size."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randint(0, 256, (3, 48, 80), dtype=torch.uint8, generator=generator)
    corners = [(0, 0), (40, 10), (48, 16)]
    masks = torch.zeros((3, 48, 80), dtype=torch.bool)
    steps = torch.arange(SIDE) + 0.5 - SIDE / 2
    disc = steps[:, None] ** 2 + steps**2 <= (SIDE / 2) ** 2
    for mask, (x, y) in zip(masks, corners, strict=True):
        mask[y : y + SIDE, x : x + SIDE] = disc
    boxes = torch.tensor([[x, y, x + SIDE, y + SIDE] for x, y in corners], dtype=torch.float32)
    return image, MaskProposals(masks, boxes, torch.tensor([0.9, 0.8, 0.7]))


@torch.inference_mode()
def label(labeller: SsaEngineLabeller, image: Tensor, proposals: MaskProposals) -> MaskLabels:
    return labeller.label(image, proposals)


def named(labeller: SsaEngineLabeller, labels: MaskLabels) -> list[list[str]]:
    """Return the ranked names of each mask."""
    rows = zip(labels.class_ids.tolist(), labels.scores.tolist(), strict=True)
    return [
        [labeller.vocabulary.name_of(i) for i, score in zip(ids, scores, strict=True) if score]
        for ids, scores in rows
    ]


@torch.inference_mode()
def plainly(
    models: dict[str, str], image: Tensor, mask: Tensor, box: list[int]
) -> dict[str, float]:
    """Return a mask's names and scores in order, by the libraries' own calls."""
    folder = {name.removeprefix('ssa_engine.'): path for name, path in models.items()}
    whole = Image.fromarray(image.permute(1, 2, 0).numpy())
    names = [_top_class(folder[k], whole, mask) for k in ('coco_model', 'ade20k_model')]
    tidy = {'sky-other-merged': 'sky', 'tree-merged': 'tree'}
    names = [tidy.get(name, name) for name in names]
    crop = whole.crop(tuple(box))
    blip = transformers.BlipForConditionalGeneration.from_pretrained(folder['caption_model'])
    processor = transformers.AutoImageProcessor.from_pretrained(folder['caption_model'])
    words = blip.eval().generate(**processor(crop, return_tensors='pt'), max_new_tokens=20)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder['caption_model'])
    names += nouns(tokenizer.decode(words[0], skip_special_tokens=True))
    names = list(dict.fromkeys(names))
    place = f'local-dir:{folder["clip_model"]}'
    clip, _, transform = open_clip.create_model_and_transforms(place)
    texts = clip.encode_text(open_clip.get_tokenizer(place)(names), normalize=True)
    cosines = (clip.eval().encode_image(transform(crop)[None], normalize=True) @ texts.T)[0]
    best = [names[i] for i in cosines.argsort(descending=True)[:3]]
    clipseg = transformers.CLIPSegForImageSegmentation.from_pretrained(folder['clipseg_model'])
    processor = transformers.AutoImageProcessor.from_pretrained(folder['clipseg_model'])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder['clipseg_model'])
    pixels = processor(crop, return_tensors='pt')
    logits = torch.stack(
        [
            clipseg.eval()(**pixels, **tokenizer([n], return_tensors='pt')).logits.view(SIDE, SIDE)
            for n in best
        ]
    )
    inside = mask[box[1] : box[3], box[0] : box[2]]
    votes = Counter(logits.argmax(0)[inside].tolist())
    shares = logits.softmax(0)[:, inside].mean(1)
    order = sorted(range(len(best)), key=lambda k: (-votes[k], k))
    least = float('inf')
    return {best[k]: (least := min(least, float(shares[k]))) for k in order}


def _top_class(folder: str, whole: Image.Image, mask: Tensor) -> str:
    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    output = model(**processor(whole, return_tensors='pt'))
    sizes = [tuple(mask.shape)]
    labels = processor.post_process_semantic_segmentation(output, target_sizes=sizes)[0]
    return str(model.config.id2label[int(labels[mask].bincount().argmax())])


def test_names_and_scores_are_those_of_the_libraries_one_by_one(models: dict[str, str]) -> None:
    image, proposals = scene()
    ours = engine(models)
    labels = label(ours, image, proposals)
    found = named(ours, labels)
    assert len({tuple(row) for row in found}) > 1  # the masks do differ
    for i, box in enumerate(proposals.boxes.int().tolist()):
        expected = plainly(models, image, proposals.masks[i], box)
        assert found[i] == list(expected)
        scores = torch.tensor(list(expected.values()))
        assert torch.allclose(labels.scores[i, : len(scores)], scores, atol=1e-4)


def test_ids_and_order_are_the_same_every_time(models: dict[str, str]) -> None:
    image, proposals = scene()
    first, second = engine(models), engine(models, ssa_engine__batch=16)
    labels, again = label(first, image, proposals), label(second, image, proposals)
    assert torch.equal(labels.class_ids, again.class_ids)
    assert torch.allclose(labels.scores, again.scores, atol=1e-5)
    assert first.vocabulary == second.vocabulary
    assert (labels.scores.diff(dim=1) <= 0).all()


def test_channel_order_is_red_green_blue(models: dict[str, str]) -> None:
    image, proposals = scene()
    right, wrong = (label(engine(models), i, proposals).scores for i in (image, image.flip(0)))
    assert right.shape != wrong.shape or (right - wrong).abs().max() > 1e-3


def test_crops_follow_corners_and_not_sides(models: dict[str, str]) -> None:
    image, proposals = scene()
    ours = engine(models)
    expected = label(ours, image, proposals.take(torch.tensor([2])))
    alone = image.clone()
    alone[:, :16] = alone[:, :, :48] = 0  # all that lies outside of the third box
    got = label(ours, alone, proposals.take(torch.tensor([2])))
    captions = [ours._captions(i, proposals.take(torch.tensor([2]))) for i in (image, alone)]
    assert captions[0] == captions[1]
    common = set(named(ours, expected)[0]) & set(named(ours, got)[0])
    assert common


def test_no_masks_give_no_labels(models: dict[str, str]) -> None:
    image, proposals = scene()
    none = proposals.take(torch.tensor([], dtype=torch.long))
    labels = label(engine(models), image, none)
    assert len(labels.class_ids) == len(labels.scores) == 0


def test_single_candidate_is_a_name_and_not_its_letters() -> None:
    similar = torch.tensor([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5]])
    allowed = torch.tensor([[True, False, False], [True, False, True]])
    ballot = shortlist(similar, allowed, 3)
    assert ballot.index[0, 0] == 0 and ballot.valid.tolist() == [
        [True, False, False],
        [True, True, False],
    ]
    assert ballot.index[1, :2].tolist() == [2, 0]
    hard, soft = count_votes(torch.randn(2, 3, 4, 4), torch.ones(2, 4, 4).bool(), ballot.valid)
    assert hard[0].tolist() == [1, 0, 0] and soft[0].tolist() == [1, 0, 0]


def test_equal_candidates_stay_in_their_order() -> None:
    ballot = shortlist(torch.full((1, 4), 0.5), torch.ones(1, 4).bool(), 3)
    assert ballot.index.tolist() == [[0, 1, 2]]


def test_pixels_outside_the_mask_do_not_vote() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1] = torch.tensor([[1.0, 1], [1, -1]])  # the second name wins three pixels
    inside = torch.tensor([[[False, True], [False, True]]])
    inside[0, 0, 1] = False
    hard, _ = count_votes(logits, inside, torch.ones(1, 2).bool())
    assert hard.tolist() == [[1, 0]]
    nowhere, _ = count_votes(logits, torch.zeros(1, 2, 2).bool(), torch.ones(1, 2).bool())
    assert nowhere.tolist() == [[0.25, 0.75]]


def test_closed_set_names_are_left_where_the_caption_has_none(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, proposals = scene()
    ours = engine(models)
    monkeypatch.setattr(ours, '_captions', lambda image, proposals: [''] * len(proposals))
    names = {name for row in named(ours, label(ours, image, proposals)) for name in row}
    assert names and names <= {'person', 'road', 'sky', 'tree', *ADE20K}


def test_names_asked_for_keep_their_ids_and_take_their_synonyms(models: dict[str, str]) -> None:
    image, proposals = scene()
    free = engine(models)
    found = [row[0] for row in named(free, label(free, image, proposals))]
    ours = engine(models, vocabulary=f'zebra, thing | {found[0]}')
    labels = label(ours, image, proposals)
    assert ours.vocabulary.names[:2] == ('zebra', 'thing')
    assert found[0] not in ours.vocabulary.names
    assert 2 in labels.class_ids[0].tolist()


def test_negatives_come_out_unlabelled(models: dict[str, str]) -> None:
    image, proposals = scene()
    free = engine(models)
    rows = named(free, label(free, image, proposals))
    everything = ', '.join({name: None for row in rows for name in row})
    labels = label(engine(models, clip__negatives=everything), image, proposals)
    assert not labels.class_ids.any()


def test_names_found_get_ids_once_and_keep_them(models: dict[str, str]) -> None:
    image, proposals = scene()
    ours = engine(models)
    ours.bind(VocabularyHistory())
    ours.use(ours.prepare(ours._history.admit(ours.vocabulary)))
    label(ours, image, proposals)
    before = {c.name: c.id for c in ours.vocabulary.classes}
    assert len(before) > 2
    label(ours, image.flip(2), proposals)
    after = {c.name: c.id for c in ours.vocabulary.classes}
    assert before.items() <= after.items() and len(set(after.values())) == len(after)
    ours.use(ours.prepare(ours._history.admit(parse_list('lamp'))))
    assert ours.vocabulary.names == ('lamp',)
    label(ours, image, proposals)
    again = {c.name: c.id for c in ours.vocabulary.classes}
    assert all(after[name] == i for name, i in again.items() if name in after)
    assert again['lamp'] not in after.values()


def test_names_last_while_masks_do(models: dict[str, str], monkeypatch) -> None:
    image, proposals = scene()
    ours = engine(models)
    settings = TemporalSettings(reuse=True)
    first = ReusingLabeller(ours, settings, '', None)
    wanted = label(first, image, proposals)
    again = ReusingLabeller(ours, settings, '', first.memory)
    monkeypatch.setattr(ours, 'label', None)  # not asked again
    found = label(again, image, proposals)
    assert found.class_ids.tolist() == wanted.class_ids.tolist()
    assert again.memory is not None and (again.memory.ages == 1).all()


def test_names_of_an_earlier_run_keep_their_ids(models: dict[str, str]) -> None:
    image, proposals = scene()
    first, second = engine(models), engine(models)
    label(first, image, proposals)
    found = {c.id: c.name for c in first.vocabulary.classes}
    second.remember(found)
    label(second, image.flip(2), proposals)  # meets other names first
    now = {c.id: c.name for c in second.vocabulary.classes}
    assert found.items() <= now.items()
    with pytest.raises(ConfigError, match='twice'):
        engine(models, vocabulary='lamp').remember({1: 'object', 2: 'lamp'})


def test_without_ids_left_masks_get_known_names_and_the_user_is_told(
    models: dict[str, str],
) -> None:
    image, proposals = scene()
    ours = engine(
        models,
        vocabulary=', '.join(f'thing{chr(97 + i // 26)}{chr(97 + i % 26)}' for i in range(254)),
    )
    ours.bind(history := VocabularyHistory())
    history.admit(ours.vocabulary)
    assert ours.notice == ''
    labels = label(ours, image, proposals)
    assert len(ours.vocabulary) == 255 and ours.vocabulary.max_id == 255
    assert 'no id is left' in ours.notice and '255' in ours.notice
    assert (labels.class_ids[:, 0] > 0).all() and labels.class_ids.max() <= 255
    assert (labels.scores[:, 0] > 0).all() and (labels.scores.diff(dim=1) <= 0).all()


def test_minimum_confidence_leaves_masks_unlabelled(models: dict[str, str]) -> None:
    image, proposals = scene()
    labels = label(engine(models, clip__minimum_confidence=1.0), image, proposals)
    sure = labels.scores[:, 0] >= 1
    assert torch.equal(labels.class_ids[:, 0] > 0, sure)


def test_text_vectors_are_kept_and_bounded(
    models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, proposals = scene()
    ours = engine(models)
    calls: list[int] = []
    encode = ours._stages.clip.encode_texts

    def counted(texts: Any) -> Tensor:
        calls.append(len(texts))
        return encode(texts)

    monkeypatch.setattr(ours._stages.clip, 'encode_texts', counted)
    label(ours, image, proposals)
    label(ours, image, proposals)
    assert len(calls) == 1
    monkeypatch.setattr('semantic_fast_sam_ros.core.ssa_engine.labeller.MAX_TEXTS', 3)
    label(ours, image.flip(1), proposals)
    assert len(ours._texts) <= 3 + calls[0] * 2


def test_models_of_a_stage_are_checked(models: dict[str, str]) -> None:
    wrong = {**models, 'ssa_engine.caption_model': models['ssa_engine.clipseg_model']}
    with pytest.raises(ModelError, match='holds a clipseg model'):
        engine(wrong)


@pytest.mark.parametrize(
    ('caption', 'expected'),
    [
        ('a group of people standing in front of a bus', ('person', 'bus')),
        ('a close up of a traffic light on a pole', ('traffic light', 'pole')),
        ('two dogs and a dog on the grass', ('dog', 'grass')),
        ('the sky is blue and cloudy', ('sky',)),
        ('a person wearing black pants', ('person', 'pants')),
        ('', ()),
        ('10 %% & !!', ()),
    ],
)
def test_nouns_of_captions(caption: str, expected: tuple[str, ...]) -> None:
    assert nouns(caption) == expected
