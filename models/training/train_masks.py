"""Train the mask network that ships: YOLOv8n-seg with one class, 'segment', on CamVid regions.

The targets are the connected one-class regions of the label images. Ultralytics trains; this
script writes its data set (images are linked, outlines are text files) and sets the recipe.
The same command with `--resume` goes on after an interruption.

    python models/training/train_masks.py --data ../shared/camvid \
        --start ../shared/warmstart/fastsam_n_camvid.pt --work /tmp/masks --output masks.pt
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from camvid import pair_paths, regions
from ultralytics import YOLO

MINIMUM_AREA = 60


def outline(mask: np.ndarray) -> str:
    """Return the outer contour of a mask as 'x y x y ...' in units of the image's size."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = max(contours, key=cv2.contourArea)[:, 0].astype(float)
    if len(points) < 3:
        return ''
    # A contour runs through pixel centres: half a pixel is added to both coordinates.
    points = (points + 0.5) / (mask.shape[1], mask.shape[0])
    return ' '.join(f'{value:.5f}' for value in points.ravel())


def write_split(split: Path, target: Path) -> None:
    for name in ('images', 'labels'):
        (target / name).mkdir(parents=True, exist_ok=True)
    for image, label in pair_paths(split):
        link = target / 'images' / image.name
        link.unlink(missing_ok=True)
        link.symlink_to(image.resolve())
        masks = regions(cv2.imread(str(label), cv2.IMREAD_UNCHANGED), MINIMUM_AREA)
        lines = [f'0 {text}' for text in map(outline, masks) if text]
        (target / 'labels' / f'{image.stem}.txt').write_text('\n'.join(lines))


def write_data_set(data: Path, target: Path) -> Path:
    for split in ('train', 'val'):
        write_split(data / split, target / split)
    description = target / 'data.yaml'
    description.write_text(
        f'path: {target.resolve()}\ntrain: train/images\nval: val/images\nnames: {{0: segment}}\n'
    )
    return description


def write_released(checkpoint: Path, output: Path) -> None:
    """Write a checkpoint's averaged weights as float16, without this machine's paths in it."""
    content = torch.load(checkpoint, map_location='cpu', weights_only=False)  # our own file
    network = (content.get('ema') or content['model']).half()
    network.args = {'task': 'segment', 'imgsz': network.args['imgsz']}
    for name in ('pt_path', 'yaml_file'):
        network.__dict__.pop(name, None)
    torch.save({'model': network, 'train_args': network.args}, output)


def is_finished(checkpoint: Path) -> bool:
    """Say whether a training came to its end: ultralytics then drops the optimiser's state."""
    content = torch.load(checkpoint, map_location='cpu', weights_only=False)  # our own file
    return content.get('optimizer') is None


def train(args: argparse.Namespace, start: Path, resume: bool) -> None:
    description = write_data_set(args.data, args.work / 'data')
    model = YOLO(start)
    # The trainer sets its own number of threads from the device; ours has to win.
    model.add_callback('on_train_start', lambda _: torch.set_num_threads(args.threads))
    model.train(
        data=str(description),
        project=str(args.work.resolve()),
        name='run',
        exist_ok=True,
        resume=resume,
        time=args.hours,
        imgsz=args.image_size,
        batch=args.batch,
        nbs=args.batch,
        optimizer='AdamW',
        lr0=args.rate,
        lrf=0.02,
        cos_lr=True,
        warmup_epochs=0.5,
        weight_decay=0.0005,
        mosaic=0.0,
        scale=0.5,
        translate=0.1,
        fliplr=0.5,
        degrees=3.0,
        hsv_h=0.02,
        hsv_s=0.6,
        hsv_v=0.5,
        overlap_mask=True,
        mask_ratio=4,
        device='cpu',
        workers=0,
        val=False,
        plots=False,
        cache='ram',
        amp=False,
        single_cls=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--start', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--hours', type=float, default=1.3)
    parser.add_argument('--image-size', type=int, default=448)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--rate', type=float, default=1e-3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--resume', action='store_true')
    args = parser.parse_args()
    last = args.work / 'run' / 'weights' / 'last.pt'
    resume = args.resume and last.exists()  # it is written after each epoch
    if resume and is_finished(last):
        print(f'This training is finished: see {args.output}.')
    else:
        train(args, last if resume else args.start, resume)
    write_released(last, args.output)


if __name__ == '__main__':
    main()
