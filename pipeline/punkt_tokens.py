"""Punkt's view of tokens: where a word ends, what its type is, and whether it ends a sentence.

Stands behind `pipeline.punkt`, which asks only about the few candidates that need it. The rules are
those of Kiss and Strunk (2006), section 4, with the details of nltk 3.10, the oracle of the tests.
"""

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterable
from typing import Any

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Inside of a character class: Unicode's White_Space. Python adds U+001C..U+001F, nltk does not."""

BREAKS = " \t\n\r\x0b\x0c"
"""The spaces between chunks; others may stand inside of one."""

ENDS = ".?!"
MARKS = ")\";}\\]*:@'({\\[\u2018\u2019\u201c\u201d\xab\xbb?!"
"""Inside of a character class: what no word contains; behind an end it makes a candidate."""

_NO_START = '("`{\\[:;&#*@)}\\]\\-,'
_DOTS = rf"\.[{SPACES}]\.[{SPACES}]\."
_TOKEN = re.compile(
    rf"""-{{2,}} | \.{{2,}} | \.[{SPACES}](?:\.[{SPACES}])+\.
      | [^{SPACES}{_NO_START}](?:
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
_DIGITS = (
    "\\d\U00010d40-\U00010d49\U000116d0-\U000116e3\U00011bf0-\U00011bf9\U00011de0-\U00011de9"
    "\U00011f50-\U00011f59\U00016130-\U00016139\U00016d70-\U00016d79\U0001ccf0-\U0001ccf9"
    "\U0001e4f0-\U0001e4f9\U0001e5f1-\U0001e5fa"
)
_NUMBER = re.compile(rf"-?[.,]?[{_DIGITS}][{_DIGITS},.-]*+")
_LETTER_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nl", "Pc"}
# Word characters of no such category in Unicode 14, the version of Python 3.11: joiners, letters
# in circles, and what later versions added. First and last of each range, as nltk's engine has it.
_MORE_LETTERS = [
    int(bound, 16)
    for bounds in [
        "558",
        "58b-58c",
        "5c8-5c9",
        "88f",
        "897",
        "b53-b54",
        "c5c",
        "cdc",
        "cf3",
        "ece",
        "1acf-1af0",
        "1c89-1c8a",
        "200c-200d",
        "208f",
        "209d-209f",
        "24b6-24e9",
        "a7cb-a7cf",
        "a7d2",
        "a7d4",
        "a7da-a7dd",
        "a7e2",
        "a7f1",
        "ab6c-ab6d",
        "105c0-105f3",
        "107bb-107bf",
        "10940-10959",
        "10d4a-10d65",
        "10d69-10d6d",
        "10d6f-10d85",
        "10ec2-10ec7",
        "10ecb-10ecf",
        "10ed9-10eee",
        "10ef0-10eff",
        "1123f-11241",
        "11380-11389",
        "1138b",
        "1138e",
        "11390-113b5",
        "113b7-113c0",
        "113c2",
        "113c5",
        "113c7-113ca",
        "113cc-113d3",
        "113e1-113e2",
        "11b0a",
        "11b60-11b67",
        "11bc0-11be0",
        "11db0-11ddb",
        "11df0-11df1",
        "11f00-11f10",
        "11f12-11f3a",
        "11f3e-11f42",
        "11f5a",
        "1246f",
        "12475-1247f",
        "12550-12686",
        "1342f",
        "13440-13455",
        "13460-143fa",
        "16100-1612f",
        "16d40-16d6c",
        "16ea0-16eb8",
        "16ebb-16ed3",
        "16ff2-16ff6",
        "187f8-187ff",
        "18cd6-18cda",
        "18cff",
        "18d09-18d20",
        "18d80-18df2",
        "18e00-19191",
        "191a0-191d2",
        "1b123-1b128",
        "1b132",
        "1b155",
        "1b168",
        "1d127-1d128",
        "1d250-1d252",
        "1d25b-1d25c",
        "1d25f",
        "1d280-1d281",
        "1d6a6",
        "1df1f-1df81",
        "1df90-1df96",
        "1dfcd-1dfff",
        "1e030-1e06d",
        "1e08f",
        "1e4d0-1e4ef",
        "1e5d0-1e5f0",
        "1e6c0-1e6de",
        "1e6e0-1e6f5",
        "1e6fe-1e6ff",
        "1f130-1f149",
        "1f150-1f169",
        "1f170-1f189",
        "2b739-2b73f",
        "2b81e",
        "2cea2-2cead",
        "2ebf0-2ee5d",
        "31350-33479",
        "3d000-3fc3f",
    ]
    for bound in (bounds.split("-") * 2)[:2]
]


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


def chunk_start(text: str, low: int, end: int) -> int:
    """Start of the chunk that reaches `end`; not below `low`."""
    low = text.rfind(" ", low, end) + 1 or low
    if not text[low:end].isprintable():
        low = max(text.rfind(space, low, end) for space in BREAKS) + 1 or low
    return low


def is_letter(character: str) -> bool:
    """Whether `character` is a word character and no digit, by nltk's regular expressions."""
    if character.isalpha() or unicodedata.category(character) in _LETTER_CATEGORIES:
        return True
    place = bisect(_MORE_LETTERS, ord(character))
    return place % 2 == 1 or (place > 0 and _MORE_LETTERS[place - 1] == ord(character))


def _type_of(token: str) -> str:
    lower = token.lower()
    return _NUMBER_TYPE if _NUMBER.fullmatch(lower) else lower
