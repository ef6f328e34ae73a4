"""How a run over a recording or a folder went."""

from dataclasses import dataclass, field
from pathlib import Path

from semantic_fast_sam_ros.bags.statistics import Statistics
from semantic_fast_sam_ros.bags.types import Loss

INCOMPLETE_INPUT = 3  # exit code: all is done but for what could not be read


@dataclass
class Outcome:
    """How a run went."""

    folder: Path
    statistics: Statistics = field(default_factory=Statistics)
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # of what differs, with nothing lost
    frames_before: int = 0  # labelled by earlier runs
    seconds: float = 0.0
    interrupted: bool = False
    problem: str = ''  # why the run ended early
    already_complete: bool = False
    empty: bool = False  # nothing was labelled
    refusal: str = ''  # why it was not even begun

    @property
    def complete(self) -> bool:
        """Whether everything that could be read is labelled."""
        ended_early = self.interrupted or self.problem or self.empty or self.refusal
        return self.already_complete or not ended_early
