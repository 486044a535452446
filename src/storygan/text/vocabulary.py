"""The words that a model was trained on, and those of a story that it was not.

They are content words: not the articles, pronouns, prepositions and auxiliaries of `FUNCTION_WORDS`. Words are compared
without common endings, so that 'walked' is known from 'walks'.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

MAX_SHOWN = 12
"""Known words in a message."""
FUNCTION_WORDS = frozenset(
    """
    a about after again all also an and another any are as at away be been before being both but by call called can
    come comes could did do does done down each every for from get go goes going gone got had has have he her here
    hers herself him himself his how i if in into is it its itself just let like me more most much my near no not now
    of off on once one only or other our out over own she should so some soon still such than that the their theirs
    them then there these they this those through to together too toward towards under until up us very was we went
    were what when where which while who whom whose why will with within without wo would yes yet you your
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+")
_ENDING = re.compile(r"(?<=..)(?:ing|ied|ies|ed|es|s|ly|en|er)$")


def content_words(sentence: str) -> list[str]:
    """Return the content words of a sentence in lower case, in order."""
    words = _WORD.findall(re.sub(r"n['’]t\b|['’]\w*", "", sentence.lower()))
    return [word for word in words if len(word) > 1 and word not in FUNCTION_WORDS]


def stem(word: str) -> str:
    """Return a word without its ending: 'walks', 'walked' and 'walking' have one stem, so 'stop' and 'stopped'."""
    word = re.sub(r"[eyi]+$", "", _ENDING.sub("", word)) or word
    return re.sub(r"(.)\1$", r"\1", word)


def vocabulary_of(sentences: Iterable[str]) -> tuple[str, ...]:
    """Return the content words of training sentences, the most frequent first."""
    return most_frequent(word for sentence in sentences for word in content_words(sentence))


def most_frequent(words: Iterable[str]) -> tuple[str, ...]:
    """Return the different words, the most frequent first."""
    counts = Counter(words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def unknown_words(sentences: Sequence[str], vocabulary: Sequence[str]) -> list[str]:
    """Return the content words of sentences that are not in a vocabulary, in order; none if it is empty."""
    if not vocabulary:
        return []
    stems = {stem(word) for word in vocabulary}
    words = [word for sentence in sentences for word in content_words(sentence)]
    return [word for word in dict.fromkeys(words) if stem(word) not in stems]


def describe_unknown(words: Sequence[str], vocabulary: Sequence[str], model: str) -> str:
    """Return a line that names the unknown words and the most frequent known ones.

    Args:
        words: of `unknown_words`, at least one.
        vocabulary: of the model.
        model: its name.
    """
    named = ", ".join(repr(word) for word in words[:MAX_SHOWN]) + (", ..." if len(words) > MAX_SHOWN else "")
    more = len(vocabulary) - MAX_SHOWN
    known = ", ".join(vocabulary[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{named}: not in the training sentences of {model}; known: {known}"
