"""The errors this package raises: what a caller can do about each decides its class."""

import difflib
from collections.abc import Iterable


class SemanticFastSamError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(SemanticFastSamError):
    """A setting, vocabulary or group map is wrong: the user has to change it."""


class ModelError(SemanticFastSamError):
    """A model file is missing, damaged, not trusted or of an unknown kind."""


class FrameError(SemanticFastSamError):
    """One image cannot be processed: it is dropped, the next one may be good."""


class NetworkError(FrameError):
    """What a network said of one image is of no use: the image was good, the network failed."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ' (did you mean ...?)' for a close match, else a list of what is known."""
    options = list(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if close:
        return f' (did you mean {close[0]!r}?)'
    return f' (known: {", ".join(options[:20])}{", ..." if len(options) > 20 else ""})'


def reason_of(error: Exception) -> str:
    """Return what an error says, for a message that has named the file already."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or else its kind."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
