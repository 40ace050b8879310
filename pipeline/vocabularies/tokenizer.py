"""What every tokenizer is to the rest of the build: units of text -> ids, and back.

Stands between the splitter and the windows; `tokens.py` loads, opens and stores the kinds of it.
A unit is one sentence with the white space before it (docs/tokenizers.md), so every sentence end is
a token boundary and no white space is lost between two sentences.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.vocabularies.layouts import PIECES, Vocabulary, lay_out
from schemas.packages import missing_package

Tokens = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Ids of many units one after another, and the number of ids of each."""


class Tokenizer(ABC):
    """A vocabulary with GLM's special tokens; text never becomes one of them.

    `files` are all that is needed to open it again, name -> content. `opening` is the white space
    that the first unit of a document begins with. `vocab_size` is 1 + the largest id in use;
    `unknown` is what text without pieces becomes, None where all text has pieces.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        files: Mapping[str, bytes],
        opening: str,
        layout: str = "",
        sentinels: int = 0,
    ) -> None:
        self.kind, self.files, self.opening = vocabulary.kind, dict(files), opening
        self.unknown = vocabulary.unknown
        self.layout, self.special = lay_out(vocabulary, layout, sentinels)
        special = self.special
        ids = [getattr(special, name) for name in PIECES]
        pairs = range(special.first_sentinel, special.first_sentinel + 2 * special.num_sentinels)
        self._num_pieces = vocabulary.size
        self._hidden = frozenset(ids).union(pairs)
        self.vocab_size = 1 + max(vocabulary.size - 1, *self._hidden)

    @abstractmethod
    def encode(self, units: Sequence[str]) -> Tokens:
        """Ids of the units, as `cut_units` makes them: each on its own, on one thread.

        The ids of a unit depend on nothing but the unit.
        """

    @abstractmethod
    def _decode_pieces(self, ids: list[int]) -> str:
        """Text of ids of the vocabulary itself."""

    @abstractmethod
    def _piece(self, token: int) -> str:
        """How one id of the vocabulary itself is written, for people."""

    def encode_fragment(self, text: str) -> list[int]:
        """Ids of a part of a sentence, as they stand inside the whole sentence.

        White space at its end is left out: it belongs to the token that follows, a blank too.
        """
        text = text.rstrip()
        ids: list[int] = self.encode([text])[0].tolist() if text else []
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The (normalised) text of `ids`, special tokens and sentinels left out."""
        size, hidden = self._num_pieces, self._hidden
        return self._decode_pieces([int(i) for i in ids if i < size and i not in hidden])

    def piece(self, token: int) -> str:
        """How `token` is written, for people. Where pad and eos share an id it is eos."""
        special = self.special
        for name in ("eos", *PIECES):
            if token == getattr(special, name):
                return PIECES[name]
        pair, part = divmod(token - special.first_sentinel, 2)
        if 0 <= pair < special.num_sentinels:
            return f"<sop{pair + 1}>" if part else f"[MASK{pair + 1}]"
        return self._piece(token) if 0 <= token < self._num_pieces else f"<{token}>"

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the kind, the special ids and the content of `files`."""
        stated = {
            "kind": self.kind,
            "special": self.special.to_mapping(),
            "files": self.file_hashes(),
        }
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()

    def file_hashes(self) -> dict[str, str]:
        """Name -> hex SHA-256 of each stored file."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}

    def describe(self) -> dict[str, Any]:
        """What recipes and manifests say about the tokenizer."""
        return {
            "kind": self.kind,
            "layout": self.layout,
            "model_sha256": self.digest,
            "vocab_size": self.vocab_size,
            "special": self.special.to_mapping(),
        }


def cut_units(text: str, spans: Iterable[tuple[int, int]], opening: str) -> list[str]:
    """The units of a document: each of its sentences with the white space before it.

    `spans` are ascending character ranges with white space between them. The first unit begins with
    `opening` in place of what stands before it; what stands behind the last sentence is left out.
    """
    units: list[str] = []
    end = 0
    for start, stop in spans:
        units.append(text[end:stop] if units else opening + text[start:stop])
        end = stop
    return units


def require(package: str) -> Any:
    """The tokenizer library `package`; `MissingPackageError` where it is not installed."""
    try:
        return import_module(package)
    except ImportError as error:
        raise missing_package(package, "the tokenizer", error) from error
