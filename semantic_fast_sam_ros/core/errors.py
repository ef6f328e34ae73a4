"""The errors this package raises: what a caller can do about each decides its class."""


class SemanticFastSamError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(SemanticFastSamError):
    """A setting, vocabulary or group map is wrong: the user has to change it."""


class ModelError(SemanticFastSamError):
    """A model file is missing, damaged, not trusted or of an unknown kind."""


class FrameError(SemanticFastSamError):
    """One image cannot be processed: it is dropped, the next one may be good."""
