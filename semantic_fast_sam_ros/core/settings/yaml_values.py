"""Values as YAML, launch files and command lines give them, in the type of their setting."""

import array
from contextlib import suppress

from semantic_fast_sam_ros.core.settings.setting import Setting

NUMBERS = ('clip.scales', 'dense.mean', 'dense.std')  # texts that may be given as numbers
LISTS = ('vocabulary', 'cameras', 'clip.negatives', 'query.negatives', 'dense.classes', *NUMBERS)
TRUTH = {'true': True, 'false': False}


def converted(known: Setting, value: object) -> object:
    """Return a value in a setting's type where only one is meant, else as it is."""
    if isinstance(value, array.array):  # rclpy's lists of numbers
        value = value.tolist()
    if value is False and 'off' in known.choices:
        return 'off'  # written without quotes
    if known.kind is str:
        return _text(known.name, value)
    with suppress(ValueError, OverflowError):
        if isinstance(value, str):
            return (
                TRUTH.get(value.strip().lower(), value)
                if known.kind is bool
                else _number(known, float(value))
            )
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(known, value)
    return value


def hint(known: Setting, value: object) -> str:
    """Return how a value that was refused for its type is to be written."""
    if known.kind is not str:
        return ''
    if value is None:
        return f": leave the line out, or write {known.name}: ''"
    if isinstance(value, bool):
        return (
            ': YAML reads a bare on, off, yes and no as true and false; '
            f"with quotes it is a text, such as {known.name}: '{'on' if value else 'off'}'"
        )
    if isinstance(value, int | float):
        return f": write {known.name}: '{value}'"
    if isinstance(value, list | tuple):
        return ": put quotes round each name that YAML reads as something else, such as ['off']"
    return ''


def _text(name: str, value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == 'device' and (type(value) is int or (isinstance(value, str) and value.isdecimal())):
        return f'cuda:{value}'  # as torch and ultralytics count
    if name in LISTS and isinstance(value, list | tuple) and value:
        taken = (str, int, float) if name in NUMBERS or name == 'cameras' else (str,)
        if all(isinstance(v, taken) and not isinstance(v, bool) for v in value):
            return ', '.join(map(str, value))
    return str(value) if number and name in NUMBERS else value


def _number(known: Setting, value: float) -> object:
    if known.kind is float:
        return float(value)
    return int(value) if known.kind is int and value == int(value) else value
