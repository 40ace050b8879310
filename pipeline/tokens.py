"""sentences -> tokens: SentencePiece, one sentence at a time, and GLM's special tokens.

Stands between the splitter and the windows. The unit of tokenizing is the sentence without the
white space around it, so every sentence end is a token boundary.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError, DatasetError, InputError
from schemas.objectives import SpecialTokens
from schemas.storage import commit_bytes, commit_text

MODEL_NAME, DESCRIPTION_NAME = "tokenizer.model", "tokenizer.json"

PIECES = {
    "pad": "<pad>",
    "cls": "[CLS]",
    "eos": "<eos>",
    "mask": "[MASK]",
    "gmask": "[gMASK]",
    "smask": "[sMASK]",
    "start": "<sop>",
    "end": "<eop>",
}
"""Special token -> its piece. They are control symbols: text that spells one is never one."""

_MAX_LINE_BYTES = 4192
_BYTE_PIECES = 256
_SPACE_MARK = "\u2581"


class Tokenizer:
    """A SentencePiece model with GLM's special tokens.

    Specials that the model lacks as control pieces get the ids behind its vocabulary, in the order
    of `PIECES`; `vocab_size` counts them. Text never becomes one of them.
    """

    def __init__(self, model: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        self._processor.LoadFromSerializedProto(model)
        self.model = model
        size = self._processor.GetPieceSize()
        ids = {}
        for name, piece in PIECES.items():
            found = self._processor.PieceToId(piece)
            known = self._processor.IdToPiece(found) == piece and self._processor.IsControl(found)
            ids[name] = found if known else size
            size += not known
        self.special, self.vocab_size = SpecialTokens(**ids), size
        self._hidden = set(ids.values())

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the model file."""
        return hashlib.sha256(self.model).hexdigest()

    def encode(self, sentences: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Ids of all sentences one after another, and the number of ids of each.

        One flat call on one thread: the fastest way through SentencePiece, and its result does not
        depend on how sentences are grouped.
        """
        pieces = self._processor.Encode(list(sentences), out_type=int, num_threads=1)
        counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
        return np.fromiter(chain.from_iterable(pieces), np.int32, int(counts.sum())), counts

    def encode_fragment(self, text: str) -> list[int]:
        """Ids of a part of a sentence, as they stand inside the whole sentence.

        SentencePiece opens every text with its mark of a space; that is taken off again where
        `text` begins without white space, such as the full stop behind a blank, unless the
        vocabulary lacks the piece without the mark.
        """
        ids: list[int] = self.encode([text.strip()])[0].tolist()
        if not ids or text[0].isspace():
            return ids
        bare = self._processor.IdToPiece(ids[0]).removeprefix(_SPACE_MARK)
        if not bare:
            return ids[1:]
        found = self._processor.PieceToId(bare)
        known = self._processor.IdToPiece(found) == bare
        return [found if known else ids[0], *ids[1:]]

    def decode(self, ids: Iterable[int]) -> str:
        """The (normalised) text of `ids`, special tokens left out."""
        size = self._processor.GetPieceSize()
        return str(
            self._processor.Decode([int(i) for i in ids if i not in self._hidden and i < size])
        )

    def piece(self, token: int) -> str:
        """How `token` is written, for people."""
        for name, piece in PIECES.items():
            if token == getattr(self.special, name):
                return piece
        known = token < self._processor.GetPieceSize()
        return str(self._processor.IdToPiece(token)) if known else f"<{token}>"

    def describe(self) -> dict[str, Any]:
        """What recipes and manifests say about the tokenizer."""
        return {
            "kind": "sentencepiece",
            "model_sha256": self.digest,
            "vocab_size": self.vocab_size,
            "special": self.special.to_mapping(),
        }


def load_tokenizer(path: Path) -> Tokenizer:
    """The SentencePiece model at `path`; `InputError` when it is none."""
    try:
        return Tokenizer(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot read the tokenizer ({error.strerror})") from error
    except RuntimeError as error:
        raise InputError(f"{path}: not a SentencePiece model ({error})") from error


def train_tokenizer(sentences: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """A unigram model of at most `config.vocab_size` pieces, specials and 256 bytes included.

    On one thread, since the result depends on the number of threads; deterministic. Long sentences
    are cut at white space to the length that the trainer accepts.
    """
    writer, lines = io.BytesIO(), list(_lines(sentences))
    try:
        sentencepiece.SentencePieceTrainer.Train(
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
    return Tokenizer(writer.getvalue())


def _remedy(lines: Sequence[str], vocab_size: int) -> str:
    """What to do about a sample that was refused: every frequent character needs a piece."""
    characters = len(set(chain.from_iterable(lines)))
    needed = -(-(characters + _BYTE_PIECES + len(PIECES) + 1) // 1000) * 1000
    if not characters or needed <= vocab_size:
        return "give more text"
    return f"it has {characters:,} characters; set build.tokenizer.vocab_size={needed} or more"


def _lines(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        line = " ".join(sentence.replace("\0", " ").split())
        while len(line.encode()) > _MAX_LINE_BYTES:
            cut = line.rfind(" ", 1, _MAX_LINE_BYTES // 4)
            cut = cut if cut > 0 else _MAX_LINE_BYTES // 4
            yield line[:cut]
            line = line[cut:].lstrip()
        if line:
            yield line


def save_tokenizer(tokenizer: Tokenizer, folder: Path, trained: dict[str, Any]) -> None:
    """Write the model, then its description; `trained` says how it came to be."""
    commit_bytes(folder / MODEL_NAME, tokenizer.model)
    description = tokenizer.describe() | {"trained": trained}
    commit_text(folder / DESCRIPTION_NAME, json.dumps(description, indent=1) + "\n")


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a data set or a run; `DatasetError` when its file was changed."""
    tokenizer = load_tokenizer(folder / MODEL_NAME)
    try:
        described = json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        expected = described["model_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder / DESCRIPTION_NAME}: cannot be read ({error})") from error
    if expected != tokenizer.digest:
        raise DatasetError(
            f"{folder / MODEL_NAME}: SHA-256 {tokenizer.digest}, expected {expected}; "
            "restore the file or build the data set anew"
        )
    return tokenizer
