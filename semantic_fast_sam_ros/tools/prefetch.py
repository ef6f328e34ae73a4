"""Download the models of a profile, or models by name, so that a robot needs no network."""

import argparse

from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.open_vocabulary import clip_model
from semantic_fast_sam_ros.core.settings import config as configuration
from semantic_fast_sam_ros.core.settings import profiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('models', nargs='*', help='models by name, such as FastSAM-s.pt')
    parser.add_argument('--profile', action='append', default=[], help='all models of a profile')


def run(arguments: argparse.Namespace) -> int:
    """Bring the models into the cache and print where they are."""
    names = list(arguments.models)
    for profile in arguments.profile:
        names += configuration.model_names(profiles.load_profile(profile))
    if not names:
        known = ', '.join(sorted(weights.KNOWN))
        print(f'name models or a --profile; known files: {known}; or any Hugging Face name')
        return 2
    weights.silence_libraries()
    for name in dict.fromkeys(names):
        print(f'{name}: {fetch(name)}')
    return 0


def fetch(name: str) -> str:
    """Return where a model is, bringing it first if needed."""
    policy = weights.Policy(trust_model_files=True)  # fetching loads nothing
    if name.endswith(weights.CHECKPOINT_SUFFIXES):
        return str(weights.checkpoint_file(name, policy))
    if clip_model.is_clip(name):
        return str(clip_model.clip_folder(name, policy))
    return str(weights.pretrained_folder(name, policy))
