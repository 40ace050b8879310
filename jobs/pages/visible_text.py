"""Tokens -> text that is safe to show: runs of spans, special tokens, and no character that acts.

Used by `sample_view.py`. Text of a data set is anybody's: it may hold escape sequences for the
terminal and marks that turn the direction of what follows.
"""

from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

from jobs.visible import visible
from pipeline.vocabularies.tokenizer import Tokenizer


class Run(NamedTuple):
    """A stretch of text: of span number `span`, 0 for none; or one special token."""

    text: str
    span: int = 0
    is_special: bool = False


def text_runs(
    tokens: Sequence[int], owners: Sequence[int], special: set[int], tokenizer: Tokenizer
) -> list[Run]:
    """Runs of equal owner; those that are not special give, joined, the visible decoded text.

    Where a character is made of tokens of two runs it stands in the second.
    """
    keys = [
        (owner, place + 1 if token in special else 0)
        for place, (token, owner) in enumerate(zip(tokens, owners, strict=True))
    ]
    whole, done, runs = tokenizer.decode(tokens), 0, []
    stops = list(accumulate(len(list(group)) for _, group in groupby(keys)))
    for first, stop in zip([0, *stops[:-1]], stops, strict=False):
        owner, is_special = keys[first]
        if is_special:
            runs.append(Run(visible(tokenizer.piece(tokens[first])), owner, True))
            continue
        known = tokenizer.decode(tokens[:stop]) if stop < len(tokens) else whole
        end = max(done, _common_length(known, whole))
        runs.append(Run(visible(whole[done:end]), owner))
        done = end
    return runs


def count(number: int, noun: str) -> str:
    """`1 span`, `2 spans`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _common_length(left: str, right: str) -> int:
    """Length of the longest common prefix."""
    pairs = enumerate(zip(left, right, strict=False))
    differing = (place for place, (one, other) in pairs if one != other)
    return next(differing, min(len(left), len(right)))
