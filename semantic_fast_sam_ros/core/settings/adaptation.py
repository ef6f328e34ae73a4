"""The figures of `clip.adaptation: ul_tta`."""

from dataclasses import dataclass

from semantic_fast_sam_ros.core.settings.setting import setting


@dataclass(frozen=True)
class UlTtaSettings:
    """How fast names settle into what is seen, and how far they may go."""

    gate: float = setting(
        0.3,
        'masks named with at least this much take part',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    anchor: float = setting(
        30.0,
        "masks that weigh as much as a name's text, of which its vector is the mean with theirs",
        minimum=1e-3,
        maximum=1e9,
        live=True,
    )
    angle: float = setting(
        45.0,
        "a name's vector stays within this angle of its text vector, degrees; 0: vectors stay",
        minimum=0.0,
        maximum=90.0,
        live=True,
    )
    prior_anchor: float = setting(
        300.0,
        'masks that weigh as much as the beliefs that all names are equally frequent, and that '
        'confidences are as good as by the texts alone',
        minimum=1e-3,
        maximum=1e9,
        live=True,
    )
    divergence: float = setting(
        0.0,
        'believed frequencies differ from equal ones by at most this Kullback-Leibler '
        'divergence, nats; 0: they stay equal',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    temperature: float = setting(
        3.0,
        'reported confidences are softened or sharpened by at most this factor, so that they '
        'mean what they did before; 1: not at all',
        minimum=1.0,
        maximum=10.0,
        live=True,
    )
    memory: float = setting(
        300.0,
        'masks of a name after which one has about a third of its weight left',
        minimum=1.0,
        maximum=1e9,
        live=True,
    )
    shared: bool = setting(False, 'all cameras settle together; false: each by itself')
