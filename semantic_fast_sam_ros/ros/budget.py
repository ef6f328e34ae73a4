"""Hold a rate: which step of degradation the times of frames call for. No clock, no thread.

A step down takes two bad windows in a row. A step up takes three in which the better step would
fit as well, judged by how much slower it was when it was left: so a constant load does not make
the node go to and fro. That judgement is believed for a minute, then the better step is tried;
each try that fails doubles the time until the next, up to 16 minutes.
"""

from dataclasses import dataclass, replace

from semantic_fast_sam_ros.core.settings.config import Config

WINDOW_FRAMES, WINDOW_S = 6, 1.0  # at least; the mean time of a window is one observation
BAD_WINDOWS, GOOD_WINDOWS = 2, 3
MARGIN = 0.9  # of the budget: what the better step may be expected to take
PATIENCE_S, MAXIMUM_PATIENCE_S = 60.0, 960.0
SIZE_MULTIPLE = 32  # of masks.image_size: the stride of the network


@dataclass(frozen=True)
class Step:
    """What is given up."""

    max_masks: float = 1.0  # share of the user's setting
    image_size: float = 1.0  # share of masks.image_size
    label_every: int = 1  # images; those between keep the labels of the one before


STEPS = (Step(), Step(0.5), Step(0.5, 0.75), Step(0.5, 0.5), Step(0.5, 0.5, 2))
LAST = len(STEPS) - 1


def degraded(config: Config, step: int) -> Config:
    """Return the settings of a step; the user's own at step 0."""
    if step == 0:
        return config
    share, masks = STEPS[step], config.masks
    size = int(masks.image_size * share.image_size) // SIZE_MULTIPLE * SIZE_MULTIPLE
    less = replace(
        masks,
        max_masks=max(1, int(masks.max_masks * share.max_masks)),
        image_size=masks.image_size if share.image_size == 1 else max(SIZE_MULTIPLE, size),
    )
    return replace(config, masks=less)


def describe(config: Config, step: int) -> str:
    """Return a step in words, with the figures that the user's settings come to."""
    if step == 0:
        return 'none'
    masks = degraded(config, step).masks
    words = f'step {step} of {LAST}: at most {masks.max_masks} masks'
    if STEPS[step].image_size < 1:
        words += f', masks.image_size {masks.image_size}'
    if STEPS[step].label_every > 1:
        words += f', labels from one image in {STEPS[step].label_every}'
    return words


class Budget:
    """Chooses the step."""

    def __init__(self) -> None:
        """Start with the user's settings."""
        self.reset()

    @property
    def label_every(self) -> int:
        """At this step one image in so many is labelled anew."""
        return STEPS[self.step].label_every

    def reset(self) -> None:
        """Go back to the user's settings and forget all times."""
        self.step = 0
        self.exceeded = False  # at the last step, too
        self.mean_ms = 0.0  # of the last window
        self._slower = [1.0] * len(STEPS)  # how many times slower the step before each one is
        self._left_ms = 0.0  # what the step that was just left took
        self._bad = self._good = 0
        self._changed_s = self._tried_s = float('-inf')
        self._relieved_until_s = float('-inf')
        self._patience_s = PATIENCE_S
        self._open_window()

    def observe(self, camera: str, frame_ms: float, target_hz: float, now_s: float) -> int:
        """Take a frame's time into account; return the step for the next one.

        Args:
            camera: whose frame it was; the rate is to be held for each.
            frame_ms: from taking the image to having published.
            target_hz: the rate to hold; 0: none.
            now_s: by a clock that never jumps.
        """
        if target_hz == 0:
            if not self.relieved(now_s) and (self.step or self._times_ms):
                self.reset()
            return self.step
        if not self._times_ms:
            self._opened_s = now_s - frame_ms / 1000
        self._times_ms.append(frame_ms)
        self._cameras.add(camera)
        if len(self._times_ms) >= WINDOW_FRAMES and now_s - self._opened_s >= WINDOW_S:
            self.mean_ms = sum(self._times_ms) / len(self._times_ms)
            budget_ms = 1000 / target_hz / len(self._cameras)
            self._open_window()
            self._judge(budget_ms, now_s)
        return self.step

    def relieve(self, now_s: float) -> None:
        """Go one step down whatever the times are, as the memory ran out; for a minute at least.

        Args:
            now_s: by a clock that never jumps.
        """
        self._relieved_until_s = now_s + PATIENCE_S
        self._open_window()
        if self.step < LAST:
            self._move(1, now_s)

    def relieved(self, now_s: float) -> bool:
        """Return whether `relieve` still counts."""
        return now_s < self._relieved_until_s

    def _open_window(self) -> None:
        self._times_ms: list[float] = []
        self._cameras: set[str] = set()
        self._opened_s = 0.0

    def _judge(self, budget_ms: float, now_s: float) -> None:
        if self._left_ms:  # the first window after a step down
            self._slower[self.step] = max(1.0, self._left_ms / self.mean_ms)
            self._left_ms = 0.0
        late = self.mean_ms > budget_ms
        self._bad = self._bad + 1 if late else 0
        believed = now_s - self._changed_s < self._patience_s
        better_ms = self.mean_ms * (self._slower[self.step] if believed else 1.0)
        fits = self.step > 0 and better_ms <= MARGIN * budget_ms
        self._good = self._good + 1 if fits else 0
        self.exceeded = late and self.step == LAST
        if self._bad >= BAD_WINDOWS and self.step < LAST:
            self._step_down(now_s)
        elif self._good >= GOOD_WINDOWS and not self.relieved(now_s):
            self._move(-1, now_s)
            self._tried_s = now_s

    def _step_down(self, now_s: float) -> None:
        failed = now_s - self._tried_s < PATIENCE_S / 2
        self._patience_s = min(2 * self._patience_s, MAXIMUM_PATIENCE_S) if failed else PATIENCE_S
        self._move(1, now_s)
        self._left_ms = self.mean_ms

    def _move(self, by: int, now_s: float) -> None:
        self.step += by
        self._left_ms = 0.0  # two steps with no window between cannot be compared
        self._changed_s = now_s
        self._bad = self._good = 0
