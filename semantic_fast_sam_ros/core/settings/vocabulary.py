"""The names that pixels can get: ids on the wire, prompts, colours; files, lists, group maps."""

import colorsys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion

UNLABELLED = 0
MONO8_IDS = 255  # label images of up to so many ids are 8-bit
MAX_CLASSES = 65534  # ids are uint16 on the wire, and vision_msgs reserves 65535
SOURCES = ('dense', 'clip')


@dataclass(frozen=True)
class SemanticClass:
    """One class of a vocabulary."""

    id: int  # 1 ... MAX_CLASSES; never used again for another name
    name: str
    colour: tuple[int, int, int]  # RGB, 0-255
    prompts: tuple[str, ...] = ()  # other names of it; the name itself where empty
    minimum_confidence: float = 0.0  # below it a mask of this class stays unlabelled
    negative: bool = False  # absorbs what nobody asked for: comes out unlabelled
    # Groups of names, each with a look of its own, where the class is a group; else one, `names`.
    looks: tuple[tuple[str, ...], ...] = ()
    source: str = ''  # of SOURCES, for the labeller hybrid; empty: dense where that knows the name
    thing: bool | None = None  # whether it can be counted; None: things.py knows by its name

    def renumbered(self, class_id: int) -> 'SemanticClass':
        """Return it under another id; a colour that was generated follows the id."""
        generated = self.colour == colour_of(self.id)
        return replace(self, id=class_id, colour=colour_of(class_id) if generated else self.colour)

    @property
    def appearances(self) -> tuple[tuple[str, ...], ...]:
        """The names by look: a text vector each, and the class gets what they get together."""
        return self.looks or (self.names,)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and all prompts, without repetition."""
        return tuple(dict.fromkeys((self.name, *self.prompts)))


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of classes with distinct names and ids."""

    classes: tuple[SemanticClass, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError('a vocabulary needs at least one class')
        if len(self.classes) > MAX_CLASSES or max(c.id for c in self.classes) > MAX_CLASSES:
            raise ConfigError(f'a vocabulary holds at most {MAX_CLASSES} classes')
        _require_distinct('name', [_key(c.name) for c in self.classes])
        _require_distinct('id', [c.id for c in self.classes])

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names in order."""
        return tuple(c.name for c in self.classes)

    @property
    def published(self) -> tuple[SemanticClass, ...]:
        """The classes that pixels can get: all but the negatives."""
        return tuple(c for c in self.classes if not c.negative)

    @property
    def max_id(self) -> int:
        """The largest id in use."""
        return max(c.id for c in self.classes)

    def name_of(self, class_id: int) -> str:
        """Return the name of an id; 'unlabelled' for 0 and for ids that are not in use."""
        return next((c.name for c in self.classes if c.id == class_id), 'unlabelled')

    def find(self, name: str) -> SemanticClass | None:
        """Return the class that a name or one of its prompts denotes, whatever the case."""
        wanted = _key(name)
        by_name = (c for c in self.classes if _key(c.name) == wanted)
        by_prompt = (c for c in self.classes if wanted in map(_key, c.prompts))
        return next(by_name, None) or next(by_prompt, None)

    def palette(self) -> NDArray[np.uint8]:
        """Return the colour of each id as (max_id + 1, 3) uint8 RGB; black where unused."""
        table = np.zeros((self.max_id + 1, 3), np.uint8)
        for c in self.classes:
            table[c.id] = c.colour
        return table

    def extended_from(self, older: 'Vocabulary') -> 'Vocabulary':
        """Return this vocabulary with ids that never change the meaning of an older one's.

        A name that the older vocabulary has keeps its id; a new name gets one never used. The
        result carries the older one's other classes in no form: give the accumulated
        vocabulary of a run (see `VocabularyHistory`) to keep removed names' ids reserved.
        """
        known = {_key(c.name): c.id for c in older.classes}
        fresh = iter(range(older.max_id + 1, older.max_id + len(self) + 1))
        return Vocabulary(
            tuple(
                c.renumbered(known[_key(c.name)] if _key(c.name) in known else next(fresh))
                for c in self.classes
            )
        )


class VocabularyHistory:
    """Hands out ids that are append-only for as long as a process runs."""

    def __init__(self) -> None:
        self._seen: Vocabulary | None = None
        self._lock = threading.Lock()  # names come from settings and, at the same time, images

    def preview(self, vocabulary: Vocabulary) -> Vocabulary:
        """Return what `admit` would, without remembering it."""
        return vocabulary if self._seen is None else vocabulary.extended_from(self._seen)

    def admit(self, vocabulary: Vocabulary) -> Vocabulary:
        """Return the vocabulary with ids consistent with all vocabularies admitted before."""
        with self._lock:
            admitted = self.preview(vocabulary)
            seen = self._seen.classes if self._seen is not None else ()
            known = {c.id for c in seen}
            self._seen = Vocabulary(seen + tuple(c for c in admitted.classes if c.id not in known))
            return admitted

    def restore(self, vocabulary: Vocabulary) -> None:
        """Remember a vocabulary with the ids that it had in an earlier run.

        Raises:
            ConfigError: one of them has another name in this run.
        """
        with self._lock:
            older = self._seen.classes if self._seen is not None else ()
            known = {(c.id, _key(c.name)) for c in older}
            new = tuple(c for c in vocabulary.classes if (c.id, _key(c.name)) not in known)
            self._seen = Vocabulary(older + new)


def from_names(names: Iterable[str]) -> Vocabulary:
    """Make a vocabulary of plain names with generated, well separated colours."""
    return Vocabulary(
        tuple(SemanticClass(i, name, colour_of(i)) for i, name in enumerate(names, start=1))
    )


def without_repeats(names: Iterable[str]) -> tuple[str, ...]:
    """Return names, each once: some models give two of their classes the same one."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(_key(name), name)
    return tuple(first.values())


def apply_groups(vocabulary: Vocabulary, groups: Mapping[str, Sequence[str]]) -> Vocabulary:
    """Merge classes into groups: each becomes one class whose prompts are its members.

    Classes in no group keep their name; ids are given anew in order of first appearance. A group
    has the colour, minimum confidence, source and thingness of its first member.

    Raises:
        ConfigError: a member is unknown to the vocabulary, stands in two groups, or is a
            negative among others.
    """
    group_of: dict[str, str] = {}
    for group, members in groups.items():
        for member in members:
            found = vocabulary.find(member)
            if found is None:
                raise ConfigError(
                    f'group {group!r} names {member!r}, which is not a class of the model'
                    + suggestion(member, vocabulary.names)
                )
            if found.name in group_of:
                raise ConfigError(
                    f'{member!r} stands in groups {group_of[found.name]!r} and {group!r}'
                )
            group_of[found.name] = group
    merged: dict[str, SemanticClass] = {}
    for c in vocabulary.classes:
        name = group_of.get(c.name, c.name)
        previous = merged.get(name, replace(c, id=len(merged) + 1, name=name, prompts=()))
        if previous.negative != c.negative:
            raise ConfigError(f'group {name!r} mixes negatives with classes to label')
        looks = (*(previous.looks if name in merged else ()), *c.appearances)
        merged[name] = replace(previous, prompts=(*previous.prompts, *c.names), looks=looks)
    return Vocabulary(tuple(merged.values()))


def colour_of(index: int) -> tuple[int, int, int]:
    """Return a colour for the index-th class: golden-angle hues at three brightnesses."""
    hue = (index * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(
        hue, (0.85, 0.6, 0.75)[index % 3], (0.95, 0.8, 0.65)[index // 3 % 3]
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def _key(name: str) -> str:
    return ' '.join(name.replace('_', ' ').replace('-', ' ').split()).casefold()


def _require_distinct(what: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f'the {what} {value!r} stands in the vocabulary twice')
        seen.add(value)
