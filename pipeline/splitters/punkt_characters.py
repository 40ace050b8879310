"""Characters as nltk's regular expressions class them; Python's own classes differ a little.

Stands behind `punkt.py` and `punkt_tokens.py`. Upper-case names are the insides of character
classes.
"""

import re
import unicodedata

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space. Python adds U+001C..U+001F, nltk does not."""

SEPARATORS = "\x1c\x1d\x1e\x1f"
"""White space to Python's `strip`, and a word to nltk's patterns."""

BREAKS = " \t\n\r\x0b\x0c"
"""The spaces between chunks; others may stand inside of one."""

OTHER_SPACES = SPACES.replace("\t-\r ", "")

ENDS = ".?!"

MARKS = ")\";}\\]*:@'({\\[\u2018\u2019\u201c\u201d\xab\xbb?!"
"""What no word contains; behind an end it makes a candidate."""

NO_START = '("`{\\[:;&#*@)}\\]\\-,'
"""What no word starts with."""

CLOSERS = "\"')\\]}\u2018\u2019\u201c\u201d\xab\xbb"
"""What may move to the sentence before it."""

DIGITS = (
    "\\d\U00010d40-\U00010d49\U000116d0-\U000116e3\U00011bf0-\U00011bf9\U00011de0-\U00011de9"
    "\U00011f50-\U00011f59\U00016130-\U00016139\U00016d70-\U00016d79\U0001ccf0-\U0001ccf9"
    "\U0001e4f0-\U0001e4f9\U0001e5f1-\U0001e5fa"
)
"""Decimal digits, those included that Unicode 14, the version of Python 3.11, lacks."""

_LETTER_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nl", "Pc"}

# Word characters of no such category in Unicode 14: joiners, letters in circles, later additions.
_MORE_LETTERS = re.compile(
    "["
    "\u0558\u058b\u058c\u05c8\u05c9\u088f\u0897\u0b53\u0b54\u0c5c\u0cdc\u0cf3\u0ece\u1acf-\u1af0"
    "\u1c89\u1c8a\u200c\u200d\u208f\u209d-\u209f\u24b6-\u24e9\ua7cb-\ua7cf\ua7d2\ua7d4"
    "\ua7da-\ua7dd\ua7e2\ua7f1\uab6c\uab6d\U000105c0-\U000105f3\U000107bb-\U000107bf"
    "\U00010940-\U00010959\U00010d4a-\U00010d65\U00010d69-\U00010d6d\U00010d6f-\U00010d85"
    "\U00010ec2-\U00010ec7\U00010ecb-\U00010ecf\U00010ed9-\U00010eee\U00010ef0-\U00010eff"
    "\U0001123f-\U00011241\U00011380-\U00011389\U0001138b\U0001138e\U00011390-\U000113b5"
    "\U000113b7-\U000113c0\U000113c2\U000113c5\U000113c7-\U000113ca\U000113cc-\U000113d3"
    "\U000113e1\U000113e2\U00011b0a\U00011b60-\U00011b67\U00011bc0-\U00011be0"
    "\U00011db0-\U00011ddb\U00011df0\U00011df1\U00011f00-\U00011f10\U00011f12-\U00011f3a"
    "\U00011f3e-\U00011f42\U00011f5a\U0001246f\U00012475-\U0001247f\U00012550-\U00012686"
    "\U0001342f\U00013440-\U00013455\U00013460-\U000143fa\U00016100-\U0001612f"
    "\U00016d40-\U00016d6c\U00016ea0-\U00016eb8\U00016ebb-\U00016ed3\U00016ff2-\U00016ff6"
    "\U000187f8-\U000187ff\U00018cd6-\U00018cda\U00018cff\U00018d09-\U00018d20"
    "\U00018d80-\U00018df2\U00018e00-\U00019191\U000191a0-\U000191d2\U0001b123-\U0001b128"
    "\U0001b132\U0001b155\U0001b168\U0001d127\U0001d128\U0001d250-\U0001d252\U0001d25b\U0001d25c"
    "\U0001d25f\U0001d280\U0001d281\U0001d6a6\U0001df1f-\U0001df81\U0001df90-\U0001df96"
    "\U0001dfcd-\U0001dfff\U0001e030-\U0001e06d\U0001e08f\U0001e4d0-\U0001e4ef"
    "\U0001e5d0-\U0001e5f0\U0001e6c0-\U0001e6de\U0001e6e0-\U0001e6f5\U0001e6fe\U0001e6ff"
    "\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189\U0002b739-\U0002b73f"
    "\U0002b81e\U0002cea2-\U0002cead\U0002ebf0-\U0002ee5d\U00031350-\U00033479"
    "\U0003d000-\U0003fc3f"
    "]"
)


def is_letter(character: str) -> bool:
    """Whether `character` is a word character and no digit."""
    if character.isalpha() or unicodedata.category(character) in _LETTER_CATEGORIES:
        return True
    return _MORE_LETTERS.match(character) is not None


def chunk_start(text: str, low: int, end: int) -> int:
    """Start of the chunk that reaches `end`; not below `low`."""
    low = text.rfind(" ", low, end) + 1 or low
    if not text[low:end].isprintable():
        low = max(text.rfind(space, low, end) for space in BREAKS) + 1 or low
    return low
