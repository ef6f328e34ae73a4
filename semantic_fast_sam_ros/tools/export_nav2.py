"""Write the class lists of Nav2's semantic_segmentation_layer from a vocabulary."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.tools.export_options import (
    add_vocabulary_arguments,
    assign,
    chosen_vocabulary,
    command_line,
    write,
)

LAYER = 'semantic_segmentation_layer'
PLUGIN = f'{LAYER}::SemanticSegmentationLayer'
MONO8_IDS = 255
# Costs of Nav2: 0 free, 254 lethal. One observation gives base_cost, repeated ones max_cost.
COSTS = {
    'free': {'base_cost': 0, 'max_cost': 0},
    'costly': {'base_cost': 50, 'max_cost': 150},
    'lethal': {'base_cost': 100, 'max_cost': 254},
}
# At 10 Hz three images agree within a third of a second; half confidence is a clear vote.
ACCUMULATION = {'mark_confidence': 128, 'samples_to_max_cost': 3, 'dominant_priority': False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_vocabulary_arguments(parser)
    parser.add_argument('--free', required=True, help='classes to drive on: `road, sidewalk`')
    parser.add_argument('--costly', default='', help='classes to avoid where possible')
    parser.add_argument('--node', default='/semantic_fast_sam', help='the node that labels')
    parser.add_argument(
        '--points',
        default='/camera/depth/points',
        help='organised cloud, as large as the label image (default: /camera/depth/points)',
    )
    parser.add_argument('--range', type=float, default=5.0, help='metres (default: 5)')
    parser.add_argument('--output', type=Path, help='file (default: the terminal)')


def run(arguments: argparse.Namespace) -> int:
    """Write the parameter file; what is neither free nor costly is lethal."""
    vocabulary = chosen_vocabulary(arguments)
    write(render(vocabulary, arguments), arguments.output)
    return 0


def render(vocabulary: Vocabulary, arguments: argparse.Namespace) -> str:
    """Return the file: a comment that says how it was made, and the parameters.

    Raises:
        ConfigError: more ids than the layer's one byte a pixel holds.
    """
    if vocabulary.max_id > MONO8_IDS:
        raise ConfigError(
            f'the vocabulary has ids up to {vocabulary.max_id}, and the layer reads one byte a '
            f'pixel: merge classes with --groups to at most {MONO8_IDS}'
        )
    words = []
    for option in ('profile', 'vocabulary', 'groups', 'free', 'costly', 'node', 'points', 'range'):
        value = getattr(arguments, option)
        words += [f'--{option}', str(value)] if value not in ('', None) else []
    comment = (
        f'# Made by: {command_line("export-nav2", words)}\n'
        '# Make it anew when the vocabulary changes: the layer ignores classes that it lacks.\n'
        "# The cloud must have one point a pixel: set the node's output.size to its size.\n"
    )
    tree = layer(vocabulary, arguments)
    costmap = {'local_costmap': {'local_costmap': {'ros__parameters': {LAYER: tree}}}}
    return comment + str(yaml.safe_dump(costmap, sort_keys=False, width=99, allow_unicode=True))


def layer(vocabulary: Vocabulary, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of the layer."""
    lists = assign(vocabulary, {'free': arguments.free, 'costly': arguments.costly}, 'lethal')
    types = {
        name: {'classes': classes, **COSTS[name], **ACCUMULATION}
        for name, classes in lists.items()
        if classes
    }
    camera = {
        'segmentation_topic': f'{arguments.node}/label_image',
        'confidence_topic': f'{arguments.node}/confidence',
        'labels_topic': f'{arguments.node}/label_info',
        'pointcloud_topic': arguments.points,
        'max_obstacle_distance': float(arguments.range),
        'min_obstacle_distance': 0.3,
        'tile_map_decay_time': 5.0,
        'use_cost_selection': True,
        'class_types': list(types),
        **types,
    }
    return {
        'plugin': PLUGIN,
        'enabled': True,
        # Labels lag behind the cloud by the node's latency, with the camera's own stamp.
        'use_approximate_time_sync': True,
        'observation_sources': 'camera',
        'camera': camera,
    }
