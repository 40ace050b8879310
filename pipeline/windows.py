"""sentences -> windows: contiguous token slices of one document, nothing lost between them.

Stands between tokenizing and the engines. Windows are cut in turns: a turn belongs to one objective
and is, for most, one window; it is several where an objective asks for short ones.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.mixing import ObjectiveMix
from pipeline.randomness import Draws, Stream, threshold
from pipeline.spans import MIN_MASKABLE_TOKENS
from pipeline.text import TokenBatch
from pipeline.window_batch import WindowBatch
from schemas.build_config import BuildConfig

MIN_SHORT_WINDOW_TOKENS = 32
"""Shortest bound that `short_window_ratio` draws (the reference's, blocklm_utils.py:283)."""


@dataclass(slots=True)
class _Found:
    """Columns of the windows found so far; see `WindowBatch`."""

    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    objectives: list[int] = field(default_factory=list)


class WindowCutter:
    """Cuts the documents of one split of one item, in order, and counts what it leaves out.

    A window holds at most `config.window_tokens`, [CLS] and eos included; it ends at the last
    sentence end in its second half, else where it is full. The windows of a document cover its
    tokens without gap or overlap, except what is counted: tokens of prompts that are too long, of
    completions that no window holds, and documents too short to hide anything in.
    """

    def __init__(self, config: BuildConfig, mix: ObjectiveMix, counts: Counter[str], split: str):
        self._config, self._mix, self._counts, self._split = config, mix, counts, split
        self._frame = config.add_cls + config.add_eos
        self._short = threshold(config.short_window_ratio)
        self._longest_prompt = (config.window_tokens // mix.most_samples - self._frame) // 2

    def cut(
        self, batch: TokenBatch, chosen: Sequence[int], numbers: Sequence[int], keys: Sequence[int]
    ) -> WindowBatch:
        """Windows of the documents `chosen` (indices into `batch`), which the item calls `numbers`.

        `keys` are their keys (`randomness.document_key`).
        """
        found, ends = _Found(), batch.sentence_ends.tolist()
        key_of = dict(zip(numbers, keys, strict=True))
        for index, number in zip(chosen, numbers, strict=True):
            bounds = int(batch.edges[index]), int(batch.edges[index + 1])
            prompt = bounds[0] + int(batch.prompts[index])
            if batch.documents[index].is_instruction and self._mix.instruction is not None:
                self._add_instruction(found, bounds, prompt, number)
            else:
                self._add_document(found, (*bounds, prompt), (number, key_of[number]), ends)
        return self._finished(found, batch, key_of)

    def _add_document(
        self,
        found: _Found,
        bounds: tuple[int, int, int],
        document: tuple[int, int],
        ends: list[int],
    ) -> None:
        first, stop, prompt = bounds
        number, key = document
        start = max(first, prompt - self._longest_prompt)
        self._count("prompt_tokens.dropped.too_long", start - first)
        window = 0
        while start < stop:
            if stop - start < MIN_MASKABLE_TOKENS and prompt <= start:
                self._drop_short(stop - start)
                return
            objective = self._mix.next()
            bound, windows = self._turn(objective, key, window, has_prompt=prompt > first)
            for _ in range(windows):
                cut = _window_stop((start, stop), bound, ends)
                self._append(
                    found, (start, cut, prompt), (number, window, start - first), objective
                )
                start, window = cut, window + 1
                if start >= stop:
                    break

    def _add_instruction(
        self, found: _Found, bounds: tuple[int, int], prompt: int, number: int
    ) -> None:
        """One window with the prompt's end and the completion; what does not fit is counted."""
        first, stop = bounds
        objective = self._mix.instruction
        assert objective is not None
        if prompt == first and stop - first < MIN_MASKABLE_TOKENS:
            self._drop_short(stop - first)
            return
        room = self._config.window_tokens - self._frame
        kept = min(prompt - first, max(room - (stop - prompt), room // 2))
        end = min(stop, prompt + room - kept)
        self._count("prompt_tokens.dropped.too_long", prompt - kept - first)
        self._count("completion_tokens.dropped.too_long", stop - end)
        start = prompt - kept
        self._append(found, (start, end, prompt), (number, 0, start - first), objective)

    def _drop_short(self, tokens: int) -> None:
        self._count("windows.dropped.too_short", 1)
        self._count("tokens.dropped.too_short", tokens)

    def _turn(self, objective: int, key: int, window: int, has_prompt: bool) -> tuple[int, int]:
        """(most tokens of text in a window, windows) of the turn that begins with `window`."""
        samples = self._mix.samples_per_window[objective]
        bound = self._config.window_tokens // samples - self._frame
        if has_prompt or not self._short:
            return bound, samples
        draws = Draws(key, window, Stream.BOUND)
        least = MIN_SHORT_WINDOW_TOKENS - self._frame
        if draws.bits32() >= self._short or bound <= least:
            return bound, samples
        short = least + draws.below(bound - least)
        return short, samples * bound // short

    def _append(
        self,
        found: _Found,
        bounds: tuple[int, int, int],
        place: tuple[int, int, int],
        objective: int,
    ) -> None:
        start, stop, prompt = bounds
        found.offsets.append(start)
        found.lengths.append(stop - start)
        found.prompts.append(max(0, prompt - start))
        found.documents.append(place[0])
        found.numbers.append(place[1])
        found.starts.append(place[2])
        found.objectives.append(objective)
        self._mix.spend(objective, stop - start + self._frame)

    def _finished(self, found: _Found, batch: TokenBatch, key_of: dict[int, int]) -> WindowBatch:
        columns = {name: np.array(getattr(found, name), np.int64) for name in _Found.__slots__}
        inside = columns["offsets"] + columns["prompts"]
        last = columns["offsets"] + columns["lengths"]
        return WindowBatch(
            tokens=batch.tokens,
            sentence_ends=batch.sentence_ends,
            first_ends=np.searchsorted(batch.sentence_ends, inside, side="right"),
            stop_ends=np.searchsorted(batch.sentence_ends, last, side="right"),
            keys=np.array([key_of[number] for number in found.documents], np.uint64),
            cls=self._config.add_cls,
            eos=self._config.add_eos,
            **columns,
        )

    def _count(self, name: str, amount: int) -> None:
        if amount:
            self._counts[f"{self._split}.{name}"] += amount


def _window_stop(bounds: tuple[int, int], capacity: int, ends: list[int]) -> int:
    """Where the window from `bounds[0]` on ends; what it leaves can hide something, too."""
    start, stop = bounds
    if start + capacity >= stop:
        return stop
    full = min(start + capacity, stop - MIN_MASKABLE_TOKENS)
    before = bisect_right(ends, full)
    near = ends[before - 1] if before else 0
    return near if near > start + capacity // 2 else full
