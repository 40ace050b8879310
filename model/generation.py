"""Filling blanks: token ids with masks in, one answer for each mask out.

The last use of a trained GLM; `jobs/fill` joins the tokenizer. Part A is encoded once; then each
blank, from left to right, is written as a span of part B exactly as spans are laid out in
training, and every finished answer stays visible to the next (GLM paper, section 2.1).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from model.attention import Layout
from model.cache import KeyValueCache
from model.sampling import FillOptions, next_token
from model.transformer import GLM
from schemas.errors import UserError
from schemas.objectives import MASK_TOKENS, SpecialTokens


def fill_blanks(
    model: GLM, source: Sequence[int], special: SpecialTokens, options: FillOptions
) -> list[list[int]]:
    """One answer (ids without start and end) for each mask, gmask and smask id of `source`.

    `source` is part A as the model is to see it: CLS and eos are not added. An answer ends before
    the end token or eos, at `max_new_tokens`, or where the block positions of the model end. The
    last token of an answer that was cut is still shown to the later blanks, as in training.

    Raises `UserError` when there is no blank, the source has more tokens than the model has
    positions, or an id lies outside its vocabulary.
    """
    mask_ids = {special.mask_id(name) for name in MASK_TOKENS}
    blanks = [position for position, token in enumerate(source) if token in mask_ids]
    _check_source(model, source, special, blanks)
    with torch.no_grad(), _evaluating(model):
        writer = _Writer(model, source, special, options)
        return [writer.write_answer(position) for position in blanks]


class _Writer:
    """Part B as it grows: what is encoded (in the cache) and what is still to be fed."""

    def __init__(
        self, model: GLM, source: Sequence[int], special: SpecialTokens, options: FillOptions
    ) -> None:
        self._model = model
        self._special = special
        self._options = options
        self._stops = {special.end, special.eos}
        self._banned = _banned_ids(special, options)
        self._boundary = len(source)
        self._cache = KeyValueCache(model.config.num_layers)
        self._generator = torch.Generator().manual_seed(options.seed)
        # (token, position, block position); fed together when the next logits are needed.
        self._pending = [(token, position, 0) for position, token in enumerate(source)]

    def write_answer(self, position: int) -> list[int]:
        answer: list[int] = []
        max_block_position = self._model.config.max_sequence_length
        self._pending.append((self._special.start, position, 1))
        while len(answer) < min(self._options.max_new_tokens, max_block_position):
            token = self._next_token(len(answer))
            if token in self._stops:
                break
            answer.append(token)
            if len(answer) < max_block_position:
                self._pending.append((token, position, len(answer) + 1))
        return answer

    def _next_token(self, num_written: int) -> int:
        banned = self._banned
        if num_written < self._options.min_new_tokens:
            banned = banned | self._stops
        return next_token(self._feed(), banned, self._options, self._generator)

    def _feed(self) -> Tensor:
        """Encode what is pending; returns the logits (V,) after the last of it."""
        device = self._model.device
        columns = torch.tensor(self._pending, device=device).T.unsqueeze(1)
        length = self._cache.num_tokens + len(self._pending)
        layout = Layout.single(length, self._boundary, device)
        self._pending = []
        hidden_BLM: Tensor = self._model(*columns, layout, self._cache)
        return self._model.logits(hidden_BLM[0, -1])


def _banned_ids(special: SpecialTokens, options: FillOptions) -> set[int]:
    """Ids never generated; the end and eos stay, even where pad or a mask shares their id."""
    if options.banned is not None:
        return set(options.banned)
    return set(special.to_mapping().values()) - {special.end, special.eos}


def _check_source(
    model: GLM, source: Sequence[int], special: SpecialTokens, blanks: list[int]
) -> None:
    config = model.config
    if not blanks:
        raise UserError(
            f"the source of {len(source)} tokens has no blank; "
            f"put one of {', '.join(MASK_TOKENS.values())} where an answer is wanted"
        )
    if len(source) > config.max_sequence_length + 1:
        raise UserError(
            f"the source has {len(source)} tokens, but the model has positions for "
            f"{config.max_sequence_length + 1}; shorten the text around the blanks"
        )
    strangers = [token for token in (*source, special.start) if not 0 <= token < config.vocab_size]
    if strangers:
        raise UserError(
            f"token id {strangers[0]} lies outside the model's vocabulary of {config.vocab_size}; "
            "use the tokenizer the model was trained with"
        )


@contextmanager
def _evaluating(model: GLM) -> Iterator[None]:
    """Dropout off inside; the mode the model had before comes back after."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
