"""Download the models of a profile, or models by name, so that a robot needs no network."""

import argparse

from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import models_of, named
from semantic_fast_sam_ros.core.settings import profiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('models', nargs='*', help='models by name, such as FastSAM-s.pt')
    parser.add_argument('--profile', action='append', default=[], help='all models of a profile')


def run(arguments: argparse.Namespace) -> int:
    """Bring the models into the cache and print where they are."""
    weights.silence_libraries()
    models = [named(name) for name in arguments.models]
    for profile in arguments.profile:
        models += models_of(profiles.load_profile(profile))
    if not models:
        known = ', '.join(sorted(weights.KNOWN))
        print(f'name models or a --profile; known files: {known}; or any Hugging Face name')
        return 2
    policy = weights.Policy(trust_model_files=True)  # fetching loads nothing
    for model in dict.fromkeys(models):
        print(f'{model.name}: {model.find(policy)}')
    return 0
