"""The settings of the networks, and of what is made of their outputs."""

from dataclasses import dataclass, field, replace
from typing import Any

from semantic_fast_sam_ros.core.settings.adaptation import UlTtaSettings
from semantic_fast_sam_ros.core.settings.setting import setting


@dataclass(frozen=True)
class MaskSettings:
    """The mask branch."""

    model: str = setting(
        'fastsam_n.pt',
        'FastSAM or another segmenting YOLO, whose classes count as one: a checkpoint (a file, a '
        'file in models/, or a known name: FastSAM-s.pt, FastSAM-x.pt, yolo26n-seg.pt), or an '
        'exported network: .onnx, OpenVINO .xml, .tflite, or a folder with one',
    )
    image_size: int = setting(
        448,
        'longer side of the image given to FastSAM, pixels',
        minimum=32,
        maximum=4096,
        live=True,
    )
    confidence: float = setting(
        0.15, 'proposals below this score are dropped', minimum=0.0, maximum=1.0, live=True
    )
    iou: float = setting(
        0.7,
        'of two boxes that overlap more than this the better one stays',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_masks: int = setting(
        100, 'at most so many masks an image, best first', minimum=1, maximum=1000, live=True
    )
    names: str = setting(
        'ignore',
        'what a mask network that tells classes apart takes a mask for: ignore, or prior: its '
        "class joins the mask's votes, with the chance that it is right, measured by score, as "
        'weight (labeller closed_set)',
        choices=('ignore', 'prior'),
    )
    retina_masks: bool = setting(
        True,
        "cut masks out at image size (finer edges) instead of at half the network's size",
        live=True,
    )


@dataclass(frozen=True)
class DenseSettings:
    """The dense semantic branch of the closed-set labeller."""

    model: str = setting(
        'dense_lite0',
        'semantic segmenter: a Hugging Face name or folder, an ultralytics -sem .pt checkpoint, '
        'or an exported network: .onnx, OpenVINO .xml, .tflite, or a folder with one',
    )
    backend: str = setting(
        'auto',
        'library that runs the dense model; auto: ultralytics for .pt, else transformers',
        choices=('auto', 'transformers', 'ultralytics'),
    )
    image_size: int = setting(
        0,
        'shorter side of the image given to the dense model, pixels; 0: as its own processor says',
        minimum=0,
        maximum=4096,
    )
    classes: str = setting(
        '',
        "exported networks: the names of the classes in the network's order: a vocabulary file, "
        'its name, or a list; empty: as the file says',
    )
    background: int = setting(
        -1,
        'exported networks: index of a class that means none of the others, which classes leaves '
        'out: its pixels stay unlabelled; -1: there is none',
        minimum=-1,
        maximum=65535,
    )
    output: int = setting(
        -1,
        'exported networks: number of the output that holds the classes, from 0; -1: the one that '
        'has as many channels as there are names, with scores, the finest',
        minimum=-1,
        maximum=255,
    )
    mean: str = setting(
        '',
        'exported networks: mean of red, green, blue, 0-255, that is taken off each pixel, such '
        "as `123.7, 116.3, 103.5`; empty: ImageNet's, or none where the file says how",
    )
    std: str = setting('', 'exported networks: what is divided by then, 0-255; empty: likewise')
    channels: str = setting(
        'rgb', 'exported networks: order of the colours', choices=('rgb', 'bgr')
    )


@dataclass(frozen=True)
class VoteSettings:
    """How masks and the dense map become one label map."""

    mode: str = setting(
        'fusion',
        "fusion: the mask's vote weighs in on each pixel's own probabilities; "
        'hard: most frequent class in the mask (as published); soft: largest summed probability',
        choices=('hard', 'soft', 'fusion'),
        live=True,
    )
    fusion_weight: float = setting(
        0.35,
        "fusion: trust in a mask's vote against a pixel's own probabilities; 0: none; 1 to 2.5 "
        'for segmenters that were trained on other scenes',
        minimum=0.0,
        maximum=100.0,
        live=True,
    )
    fusion_floor: float = setting(
        0.05,
        "fusion: how much of the image's own shares is mixed into a mask's; larger: milder votes",
        minimum=1e-6,
        maximum=1.0,
        live=True,
    )
    every_pixel: bool = setting(
        False,
        "count and weigh votes at every pixel instead of on the dense model's own, coarser grid",
        live=True,
    )
    minimum_purity: float = setting(
        0.95,
        'hard, soft: a mask whose winning class has a smaller share of it does not paint',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    maximum_mask_share: float = setting(
        0.95,
        'masks that cover more of the image do not paint (FastSAM snaps boxes to the full frame)',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    keep_dense: bool = setting(
        True, 'pixels that no mask paints keep the dense label; false: unlabelled', live=True
    )
    hypotheses: int = setting(
        3, 'ranked classes reported a mask', minimum=1, maximum=20, live=True
    )


@dataclass(frozen=True)
class ClipSettings:
    """The open-vocabulary labellers that use an open_clip network."""

    model: str = setting(
        'MobileCLIP2-S0/dfndr2b',
        'open_clip model: a folder (also one in models/), ARCHITECTURE/TAG of its list such as '
        'MobileCLIP2-S0/dfndr2b, or a hub name; with clip.checkpoint: an architecture',
    )
    checkpoint: str = setting('', 'weights of the architecture clip.model: a file')
    templates: str = setting(
        'photo',
        'sentences that each name is put into; their mean is the class: none (the bare name), '
        'photo (3), many (12)',
        choices=('none', 'photo', 'many'),
    )
    negatives: str = setting(
        '',
        'names that absorb what nobody asked for, as a list `wall, floor | ground`: masks of '
        'these come out unlabelled',
    )
    scales: str = setting(
        '1.5',
        'how far the square crops reach, in longer sides of the box; several (`1.2, 2`): the mean '
        'of their vectors, at that many times the cost',
        live=True,
    )
    fill: str = setting(
        'blur',
        'what hides the neighbours in a crop: blur, mean (one colour), none (they stay)',
        choices=('blur', 'mean', 'none'),
        live=True,
    )
    temperature: float = setting(
        0.0,
        'cosines are divided by it before the softmax; 0: as the model was trained or calibrated',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    minimum_confidence: float = setting(
        0.0, 'a mask named with less stays unlabelled', minimum=0.0, maximum=1.0, live=True
    )
    margin_weight: float = setting(
        0.0,
        "how much the runner-up lowers a mask's confidence: (1 - p2 / p1) to this power",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    mask_score_weight: float = setting(
        0.0,
        "how much the mask's own score lowers its confidence: the score to this power",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    batch: int = setting(
        64, 'crops encoded at once: bounds the memory', minimum=1, maximum=1024, live=True
    )
    adaptation: str = setting(
        'off',
        'labellers clip, clip_dense and hybrid: ul_tta: names settle into what each camera shows, '
        'by the figures clip.ul_tta.*; off: every image is named by the texts alone',
        choices=('off', 'ul_tta'),
        live=True,
    )
    adaptation_file: str = setting(
        '',
        'the node keeps what names have settled into in this file, written when it is '
        'deactivated, and begins with it; empty: it begins at the texts',
    )
    ul_tta: UlTtaSettings = field(default_factory=UlTtaSettings)

    @property
    def adapts(self) -> bool:
        """Whether names settle: an image is named otherwise where others came before it."""
        return self.adaptation != 'off'


@dataclass(frozen=True)
class SsaEngineSettings:
    """The labeller that finds its names by itself (SSA-engine)."""

    preset: str = setting(
        'light',
        'models of the stages that name none themselves: light, or full (as published)',
        choices=('light', 'full'),
    )
    coco_model: str = setting('', 'COCO segmenter, as dense.model; empty: as the preset says')
    ade20k_model: str = setting('', 'ADE20K segmenter, as dense.model; empty: as the preset says')
    caption_model: str = setting(
        '', 'BLIP that captions crops, a Hugging Face name or folder; empty: as the preset says'
    )
    clip_model: str = setting(
        '', 'CLIP that ranks the names, as clip.model; empty: as the preset says'
    )
    clipseg_model: str = setting(
        '', 'CLIPSeg that votes, a Hugging Face name or folder; empty: as the preset says'
    )
    proposals: int = setting(
        3, 'names that CLIP leaves for the vote', minimum=1, maximum=10, live=True
    )
    filter_scale: float = setting(
        1.2, "crops for CLIP, in sides of the mask's box", minimum=1.0, maximum=8.0, live=True
    )
    context_scale: float = setting(
        1.6,
        "crops for the caption and the vote, in sides of the mask's box",
        minimum=1.0,
        maximum=8.0,
        live=True,
    )
    caption_tokens: int = setting(
        20, 'at most so many tokens a caption', minimum=1, maximum=200, live=True
    )
    batch: int = setting(
        16,
        'crops captioned or segmented at once: bounds the memory',
        minimum=1,
        maximum=1024,
        live=True,
    )


@dataclass(frozen=True)
class YoloeSettings:
    """The labeller that finds masks and names in one network."""

    model: str = setting(
        'yoloe-26s-seg.pt',
        'YOLOE-seg checkpoint, a file or a known name; the same name in masks.model: its '
        'instances are the masks, and one network does all',
    )
    text_model: str = setting(
        'mobileclip2_b.ts',
        'its text encoder, a TorchScript file: mobileclip2_b.ts for yoloe-26, mobileclip_blt.ts '
        'for yoloe-11 and yoloe-v8',
    )
    image_size: int = setting(
        640, 'longer side of the image given to it, pixels', minimum=32, maximum=4096, live=True
    )
    confidence: float = setting(
        0.1, 'instances below this score are dropped', minimum=0.0, maximum=1.0, live=True
    )
    iou: float = setting(
        0.7,
        'of two boxes that overlap more than this the better one stays (yoloe-26 needs none)',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_instances: int = setting(
        300, 'at most so many instances an image', minimum=1, maximum=1000, live=True
    )


# SSA-engine's stages. `full` is the published choice; `light` has the smallest public models.
ENGINE_PRESETS: dict[str, dict[str, str]] = {
    'light': {
        'coco_model': 'facebook/mask2former-swin-tiny-coco-panoptic',
        'ade20k_model': 'nvidia/segformer-b0-finetuned-ade-512-512',
        'caption_model': 'Salesforce/blip-image-captioning-base',
        'clip_model': 'MobileCLIP2-S0/dfndr2b',
        'clipseg_model': 'CIDAS/clipseg-rd64-refined',
    },
    'full': {
        'coco_model': 'shi-labs/oneformer_coco_swin_large',
        'ade20k_model': 'shi-labs/oneformer_ade20k_swin_large',
        'caption_model': 'Salesforce/blip-image-captioning-large',
        'clip_model': 'ViT-L-14-quickgelu/openai',
        'clipseg_model': 'CIDAS/clipseg-rd64-refined',
    },
}


def resolve_preset(settings: SsaEngineSettings) -> SsaEngineSettings:
    """Return the settings with the preset's model wherever they name none."""
    preset = ENGINE_PRESETS[settings.preset]
    missing: dict[str, Any] = {s: m for s, m in preset.items() if not getattr(settings, s)}
    return replace(settings, **missing)
