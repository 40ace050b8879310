"""SentencePiece: units -> ids with a model that was loaded or trained.

One kind of `Tokenizer`. White space between sentences is one space, carried by the token behind it;
sentences that follow each other without white space, as in Chinese, are joined without it.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from pipeline.vocabularies.layouts import OWN, PIECES, Vocabulary
from pipeline.vocabularies.tokenizer import Tokenizer, Tokens, require
from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError

MODEL_NAME = "tokenizer.model"

_WITH_SPACE, _WITHOUT_SPACE = b"\x1a\x02\x18\x01", b"\x1a\x02\x18\x00"
"""Appended to a model, these set `normalizer_spec.add_dummy_prefix`: in a serialised protocol
buffer a later value replaces an earlier one."""

_MAX_LINE_BYTES = 4192
_BYTE_PIECES = 256


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model; raises `RuntimeError` when `model` is none."""

    def __init__(self, model: bytes, layout: str = "", sentinels: int = 0) -> None:
        self._spaced, self._joined = _open(model + _WITH_SPACE), _open(model + _WITHOUT_SPACE)
        self.model = model
        found = {piece: self._find(piece) for piece in PIECES.values()}
        controls = {
            piece: place
            for piece, place in found.items()
            if place is not None and self._spaced.IsControl(place)
        }
        size = self._spaced.GetPieceSize()
        vocabulary = Vocabulary("sentencepiece", size, self._find, controls, self._spaced.unk_id())
        super().__init__(vocabulary, {MODEL_NAME: model}, " ", layout, sentinels)

    def _find(self, piece: str) -> int | None:
        found: int = self._spaced.PieceToId(piece)
        return found if self._spaced.IdToPiece(found) == piece else None

    def encode(self, units: Sequence[str]) -> Tokens:
        """As `Tokenizer.encode`; a unit opens with the mark of a space if it begins with a space.

        Flat calls that return arrays: the fastest way through SentencePiece.
        """
        opened = [unit[:1].isspace() for unit in units]
        if all(opened):
            return _flat(_encode(self._spaced, units))
        arrays: list[Any] = [None] * len(units)
        for processor, wanted in ((self._spaced, True), (self._joined, False)):
            places = [place for place, opens in enumerate(opened) if opens is wanted]
            encoded = _encode(processor, [units[place] for place in places])
            for place, ids in zip(places, encoded, strict=True):
                arrays[place] = ids
        return _flat(arrays)

    def _decode_pieces(self, ids: list[int]) -> str:
        return str(self._spaced.Decode(ids))

    def _piece(self, token: int) -> str:
        return str(self._spaced.IdToPiece(token))


def _open(model: bytes) -> Any:
    processor = require("sentencepiece").SentencePieceProcessor()
    processor.LoadFromSerializedProto(model)
    return processor


def _encode(processor: Any, units: Sequence[str]) -> list[Any]:
    sentences = [unit.strip() for unit in units]
    arrays: list[Any] = processor.Encode(sentences, return_type="numpy", num_threads=1)
    return arrays


def _flat(arrays: Sequence[Any]) -> Tokens:
    counts = np.fromiter(map(len, arrays), np.int64, len(arrays))
    return np.frombuffer(bytearray().join(arrays), np.int32), counts


def train_tokenizer(units: Iterable[str], config: TokenizerConfig) -> SentencePieceTokenizer:
    """A unigram model of at most `config.vocab_size` pieces, specials and 256 bytes included.

    `units` are those of `cut_units`. On one thread, since the result depends on the number of
    threads; deterministic. Units longer than the trainer accepts are cut, at white space where
    there is any. Raises `ConfigError` for a sample that the trainer refuses, and for a layout that
    no new vocabulary can have.
    """
    if config.layout not in ("", OWN):
        raise ConfigError(
            f"build.tokenizer.layout='{config.layout}' belongs to an existing vocabulary; give its "
            "build.tokenizer.path, or leave the layout empty to train a new one"
        )
    spm, writer, lines = require("sentencepiece"), io.BytesIO(), list(_lines(units))
    try:
        spm.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=writer,
            model_type="unigram",
            vocab_size=config.vocab_size,
            hard_vocab_limit=False,
            byte_fallback=True,
            num_threads=1,
            pad_id=0,
            unk_id=1,
            eos_id=2,
            bos_id=-1,
            pad_piece=PIECES["pad"],
            eos_piece=PIECES["eos"],
            control_symbols=[PIECES[name] for name in PIECES if name not in ("pad", "eos")],
            max_sentence_length=_MAX_LINE_BYTES,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise ConfigError(
            f"build.tokenizer.vocab_size={config.vocab_size}: SentencePiece cannot train on this "
            f"sample: {_remedy(lines, config.vocab_size)} ({error})"
        ) from error
    return SentencePieceTokenizer(writer.getvalue(), OWN, config.sentinels)


def _remedy(lines: Sequence[str], vocab_size: int) -> str:
    """What to do about a sample that was refused: every frequent character needs a piece."""
    characters = len(set(chain.from_iterable(lines)))
    needed = -(-(characters + _BYTE_PIECES + len(PIECES) + 1) // 1000) * 1000
    if not characters or needed <= vocab_size:
        return "give more text"
    return f"it has {characters:,} characters; set build.tokenizer.vocab_size={needed} or more"


def _lines(units: Iterable[str]) -> Iterator[str]:
    """Lines to train on: the trainer opens each with a space, so joined units share a line."""
    line = ""
    for unit in units:
        text = " ".join(unit.replace("\0", " ").split())
        if line and (unit[:1].isspace() or len((line + text).encode()) > _MAX_LINE_BYTES):
            yield from _cut(line)
            line = ""
        line += text
    yield from _cut(line)


def _cut(line: str) -> Iterator[str]:
    while len(line.encode()) > _MAX_LINE_BYTES:
        cut = line.rfind(" ", 1, _MAX_LINE_BYTES // 4)
        cut = cut if cut > 0 else _MAX_LINE_BYTES // 4
        yield line[:cut]
        line = line[cut:].lstrip()
    if line:
        yield line
