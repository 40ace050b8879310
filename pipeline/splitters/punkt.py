"""text -> sentences by Punkt (Kiss and Strunk 2006): exactly nltk's spans, several times as fast.

Stands behind `pipeline.sentences`. A *chunk* is a run of characters without ASCII space. Of a
chunk with `.`, `?` or `!`, nltk judges one candidate, the last one that a space or a mark follows.
One compiled pattern walks over those chunks. Most of them end in a plain word and need no look at
tokens; the others are judged by `punkt_tokens.py`. Time grows with the length of the text, whatever
the text is.
"""

import re
from collections.abc import Iterator
from typing import Any

from pipeline.splitters.punkt_characters import (
    BREAKS,
    CLOSERS,
    ENDS,
    MARKS,
    OTHER_SPACES,
    SEPARATORS,
    SPACES,
    chunk_start,
)
from pipeline.splitters.punkt_tokens import TokenRules, Verdicts

_OPENED, _CLOSED, _ODD = 1, 2, 3
_CHUNK = re.compile(
    rf"""[{ENDS}](?:
        [{BREAKS}][{SPACES}]*+(?=[^{SPACES}{CLOSERS}])                     # ends its chunk
      | [{BREAKS}][{SPACES}]*+(?=[{CLOSERS}])()                            # 1: a closer follows
      | ([{CLOSERS}]++)[{BREAKS}][{SPACES}]*+(?=[^{SPACES}])               # 2: closers between
      | (?:
            (?<![^{BREAKS}][{ENDS}])[{MARKS}{OTHER_SPACES}][^{BREAKS}]*+   # opens its chunk
          | [{MARKS}{OTHER_SPACES}]
            (?:[^{BREAKS}{ENDS}]++|[{ENDS}](?![{MARKS}{SPACES}]))*+(?![{ENDS}])
          | (?=[{SPACES}]++\Z)
        )[{SPACES}]*+()                                                     # 3: odd
    )""",
    re.VERBOSE,
)
_ANY_CHUNK = re.compile(rf"[{ENDS}][^{BREAKS}]*+[{SPACES}]*+()()()")
_CANDIDATE = re.compile(rf"[{ENDS}](?:(?=[{MARKS}])|(?=([{SPACES}]++)[^{SPACES}]))")
_WORD = re.compile(rf"[^{SPACES}]++")
_REALIGNED = re.compile(rf"([{CLOSERS}]++)(?:[{SPACES}]++|(?=--)|\Z)")

_Break = tuple[int, int]
"""Where a sentence stops and where the next one starts."""


class Punkt:
    """Punkt with fixed parameters; what it remembers between texts changes no result."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._rules = TokenRules(parameters)
        self._always_ends = Verdicts(self._rules)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Sentences as ascending half-open character ranges: nltk's `span_tokenize`.

        Time is linear in the text. White space, if anything, lies between two sentences.
        """
        spans: list[tuple[int, int]] = []
        doubtful: list[int] = []
        always_ends = self._always_ends
        start = low = 0
        for match in (_ANY_CHUNK if _has_separators(text) else _CHUNK).finditer(text):
            kind = match.lastindex
            end, following = match.span()
            if kind == _ODD:
                for stop, next_start in self._odd_breaks(text, low, end, following):
                    spans.append((start, stop))
                    doubtful.append(len(spans))
                    start = next_start
                low = following
                continue
            if (
                text[end] == "."
                and not always_ends[text[text.rfind(" ", low, end) + 1 or low : end]]
                and not self._ends(text, low, end, end + 1 if kind == _CLOSED else following)
            ):
                low = following
                continue
            spans.append((start, match.end(_CLOSED) if kind == _CLOSED else end + 1))
            start = low = following
            if kind == _OPENED:
                doubtful.append(len(spans))
        spans.append((start, len(text.rstrip())))
        return _realigned(text, spans, doubtful)

    def _ends(self, text: str, low: int, end: int, following: int) -> bool:
        """Whether the chunk's candidate at `end` ends a sentence, judged by its tokens."""
        first = chunk_start(text, low, end)
        return self._rules.has_break(text[first : _context_stop(text, end + 1, following)])

    def _odd_breaks(self, text: str, low: int, end: int, following: int) -> Iterator[_Break]:
        """Breaks of the chunk that holds `end` and stops before `following`; at most two.

        nltk judges the last candidate of a chunk and, by an accident of its search for
        overlaps, also one that is the chunk's first character.
        """
        first = chunk_start(text, low, end)
        candidates = _CANDIDATE.finditer(text, first, following + 1)
        opening = last = next(candidates, None)
        for last in candidates:  # noqa: B007 (the last one is wanted, and no list of all)
            pass
        if opening is None or last is None:
            return
        opens = opening.start() == first and (first == 0 or text[first - 1] in BREAKS)
        if opens and first != 1 and last is not opening:
            yield from self._judged(text, first, opening)
        yield from self._judged(text, first, last)

    def _judged(self, text: str, first: int, candidate: re.Match[str]) -> Iterator[_Break]:
        stop = candidate.end()
        following = candidate.end(1) if candidate.lastindex else stop
        if self._rules.has_break(text[first : _context_stop(text, stop, following)]):
            yield stop, following


def _has_separators(text: str) -> bool:
    return any(separator in text for separator in SEPARATORS)


def _context_stop(text: str, stop: int, following: int) -> int:
    """End of what nltk looks at behind a candidate that stops at `stop`: a mark, or a word."""
    if following == stop:
        return stop + 1
    match = _WORD.match(text, following)
    assert match, "a word follows, the pattern says"
    return match.end()


def _realigned(
    text: str, spans: list[tuple[int, int]], doubtful: list[int]
) -> list[tuple[int, int]]:
    """`spans` after closers at the start of the doubtful ones moved to the span before each."""
    for number in doubtful:
        start, stop = spans[number]
        match = _REALIGNED.match(text, start, stop)
        if match:
            spans[number - 1] = (spans[number - 1][0], match.end(1))
            spans[number] = (match.end(), stop)
    return [span for span in spans if span[0] < span[1]]
