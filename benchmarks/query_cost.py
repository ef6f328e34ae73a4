"""Say what features, queries and the memory cost a frame, part by part, with the models that ship.

    OMP_NUM_THREADS=1 python benchmarks/query_cost.py

CPU time of one thread, the median of 50 rounds, on ultralytics' street photo at 640 x 480: what
another process does on the machine does not count.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from std_msgs.msg import Header
from ultralytics.utils import ASSETS

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.objects.memory import ObjectMemory
from semantic_fast_sam_ros.core.objects.queries import QueryEncoder
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import FEATURES, FOUND, HEAT, frame_contents
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.ros.conversions import to_message

ROUNDS = 50
TEXT = 'automobile | van, house, dog'


def median_ms(do: Callable[[], object]) -> float:
    """Return the CPU milliseconds of this thread."""
    spent = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        do()
        spent.append(1000 * (time.thread_time() - started))
    return statistics.median(spent)


def main() -> None:
    """Measure and print."""
    photo = read_image(ASSETS / 'bus.jpg')
    image = np.asarray(cv2.resize(photo, (640, 480), interpolation=cv2.INTER_AREA))
    pipeline = SemanticFastSam.from_profile('embedded_open', device='cpu', offline=True)
    pipeline.warm_up()
    assert pipeline.encoder is not None
    model, config = pipeline.encoder.model, pipeline.config
    result = pipeline(image, features=True)
    assert result.features is not None
    print(f'{len(result.features)} masks, {result.features.shape[1]} dimensions')
    negatives = {'query.negatives': config.query.negatives}
    encoder = QueryEncoder(model, TEMPLATES[config.clip.templates])
    started = time.perf_counter()
    query = encoder.encode(TEXT, pipeline.vocabulary, negatives, model.scale)
    assert query is not None
    print(
        f'first query, encoded beside the frames: {1000 * (time.perf_counter() - started):.1f} ms'
    )
    print(f'scores: {median_ms(lambda: query.scores(result.features)):.3f} ms')
    found = Found(query.names, query.scores(result.features), config.query.threshold)
    for topic in (FEATURES, FOUND, HEAT):

        def publish(topic: str = topic) -> None:
            contents = frame_contents(image, result, OutputSettings(), {topic}, found=found)
            for _, content in contents:
                to_message(content, Header())

        print(f'~/{topic}, to the message: {median_ms(publish):.3f} ms')
    tracked = replace(result, tracked=np.ones(len(result.mask_ids), np.bool_))
    memory = ObjectMemory(60.0)
    print(f'memory, all masks tracked: {median_ms(lambda: memory.see(tracked, 1)):.3f} ms')
    remembered = median_ms(lambda: memory.out_of_sight(query, 0.5, 2))
    print(f'~/query/remembered of {len(memory)} objects: {remembered:.3f} ms')


if __name__ == '__main__':
    main()
