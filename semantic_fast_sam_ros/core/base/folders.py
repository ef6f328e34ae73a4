"""Find the folders that ship beside the code (config/, models/, launch/), and the cache."""

import os
from pathlib import Path

PACKAGE = 'semantic_fast_sam_ros'
DDS_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def resource_folder(name: str) -> Path:
    """Return a shipped folder: of the source checkout, else of the ament prefix's share.

    Raises:
        FileNotFoundError: neither has it, so the installation is broken.
    """
    checkout = Path(__file__).resolve().parents[3]
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    # A colcon install lays share/ at a fixed depth above lib/python3.x/site-packages.
    prefixes += list(Path(__file__).resolve().parents)[5:9]
    places = [checkout / name] if (checkout / 'pyproject.toml').exists() else []
    places += [prefix / 'share' / PACKAGE / name for prefix in prefixes]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise FileNotFoundError(f'{PACKAGE}: no folder {name!r} in {[str(p) for p in places]}')
    return found


def looked_in(path: Path) -> str:
    """Return ' in /the/folder' that a relative path begins in, '' for another."""
    return '' if path.is_absolute() else f' in {Path.cwd()}'


def cache_folder() -> Path:
    """Return the one folder that this package and its libraries write to."""
    chosen = os.environ.get('SEMANTIC_FAST_SAM_CACHE')
    base = os.environ.get('XDG_CACHE_HOME') or str(Path.home() / '.cache')
    return Path(chosen) if chosen else Path(base) / 'semantic_fast_sam_ros'


def use_shared_memory() -> None:
    """Let images of this process arrive at others: the shipped DDS profile, if none is set."""
    profile = resource_folder('config') / 'fastdds_shared_memory.xml'
    os.environ[DDS_PROFILE] = os.environ.get(DDS_PROFILE) or str(profile)
