"""WordPiece, byte-level BPE and any `tokenizer.json`: units -> ids by Hugging Face's `tokenizers`.

One kind of `Tokenizer`. Whatever files it came from, it is stored as one canonical `tokenizer.json`
(`huggingface_files.py`), from which the form that encodes is derived.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import Lock
from typing import Any

import numpy as np

from pipeline.vocabularies.huggingface_files import (
    HIDDEN_MARK,
    JSON_NAME,
    encoding_form,
    opening,
    special_pieces,
)
from pipeline.vocabularies.layouts import PIECES, Vocabulary
from pipeline.vocabularies.tokenizer import Tokenizer, Tokens, require
from schemas.errors import InputError

_THREADS_KEY = "TOKENIZERS_PARALLELISM"
_ENVIRONMENT = Lock()
_SPACE_MARKS = str.maketrans({" ": "Ġ", "\n": "Ċ", "\t": "ĉ", "\r": "č"})

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_INNER_SPACE = re.compile(r"(?<=\w) (['\u2019-]) (?=\w)")
_LOOSE_SPACE = re.compile(
    rf" (?=[.,!?;:)\]}}%])|(?<=[(\[{{$]) |(?<=[{_CJK}\u3001\u3002]) (?=[{_CJK}\u3001\u3002])"
)


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer of the `tokenizers` library.

    `canonical` comes from `huggingface_files.py`. Text that spells a special piece is ordinary
    text. Raises `InputError` when the library refuses the file.
    """

    def __init__(self, canonical: bytes, layout: str = "", sentinels: int = 0) -> None:
        content = json.loads(canonical)
        pieces = special_pieces(content)
        ids = _ids(content)
        controls = {piece: ids[piece] for piece in PIECES.values() if piece in pieces}
        model = content["model"]
        size, unknown = 1 + max(ids.values(), default=-1), ids.get(model.get("unk_token"))
        vocabulary = Vocabulary(
            model["type"].lower(), size, ids.get, controls, model.get("unk_id", unknown)
        )
        names = {place: piece for piece, place in ids.items()}
        super().__init__(vocabulary, {JSON_NAME: canonical}, opening(content), layout, sentinels)
        reused = {names[place] for place in self._hidden if place in names}
        self._backend = _open(encoding_form(content, pieces | reused))
        self._byte_level = '"ByteLevel"' in json.dumps(content["decoder"])
        self._is_bert = (content["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"

    def encode(self, units: Sequence[str]) -> Tokens:
        """As `Tokenizer.encode`. The mark U+FDD0, which Unicode keeps out of text, is U+FFFD."""
        clean = [
            unit.replace(HIDDEN_MARK, "\ufffd") if HIDDEN_MARK in unit else unit for unit in units
        ]
        with _one_thread():
            encoded = self._backend.encode_batch_fast(clean, add_special_tokens=False)
        ids = [one.ids for one in encoded]
        counts = np.fromiter(map(len, ids), np.int64, len(ids))
        return np.fromiter(chain.from_iterable(ids), np.int32, int(counts.sum())), counts

    def _decode_pieces(self, ids: list[int]) -> str:
        text = str(self._backend.decode(ids, skip_special_tokens=False)).replace(HIDDEN_MARK, "")
        return _tidy(text) if self._is_bert else text

    def _piece(self, token: int) -> str:
        piece = self._backend.id_to_token(token)
        if piece is None:
            return f"<{token}>"
        if self._byte_level and not piece.startswith(HIDDEN_MARK):
            return _readable(piece)
        return str(piece).removeprefix(HIDDEN_MARK)


def _ids(content: dict[str, Any]) -> dict[str, int]:
    """Piece -> id, added tokens included."""
    vocabulary: Any = content["model"]["vocab"]
    if isinstance(vocabulary, list):
        vocabulary = {piece: place for place, (piece, _) in enumerate(vocabulary)}
    return dict(vocabulary) | {token["content"]: token["id"] for token in content["added_tokens"]}


def _open(form: dict[str, Any]) -> Any:
    library = require("tokenizers")
    try:
        backend = library.Tokenizer.from_str(json.dumps(form))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"the tokenizers library refuses the tokenizer: {error}") from error
    for token in form["added_tokens"]:
        found = backend.token_to_id(token["content"])
        if found != token["id"]:
            shown = token["content"].removeprefix(HIDDEN_MARK)
            raise InputError(
                f"added token '{shown}' has the id {token['id']} in the file, but the tokenizers "
                f"library gives it {found}; number the added tokens from the vocabulary's end on"
            )
    return backend


@contextmanager
def _one_thread() -> Iterator[None]:
    """The library reads its thread setting from the environment at each call; it is put back."""
    with _ENVIRONMENT:
        before = os.environ.get(_THREADS_KEY)
        os.environ[_THREADS_KEY] = "false"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_THREADS_KEY]
            else:
                os.environ[_THREADS_KEY] = before


def _tidy(text: str) -> str:
    """`text` without spaces beside punctuation, where BERT's pre-tokenizer cuts in any case."""
    return _LOOSE_SPACE.sub("", _INNER_SPACE.sub(r"\1", text))


def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes printable Latin-1 as itself, other bytes as U+0100 and following."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


_BYTES = _byte_of_character()


def _readable(piece: str) -> str:
    """A byte-level piece as text; bytes that are no whole character are written \\xNN."""
    if not all(character in _BYTES for character in piece):
        return piece
    data = bytes(_BYTES[character] for character in piece)
    return data.decode("utf-8", errors="backslashreplace").translate(_SPACE_MARKS)
