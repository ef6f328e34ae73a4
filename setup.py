"""Install the package, its launch files, configuration and models the ament_python way."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'semantic_fast_sam_ros'
ROOT = Path(__file__).resolve().parent
SHARE = f'share/{NAME}'
# Folders copied whole into share/, less what only serves training.
RESOURCES = ('launch', 'config', 'models', 'interfaces/vision_msgs/msg')
LEFT_OUT = {'training', '__pycache__'}


def resource_files() -> list[tuple[str, list[str]]]:
    """Return (folder under the prefix, files) for everything that ships beside the code."""
    found: dict[str, list[str]] = {}
    for top in RESOURCES:
        for path in sorted((ROOT / top).rglob('*')):
            relative = path.relative_to(ROOT)
            if path.is_file() and not LEFT_OUT.intersection(relative.parts):
                found.setdefault(f'{SHARE}/{relative.parent}', []).append(str(relative))
    return list(found.items())


setup(
    name=NAME,
    version='0.1.0',
    description='Live semantic labelling of camera images: FastSAM masks, labelled, over ROS 2',
    license='Apache-2.0',
    maintainer='semantic_fast_sam_ros developers',
    maintainer_email='semantic-fast-sam-ros@example.org',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={f'{NAME}.viewer': ['static/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (SHARE, ['package.xml']),
        *resource_files(),
    ],
    python_requires='>=3.10',
    install_requires=['setuptools'],
    extras_require={'test': ['pytest']},
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'semantic_fast_sam_node = semantic_fast_sam_ros.ros.process:main',
            'image_stream = semantic_fast_sam_ros.tools.stream:main_ros',
            'view = semantic_fast_sam_ros.tools.view:main_ros',
            'semantic_fast_sam = semantic_fast_sam_ros.__main__:main',
        ],
    },
)
