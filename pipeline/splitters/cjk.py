"""text -> sentences by rule, for Chinese and Japanese.

Stands behind `pipeline.sentences`; `docs/sentences.md` gives the rule in words. Marks decide, not a
dictionary: a sentence ends at its closing mark, full-width or ASCII, at an ellipsis, and at every
line end; not at a mark that is part of a number or of a Latin word. What closes a quotation belongs
to the sentence it closes. Time is linear in the text.
"""

import re

from pipeline.splitters.scripts import CJK_LETTERS

_LINE_ENDS = "\n\r\x0b\x0c\x85\u2028\u2029"
_STRONG = "\u3002\uff01\uff1f\uff61!?\ufe57\ufe56\u203c\u2047-\u2049\ufe12\ufe15\ufe16"
_ELLIPSIS = "\u2026\u22ef"
_DOTS = ".\uff0e"
_TITLE_CLOSERS = "\u300b\u3009"
_CLOSERS = (
    f"\u201d\u2019\u300d\u300f\uff09)\u3011{_TITLE_CLOSERS}\u3015\u3017\uff3d]\uff5d}}\xbb\u203a"
    "\u301e\u301f\uff63"
)
_OPENERS = (
    "\u201c\u2018\u300c\u300e\uff08(\u3010\u300a\u3008\u3014\u3016\uff3b[\uff5b{\xab\u2039"
    "\u301d\uff62\"'"
)
_CLOSED = re.escape(_CLOSERS)
_CONTINUING = "\uff0c\u3001\uff1b\uff1a,;:"
_RUN = rf"(?:[{_STRONG}{_ELLIPSIS}]|[{_DOTS}]{{2,}})++"

_STOP = re.compile(
    rf"""[{_LINE_ENDS}]()                                          # 1: line end
      | [\u3002\uff01\uff1f]++                                    # 2: plain marks
        (?![{_STRONG}{_ELLIPSIS}{_DOTS}{_CLOSED}{_CONTINUING}"])()[^\S{_LINE_ENDS}]*+
      | (?:{_RUN}[{_CLOSED}]*+)++()                               # 3: marks, closers
      | [{_DOTS}](?![0-9a-z\uff10-\uff19\uff41-\uff5a])[{_CLOSED}]*+()  # 4: full stop
    """,
    re.VERBOSE,
)
_LINE, _PLAIN, _MARKS, _FULL_STOP = 1, 2, 3, 4
_CLOSING = re.compile(rf"[{_CLOSED}]*+")
_ONLY_OPENERS = re.compile(rf"[{re.escape(_OPENERS)}\s]*+")
_CJK_OR_CLOSER = re.compile(rf"[{CJK_LETTERS}{_CLOSED}\"%\uff05\u2103\u2030\xb0]")
_QUOTING = re.compile("\u3068(?!\u3053\u308d)|\u3063\u3066")
"""Japanese particles that join a quotation to its verb."""

_LATIN = re.compile("[0-9A-Za-z=&/#%_+-]")
_LETTERS_AT_END = re.compile("(?<![0-9A-Za-z.\xc0-\u024f])[A-Za-z\xc0-\u024f]+\\Z")
_SPACE = re.compile(r"\s*+")
_LATIN_WORD = 24
"""Letters looked at before a full stop."""

_ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "no", "nos", "fig", "figs", "eq", "vol", "vs", "al"}
    | {"cf", "ca", "pp", "ed", "eds", "co", "ltd", "inc", "corp", "jr", "sr", "var", "sp", "tel"}
)


class _Quotes:
    """Whether a straight quotation mark closes: counted from the start of its line."""

    def __init__(self) -> None:
        self._seen, self._counted = 0, 0

    def new_line(self, place: int) -> None:
        self._seen, self._counted = 0, place

    def after_closers(self, text: str, stop: int) -> int:
        """`stop` moved behind a closing straight mark at `stop` and the closers behind that."""
        if text[stop : stop + 1] != '"':
            return stop
        self._seen += text.count('"', self._counted, stop)
        self._counted = stop
        if self._seen % 2 == 0:
            return stop
        match = _CLOSING.match(text, stop + 1)
        return match.end() if match else stop + 1


def cjk_spans(text: str) -> list[tuple[int, int]]:
    """Sentences as ascending half-open character ranges; only white space lies between."""
    spans: list[tuple[int, int]] = []
    quotes = _Quotes()
    start = _skip_space(text, 0)
    is_new_line = True
    for match in _STOP.finditer(text, start):
        kind, first = match.lastindex or _LINE, match.start()
        if kind == _PLAIN and first > start:
            spans.append((start, match.end(_PLAIN)))
            start, is_new_line = match.end(), False
            continue
        if kind == _LINE:
            quotes.new_line(first)
            is_new_line = True
        if first < start:
            continue
        stop = first if kind == _LINE else match.end(kind)
        if kind in (_MARKS, _FULL_STOP):
            stop = quotes.after_closers(text, stop)
            judge = _is_end if kind == _MARKS else _is_full_stop
            if not judge(text, start, match, stop):
                continue
        if first == start and not is_new_line:
            spans[-1] = (spans[-1][0], stop)
        else:
            _add(spans, text, start, stop)
            is_new_line = kind == _LINE
        start = _skip_space(text, stop)
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, stop: int) -> None:
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    if stop > start:
        spans.append((start, stop))


def _skip_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _is_end(text: str, start: int, match: re.Match[str], stop: int) -> bool:
    """Whether a run of marks and the closers behind it end a sentence that began at `start`."""
    first, following = match.start(), text[stop : stop + 1]
    marks = match.group().rstrip(_CLOSERS)
    has_closers = stop > first + len(marks)
    if following and following in _CONTINUING and (has_closers or "\u3002" not in marks):
        return False
    if has_closers and (text[stop - 1] in _TITLE_CLOSERS or _QUOTING.match(text, stop)):
        return False
    if marks.isascii() and _LATIN.match(following) and text[first - 1 : first].isascii():
        return False
    if has_closers and first > start and text[first - 1] in _OPENERS:
        return False
    if any(mark not in _ELLIPSIS + _DOTS for mark in marks):
        return True
    opening = _ONLY_OPENERS.match(text, start, first)
    return opening is None or opening.end() < first


def _is_full_stop(text: str, start: int, match: re.Match[str], stop: int) -> bool:
    """Whether a single full stop ends a sentence: not in numbers, names and abbreviations."""
    first, following = match.start(), text[stop : stop + 1]
    if first == start or not following or following in _CONTINUING:
        return False
    if _CJK_OR_CLOSER.match(text[first - 1]):
        return True
    if not (following.isspace() or _CJK_OR_CLOSER.match(following) or following in _OPENERS):
        return False
    place = _skip_space(text, stop)
    if text[place : place + 1].islower():
        return False
    word = _last_letters(text[max(start, first - _LATIN_WORD) : first])
    return len(word) > 1 and word.lower() not in _ABBREVIATIONS


def _last_letters(text: str) -> str:
    """The letters that `text` ends in; none where a full stop or a digit stands before them."""
    match = _LETTERS_AT_END.search(text)
    return match.group() if match else ""
