"""Anybody's text inside Markdown and YAML, where no character of it acts.

Used by `card.py`. Rules of CommonMark and of GitHub's tables; in YAML a text is a JSON string.
"""

import json
import re
from collections.abc import Iterable, Sequence

from jobs.visible import visible

_ACTS_ANYWHERE = re.compile(r"([\\`*_\[\]<>&|~$!#{}])")
_ACTS_FIRST = re.compile(r"^(\s*)([-+=:]|\d+(?=[.)]))")
_LINK = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")
_NO_CHARACTER = re.compile("[\ufffe\uffff]|[\U0001fffe-\U0001ffff]")


def plain(text: str) -> str:
    """`text` as one line that reads as it is; addresses of the web become links."""
    words = [_word(word) for word in clean(text).split()]
    line = " ".join(words)
    return _ACTS_FIRST.sub(_first_escaped, line)


def paragraphs(text: str) -> str:
    """As `plain`, with the paragraphs of `text`, which blank lines part."""
    parts = re.split(r"\n\s*\n", clean(text))
    return "\n\n".join(filter(None, map(plain, parts)))


def code(text: str) -> str:
    """`text` in one line as code, whatever backticks it holds."""
    line = " ".join(clean(text).split("\n")).replace("\t", " ")
    marks = "`" * (_longest_run(line) + 1)
    edge = " " if not line or line[0] in "` " or line[-1] in "` " else ""
    return f"{marks}{edge}{line}{edge}{marks}"


def block(text: str, language: str = "") -> str:
    """Lines of code, whatever they hold."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{clean(text).rstrip()}\n{fence}"


def cell(text: str) -> str:
    """`code` for a table, in which a bar parts cells even in code."""
    return code(text).replace("|", r"\|")


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def yaml_text(text: str) -> str:
    """A text as YAML, in quotes, in one line."""
    return json.dumps(clean(text), ensure_ascii=False)


def clean(text: str) -> str:
    """`text` with everything that acts on a terminal named, and no character that is none."""
    return _NO_CHARACTER.sub("\ufffd", visible(text.replace("\r\n", "\n")))


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _word(word: str) -> str:
    return f"<{word}>" if _LINK.fullmatch(word) else _ACTS_ANYWHERE.sub(r"\\\1", word)


def _first_escaped(match: "re.Match[str]") -> str:
    space, mark = match.groups()
    return f"{space}&#{ord(mark[0])};{mark[1:]}" if mark[0].isdigit() else f"{space}\\{mark}"
