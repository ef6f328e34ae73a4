"""What a node's diagnostics mean: whether labels come, fast enough, with classes in them."""

from collections.abc import Iterator, Mapping

from semantic_fast_sam_ros.tools.findings import Finding

SLOW_HZ, OLD_MS = 1.0, 1000.0  # worse is not taken for real time
UNLABELLED_SHARE = 0.99


def judge_transport(values: Mapping[str, str]) -> Iterator[Finding]:
    """Say whether the node's own process has the DDS profile that lets images arrive."""
    if values.get('middleware', '').startswith('rmw_fastrtps') and not values.get('dds_profile'):
        yield Finding(
            'note',
            'DDS profile',
            "the node's process has none: most images get lost; start it with the launch files, "
            'or set FASTRTPS_DEFAULT_PROFILES_FILE for it and for the camera',
        )


def judge_frames(
    values: Mapping[str, str], received_hz: float, idle_hz: float = 0.0, refused_hz: float = 0.0
) -> Iterator[Finding]:
    """Say whether labels come, fast enough, and with classes in them.

    Args:
        values: of the newest diagnostics.
        received_hz: images that reached the node.
        idle_hz: those that it left alone, for want of a subscriber.
        refused_hz: those that it could not read.
    """
    rate_hz = float(values.get('rate_hz') or 0)
    text = f'labels {rate_hz:.1f} of {received_hz:.1f} images a second'
    if received_hz <= 0:
        yield Finding('WRONG', 'images', 'none arrive')
        return
    if idle_hz > 0 and rate_hz < SLOW_HZ:
        text = f'{received_hz:.1f} images a second arrive; nobody subscribes to an output'
        yield Finding('note', 'rate', f'{text}, so it rests (rest_without_subscribers)')
        return
    if refused_hz > 0 and rate_hz < SLOW_HZ:
        text = f'{refused_hz:.1f} of {received_hz:.1f} images a second are refused'
        yield Finding('WRONG', 'images', f'{text}: {values.get("last_error", "")}')
        return
    slow = _slowness(values, rate_hz)
    yield Finding('WRONG' if slow else 'ok', 'rate', f'{text}{slow}')
    share = float(values.get('unlabelled_share') or 0)
    if share >= UNLABELLED_SHARE:
        yield Finding(
            'WRONG',
            'labels',
            f'{100 * share:.0f} % of the pixels are unlabelled: the vocabulary has no names for '
            'what is seen, the threshold is too high (vote.minimum_purity, '
            'clip.minimum_confidence), or the image is dark or covered',
        )


def _slowness(values: Mapping[str, str], rate_hz: float) -> str:
    """Return why the node is too slow, and what helps; '' if it is not."""
    age_ms = float(values.get('age_ms_p50') or 0)
    if rate_hz >= SLOW_HZ and age_ms <= OLD_MS:
        return ''
    stages = {
        k.removesuffix('_ms_p50'): float(v) for k, v in values.items() if k.endswith('_ms_p50')
    }
    frame_ms = stages.pop('frame', 0.0)
    for name in ('age', 'wait'):
        stages.pop(name, None)
    if age_ms > OLD_MS and age_ms > 3 * frame_ms:
        return (
            f'; they are {age_ms:.0f} ms old although one takes {frame_ms:.0f} ms: the clocks of '
            'camera and node differ, or a queue lies before the node'
        )
    slowest = max(stages, key=lambda name: stages[name], default='')
    return (
        f': too slow, {frame_ms:.0f} ms an image, most of it {slowest} '
        f'({stages.get(slowest, 0.0):.0f} ms): lower masks.image_size or dense.image_size, '
        'or set device'
    )
