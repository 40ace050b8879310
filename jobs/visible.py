"""Text that is safe to print: no character of anybody's data acts on the terminal or the page.

Used by `console.py` for every message and by `visible_text.py` for decoded tokens.
"""

import unicodedata

_ACTING_KINDS = ("Cc", "Cf", "Cs", "Zl", "Zp")
_HARMLESS = "\n\t\u200c\u200d"
"""Of these kinds, but wanted: line feed, tab, and the joiners that scripts and emoji need."""


def visible(text: str) -> str:
    """`text` without characters that act: a control, direction or the like becomes `<U+202E>`.

    Line feed, tab and the joiners of scripts stay.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    acts = unicodedata.category(character) in _ACTING_KINDS
    return f"<U+{ord(character):04X}>" if acts and character not in _HARMLESS else character
