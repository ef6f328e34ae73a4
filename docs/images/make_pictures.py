"""Make the README's picture: the shipped models' overlay beside the photo."""

from pathlib import Path

import cv2
import numpy as np

from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.render import overlay
from semantic_fast_sam_ros.tools.sources import street_photo, virtual_camera

FRAME = 30  # of the virtual camera: a view of the whole street


def main() -> None:
    """Write overlay.jpg beside this script."""
    segment = SemanticFastSam.from_profile('embedded')
    camera = virtual_camera(street_photo())
    photo = next(frame.image for index, frame in enumerate(camera) if index == FRAME)
    drawn = overlay(photo, segment(photo), segment.config.output)
    both = np.hstack([photo, drawn])[..., ::-1]
    target = Path(__file__).with_name('overlay.jpg')
    cv2.imwrite(str(target), both, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == '__main__':
    main()
