"""Punkt's view of tokens: where a word ends, what its type is, and whether it ends a sentence.

Stands behind `punkt.py`, which asks only about the few candidates that need it. The rules are
those of Kiss and Strunk (2006), section 4, with the details of nltk 3.10, the oracle of the tests.
"""

import re
from collections.abc import Iterable
from typing import Any

from pipeline.splitters.punkt_characters import (
    DIGITS,
    ENDS,
    MARKS,
    NO_START,
    SPACES,
    chunk_start,
    is_letter,
)

_DOTS = rf"\.[{SPACES}]\.[{SPACES}]\."
_TOKEN = re.compile(
    rf"""-{{2,}} | \.{{2,}} | \.[{SPACES}](?:\.[{SPACES}])+\.
      | [^{SPACES}{NO_START}](?:
            [^{SPACES}{MARKS},.-]++
          | -(?!-)
          | \.(?!\.|[{SPACES}]\.[{SPACES}]\.)
          | ,(?!\Z|[{SPACES}{MARKS}]|--|\.\.|{_DOTS})
        )*+
      | [^{SPACES}]""",
    re.VERBOSE,
)

_LISTED_CHARACTERS = 4096
"""Tokens of a longer line are found one by one, so that a text without spaces needs no list."""

_REMEMBERED_CHUNKS, _REMEMBERED_CHARACTERS = 1 << 15, 64

_UPPER_INSIDE, _UPPER, _LOWER_FIRST, _LOWER = 4, 14, 16, 112
"""Flags of the orthography table: upper case inside a sentence, upper case anywhere, lower case at
a sentence's start, lower case anywhere."""

_PUNCTUATION = frozenset(";:,.!?")
_NUMBER_TYPE = "##number##"
_NUMBER = re.compile(rf"-?[.,]?[{DIGITS}][{DIGITS},.-]*+")


class TokenRules:
    """Whether a word of a context ends a sentence, under fixed parameters."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._abbreviations = frozenset(parameters["abbreviations"])
        self._collocations = frozenset(map(tuple, parameters["collocations"]))
        self._starters = frozenset(parameters["sentence_starters"])
        self._orthography: dict[str, int] = parameters["orthography"]
        self.special_words = self._abbreviations | {pair[0] for pair in self._collocations}
        """Lower-case types that a full stop may follow without ending a sentence."""

    def has_break(self, context: str) -> bool:
        """Whether any token but the last of `context` ends a sentence.

        Lines are cut at U+000A and a blank line holds no token, as in nltk.
        """
        last = ""
        for line in context.split("\n"):
            for token in _tokens(line) if line.strip() else ():
                if last == "?" or last == "!" or (last[-1:] == "." and self._ends(last, token)):
                    return True
                last = token
        return False

    def always_ends(self, chunk: str) -> bool:
        """Whether a full stop behind `chunk` ends a sentence whatever word or mark follows.

        `chunk` is what stands before the full stop and behind the ASCII space before it. False
        where its inner ends, or the word that follows, must be looked at.
        """
        if any(character in ENDS or character.isspace() for character in chunk):
            return False
        token = [*_tokens(chunk + ".")][-1]
        is_initial = len(token) == 2 and is_letter(token[0])
        depends = is_initial or _type_of(token) == _NUMBER_TYPE or self._is_abbreviation(token)
        return not depends and (token.lower()[:-1] or ".") not in self.special_words

    def _ends(self, token: str, following: str) -> bool:
        """Whether `token`, which ends in a full stop, ends a sentence before `following`."""
        word_type = _type_of(token)
        if len(word_type) > 1 and word_type[-1] == ".":
            word_type = word_type[:-1]
        next_type = self._type_of_following(following)
        if (word_type, next_type) in self._collocations:
            return False
        is_abbreviation = self._is_abbreviation(token)
        is_initial = len(token) == 2 and is_letter(token[0])
        is_ellipsis = len(token) > 1 and not token.strip(".")
        ends = not (is_abbreviation or token[-2:] == "..")
        if not is_initial and (is_abbreviation or is_ellipsis):
            if self._opens(following, next_type):
                return True
            if following[0].isupper() and next_type in self._starters:
                return True
        if is_initial or word_type == _NUMBER_TYPE:
            opens = self._opens(following, next_type)
            flags = self._orthography.get(next_type, 0)
            if opens is False:
                return False
            if opens is None and is_initial and following[0].isupper() and not flags & _LOWER:
                return False
        return ends

    def _is_abbreviation(self, word: str) -> bool:
        if word == "." or word[-2:] == "..":
            return False
        word = word[:-1].lower()
        return word in self._abbreviations or word.rpartition("-")[2] in self._abbreviations

    def _type_of_following(self, token: str) -> str:
        """Type without the full stop that by itself would end a sentence."""
        found = _type_of(token)
        if len(found) > 1 and found[-1] == "." and token[-2:] != "..":
            return found if self._is_abbreviation(token) else found[:-1]
        return found

    def _opens(self, word: str, word_type: str) -> bool | None:
        """Whether `word` looks like the first word of a sentence; None when that is unknown."""
        if word in _PUNCTUATION:
            return False
        flags = self._orthography.get(word_type, 0)
        if word[0].isupper() and flags & _LOWER and not flags & _UPPER_INSIDE:
            return True
        if word[0].islower() and (flags & _UPPER or not flags & _LOWER_FIRST):
            return False
        return None


class Verdicts(dict[str, bool]):
    """`rules.always_ends` of the last chunk of a text, remembered for a bounded number."""

    def __init__(self, rules: TokenRules) -> None:
        super().__init__()
        self._rules = rules
        self._special = rules.special_words

    def __missing__(self, text: str) -> bool:
        is_word = len(text) > 1 and text.isalpha()
        chunk = text if is_word else text[chunk_start(text, 0, len(text)) :]
        if len(chunk) < len(text):
            return self[chunk]
        if len(self) >= _REMEMBERED_CHUNKS:
            self.clear()
        verdict = text.lower() not in self._special if is_word else self._rules.always_ends(text)
        if len(text) <= _REMEMBERED_CHARACTERS:
            self[text] = verdict
        return verdict


def _tokens(line: str) -> Iterable[str]:
    if len(line) <= _LISTED_CHARACTERS:
        return _TOKEN.findall(line)
    return (match.group() for match in _TOKEN.finditer(line))


def _type_of(token: str) -> str:
    lower = token.lower()
    return _NUMBER_TYPE if _NUMBER.fullmatch(lower) else lower
