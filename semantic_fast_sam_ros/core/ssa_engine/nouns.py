"""Names out of captions: the nouns of English sentences, with textblob's tagger.

textblob carries its lexicon and rules inside its package, so nothing is downloaded: spaCy's and
nltk's taggers need data that the package index does not have.
"""

import re
from collections.abc import Iterator

from semantic_fast_sam_ros.core.base.errors import ModelError

PLURALS = ('NNS', 'NNPS')
NOUNS = ('NN', 'NNP', *PLURALS)
COMPOUND = 2  # nouns that make a name at most: traffic light, city street
LONGEST = 30  # letters of a name
# Nouns of captions that say where or how, and name no thing.
_EMPTY = (
    'area back background bottom bunch camera close closeup color corner couple day edge end '
    'foreground front group image left lot middle number pair part photo photograph picture piece '
    'reflection right row scene section set shape shot side sides slice surface thing top type '
    'variety view way word'
)
EMPTY_NOUNS = frozenset(_EMPTY.split())
# Words that have no singular of their own; the inflector would make one up.
_PLURAL = (
    'binoculars clothes glasses goggles jeans leggings pajamas pants pliers scissors shorts '
    'stairs sunglasses tights tongs trousers'
)
ALWAYS_PLURAL = frozenset(_PLURAL.split())
NAME = re.compile(r"[a-z][a-z' -]*")


def nouns(caption: str) -> tuple[str, ...]:
    """Return the names in a caption in order, each once: lower case, singular, no adjectives.

    Adjectives are left out so that `a blue bus` and `a white bus` are one class.
    """
    return tuple(dict.fromkeys(_names(caption)))


def require_tagger() -> None:
    """Load the tagger, which takes seconds.

    Raises:
        ModelError: textblob is not installed.
    """
    try:
        _tagged('a tree')
    except ImportError as error:
        raise ModelError(
            'the labeller ssa_engine reads captions with textblob, which is not installed: '
            'pip install textblob'
        ) from error


def _names(caption: str) -> Iterator[str]:
    run: list[tuple[str, str]] = []
    for word, tag in (*_tagged(caption), ('', '')):
        if tag in NOUNS:
            run.append((word, tag))
            continue
        if run:
            name = _name(run[-COMPOUND:])
            if name:
                yield name
        run = []


def _name(run: list[tuple[str, str]]) -> str:
    """Return the name that consecutive nouns make, '' if they name no thing."""
    (*modifiers, (head, tag)) = run
    if head in EMPTY_NOUNS:
        return ''
    words = [word for word, _ in modifiers if word not in EMPTY_NOUNS]
    name = ' '.join([*words, _singular(head) if tag in PLURALS else head])
    return name if len(name) <= LONGEST and NAME.fullmatch(name) else ''


def _singular(word: str) -> str:
    from textblob.en.inflect import singularize

    return word if word in ALWAYS_PLURAL else str(singularize(word))


def _tagged(caption: str) -> list[tuple[str, str]]:
    from textblob.en import tag

    return [(str(word), str(kind)) for word, kind in tag(caption.lower())]
