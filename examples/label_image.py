"""Label an image file without ROS: `python examples/label_image.py street.jpg labelled.png`."""

import sys
from pathlib import Path

import cv2

from semantic_fast_sam_ros import FrameError, SemanticFastSam
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.outputs import overlay


def main(source: str, target: str) -> None:
    """Print the classes by their share of the image; write the overlay."""
    segment = SemanticFastSam.from_profile('embedded')
    try:
        image = read_image(Path(source), segment.config.input.maximum_pixels)
    except FrameError as error:
        raise SystemExit(str(error)) from error
    segment.warm_up()  # the first image takes longer: not in the time below
    result = segment(image)

    for c in result.vocabulary.classes:
        share = float((result.label_map == c.id).mean())
        if share:
            print(f'{c.name:<12} {100 * share:5.1f} %')
    print(f'{len(result.mask_ids)} masks in {sum(result.stage_ms.values()):.0f} ms')

    drawn = overlay.overlay(image, result, segment.config.output)
    cv2.imwrite(target, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
