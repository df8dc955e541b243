"""Finding the passages that have to do with a question: BM25 for the order, weighed words for how sure that is."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from pipeline.dialogue.base import Passage
from pipeline.dialogue.documents import split_sentences
from pipeline.languages import primary_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.dialogue.documents import Piece

_N_SENTENCES = 2
_STEMMERS = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
_STOP_WORDS = {
    "da": "DANISH",
    "de": "GERMAN",
    "en": "EN_PLUS",
    "fr": "FRENCH",
    "it": "ITALIAN",
    "nb": "NORWEGIAN",
    "nl": "DUTCH",
    "pt": "PORTUGUESE",
    "ru": "RUSSIAN",
    "sv": "SWEDISH",
    "tr": "TURKISH",
}
_ASKING = {
    "en": "how what when where which who whom whose why can could would do does did may many much long please tell "
    "like want need id ill im ive"
}
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Han
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")


class Index:
    """Passages that can be searched in one language.

    Words are compared by their stems, without case and diacritics; Chinese and Japanese by pairs of signs.

    Parameters
    ----------
    pieces : sequence of Piece
        At least one.
    language : str
        Of the questions; decides the stems and which words say nothing.
    """

    def __init__(self, pieces: Sequence[Piece], language: str) -> None:
        import bm25s

        self._words = _Words(language)
        self._pieces = pieces
        self._tokens = [set(self._words.of(f"{piece.heading} {piece.text}")) for piece in pieces]
        self._n_with: dict[str, int] = {}
        for tokens in self._tokens:
            for token in tokens:
                self._n_with[token] = self._n_with.get(token, 0) + 1
        self._ranker = bm25s.BM25()
        corpus = [self._words.of(f"{piece.heading} {piece.text}") for piece in pieces]
        if self._n_with:  # else there is nothing to find
            self._ranker.index(corpus, show_progress=False)

    def search(self, question: str, n_best: int = 3) -> tuple[Passage, ...]:
        """Return the passages nearest to a question, the best first; none that shares no word with it."""
        asked = list(dict.fromkeys(self._words.of(question)))
        known = [token for token in asked if token in self._n_with]
        if not known:
            return ()
        scores = self._ranker.get_scores(known)
        order = sorted(range(len(self._pieces)), key=lambda place: -scores[place])[:n_best]
        return tuple(self._passage(place, asked) for place in order if scores[place] > 0)

    def _passage(self, place: int, asked: Sequence[str]) -> Passage:
        piece = self._pieces[place]
        whole = sum(self._weight(token) for token in asked)
        found = sum(self._weight(token) for token in asked if token in self._tokens[place])
        answer = piece.text if piece.is_answer else self._nearest(piece.text, asked)
        heading = f"{piece.heading}: " if piece.heading else ""
        return Passage(heading + piece.text, piece.source, found / whole, answer)

    def _nearest(self, text: str, asked: Sequence[str]) -> str:
        """Return the sentence that holds most of the question, and the one that adds most to it, if any does."""
        sentences = split_sentences(text)
        tokens = [set(self._words.of(sentence)) for sentence in sentences]
        left = set(asked)
        taken: list[int] = []
        for _ in range(_N_SENTENCES):
            weights = [sum(map(self._weight, left & of_sentence)) for of_sentence in tokens]
            best = max(range(len(sentences)), key=weights.__getitem__)
            if taken and not weights[best]:
                break
            taken.append(best)
            left -= tokens[best]
        return " ".join(sentences[place] for place in sorted(taken))

    def _weight(self, token: str) -> float:
        """Return the inverse document frequency of a token, as in BM25; a word that is nowhere weighs most."""
        n_with = self._n_with.get(token, 0)
        return math.log(1 + (len(self._pieces) - n_with + 0.5) / (n_with + 0.5))


class _Words:
    """Cuts text into what is compared."""

    def __init__(self, language: str) -> None:
        import bm25s.stopwords
        import Stemmer

        code = primary_language(language)
        name = _STEMMERS.get(code)
        self._stemmer: Any = Stemmer.Stemmer(name) if name is not None else None
        listed = getattr(bm25s.stopwords, f"STOPWORDS_{_STOP_WORDS.get(code)}", ())
        self._stop_words = {_fold(word) for word in (*listed, *_ASKING.get(code, "").split())}

    def of(self, text: str) -> list[str]:
        return list(self._cut(_fold(text)))

    def _cut(self, text: str) -> Iterator[str]:
        for run in _RUN.findall(text):
            if re.match(f"[{_UNSPACED}]", run):
                yield from (run[place : place + 2] for place in range(max(1, len(run) - 1)))
            elif run not in self._stop_words:
                yield self._stemmer.stemWord(run) if self._stemmer is not None else run


def _fold(text: str) -> str:
    """Return it without case, width, apostrophes, and the accents of Latin, Greek and Cyrillic letters."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", re.sub("[\u0300-\u036f'\u2019]", "", plain))
