"""How a setting is declared: a dataclass field with a help text and what it may be."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """What is known of one setting."""

    name: str
    default: Value
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    live: bool  # may change between two frames; the others need configure again

    @property
    def kind(self) -> type:
        """Return bool, int, float or str."""
        return type(self.default)


def setting(
    default: Value,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare a dataclass field that is a setting."""
    metadata = {'help': help, 'minimum': minimum, 'maximum': maximum, 'choices': choices}
    metadata['live'] = live
    return field(default=default, metadata=metadata)
