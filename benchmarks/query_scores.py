"""Say what a query's score means with the CLIP that ships, on photos kept out of its training.

    python benchmarks/query_scores.py --set camvid:1:CamVid:val

Sets as for open_accuracy.py. Each true segment is asked by the words of each class: names of the
set, names kept out of training, and words that stand for nothing in the pictures. Printed by
threshold: which share of the right segments are answers, which share of the answers are right, and
how many of a thousand segments are answers to a word that is not there.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'models' / 'training'))

from clip_names import CONCEPTS
from clip_scores import QUESTIONS
from clip_segments import READERS
from open_accuracy import vectors_of
from sets import parse_set

from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.objects.queries import QueryEncoder
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

THRESHOLDS = (0.1, 0.2, 0.3, 0.5, 0.7)
ABSENT = (
    'dog, horse, piano, banana, laptop, sofa, airplane, boat, pizza, teddy bear, toothbrush, '
    'a purple elephant, quantum physics, asdfgh, xqzzt, lorem ipsum'
)


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    kind = partial(parse_set, readers=READERS)
    parser.add_argument('--set', type=kind, required=True, dest='photos')
    _, photos = parser.parse_args().photos
    config = load_profile('embedded_open', {'device': 'cpu'})
    model = load_clip(config.clip, Policy(offline=True), choose_runtime(config))
    vocabulary = parse_list(config.vocabulary)
    vectors, concepts = vectors_of(ClipLabeller(model, vocabulary, config), photos)
    features = vectors.numpy()
    encoder = QueryEncoder(model, TEMPLATES[config.clip.templates])
    ask = partial(
        encoder.encode,
        vocabulary=vocabulary,
        negatives={'query.negatives': config.query.negatives},
        sharpness=model.scale,
    )
    absent = ask(ABSENT)
    assert absent is not None
    wrong = absent.scores(features)
    print(f'{len(features)} segments')
    for kind_of_name, names in QUESTIONS[photos[0].source].items():
        asked = ask(', '.join(names.values()))
        assert asked is not None
        scores = asked.scores(features)
        rows = torch.tensor([CONCEPTS.index(concept) for concept in names])
        right = (concepts[:, None] == rows).numpy()
        for threshold in THRESHOLDS:
            answers = scores >= threshold
            found = (answers & right).sum() / right.sum()
            true = (answers & right).sum() / max(1, answers.sum())
            print(
                f'{kind_of_name}, {threshold}: found {found:.1%}, of the answers right {true:.1%}'
            )
    for threshold in THRESHOLDS:
        print(f'absent, {threshold}: {1000 * (wrong >= threshold).mean():.2f} of 1000 segments')


if __name__ == '__main__':
    main()
