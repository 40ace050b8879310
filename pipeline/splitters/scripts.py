"""Which documents are split by the rule for Chinese and Japanese: by language name or by letters.

Stands behind `pipeline.sentences`. Both answers depend on nothing but their argument.
"""

import re

CJK_LETTERS = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u3096\u3099-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""Inside of a character class: Han, kana and bopomofo. Hangul is not among them."""

_CJK_RUN = re.compile(f"[{CJK_LETTERS}]++")
_LANGUAGES = frozenset(
    {"zh", "zho", "chi", "cmn", "yue", "lzh", "chinese", "mandarin", "cantonese", "中文"}
    | {"ja", "jp", "jpn", "japanese", "日本語", "汉语", "漢語"}
)
_SLICES, _SLICE_CHARACTERS = 8, 256


def is_cjk_language(language: str) -> bool:
    """Whether a language name or code is Chinese or Japanese: `zh`, `zh-CN`, `ja_JP`, `Chinese`."""
    return re.split(r"[-_ (]", language.strip().casefold())[0] in _LANGUAGES


def is_cjk(text: str) -> bool:
    """Whether more than half of a text's letters are Han, kana or bopomofo.

    Looks at 2,048 characters at most: the whole of a short text, else eight equally spaced slices.
    """
    sample = _sample(text)
    if sample.isascii() or not _CJK_RUN.search(sample):
        return False
    others = _CJK_RUN.sub("", sample)
    return len(sample) - len(others) > sum(map(str.isalpha, others))


def _sample(text: str) -> str:
    if len(text) <= _SLICES * _SLICE_CHARACTERS:
        return text
    step = (len(text) - _SLICE_CHARACTERS) / (_SLICES - 1)
    starts = [int(number * step) for number in range(_SLICES)]
    return "".join(text[start : start + _SLICE_CHARACTERS] for start in starts)
