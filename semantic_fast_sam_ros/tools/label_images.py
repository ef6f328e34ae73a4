"""Label folders of images and videos: label PNGs, colours, overlays, JSON."""

import argparse
from pathlib import Path

from semantic_fast_sam_ros.bags import provenance
from semantic_fast_sam_ros.bags.images import DEFAULT_KINDS, KINDS, label_pictures
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.run import prepare_folder
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.tools.label_bag import report, stop_on_signals
from semantic_fast_sam_ros.tools.pipeline_options import (
    add_pipeline_arguments,
    offline_config_from,
    still,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('input', type=Path, help='image, video, or a folder of them')
    parser.add_argument('output', type=Path, help='folder to create')
    parser.add_argument(
        '--outputs',
        default=','.join(DEFAULT_KINDS),
        help=f'what to write, by comma, of: {", ".join(KINDS)} '
        f'(default: {",".join(DEFAULT_KINDS)})',
    )
    parser.add_argument('--every', type=int, default=1, help='label each so-many-th frame')
    parser.add_argument('--resume', action='store_true', help='go on with a run that ended early')
    parser.add_argument('--quiet', action='store_true', help='no progress line')
    add_pipeline_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Label the images; return the exit code, as label-bag has them."""
    config = still(offline_config_from(arguments))
    kinds = tuple(name.strip() for name in arguments.outputs.split(',') if name.strip())
    description = provenance.describe(arguments.input, [], Job(every=arguments.every), config)
    prepare_folder(arguments.output, description, arguments.resume)

    def load(settings: Config) -> SemanticFastSam:
        pipeline = SemanticFastSam.for_throughput(settings)
        pipeline.warm_up()
        arguments.output.mkdir(parents=True, exist_ok=True)
        provenance.write(arguments.output, description)
        return pipeline

    if arguments.output.resolve() == arguments.input.resolve():
        raise ConfigError('the output must not be the input')
    with stop_on_signals() as stop:
        outcome = label_pictures(
            arguments.input,
            arguments.output,
            config,
            kinds,
            load,
            stop,
            description,
            arguments.every,
            arguments.resume,
            not arguments.quiet,
        )
    return report(arguments.input, outcome)
