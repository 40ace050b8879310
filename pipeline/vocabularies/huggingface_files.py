"""Vocabulary files -> one canonical `tokenizer.json`, and the form of it that encodes.

Stands before `huggingface_tokens.py`. Written without the library, so that the stored bytes, and
with them a data set's recipe, do not depend on its version.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.errors import InputError

JSON_NAME = "tokenizer.json"

HIDDEN_MARK = "\ufdd0"
"""Stands before the name of a special piece in the form that encodes, so that no text spells it.
A noncharacter: Unicode keeps it out of text."""

_WORDPIECE_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BPE_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>")
_METASPACE = "\u2581"


def wordpiece_json(vocabulary: bytes, lower_case: bool, place: str) -> bytes:
    """BERT's WordPiece over a `vocab.txt`: the piece of line n has the id n.

    Raises `InputError` naming `place`, as the other readers here do.
    """
    lines = _text(vocabulary, place).removesuffix("\n").split("\n")
    ids = {line.rstrip("\r"): number for number, line in enumerate(lines)}
    if "[UNK]" not in ids:
        raise InputError(f"{place}: has no piece [UNK]; expected a WordPiece vocab.txt")
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": lower_case,
    }
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": ids,
    }
    return _canonical(
        model,
        added_tokens=_added(ids, _WORDPIECE_SPECIALS),
        normalizer=normalizer,
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": False},
    )


def byte_bpe_json(vocabulary: bytes, merges: bytes, place: str) -> bytes:
    """GPT-2's byte-level BPE over a `vocab.json` and a `merges.txt`."""
    ids = _mapping(vocabulary, place)
    lines = _text(merges, place).splitlines()
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    if not all(isinstance(number, int) for number in ids.values()):
        raise InputError(f"{place}: expected a vocab.json with a number for each piece")
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{place}: expected a merges.txt with two pieces in each line")
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": ids,
        "merges": pairs,
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return _canonical(
        model,
        added_tokens=_added(ids, _BPE_SPECIALS),
        normalizer=None,
        pre_tokenizer=byte_level | {"use_regex": True},
        decoder=byte_level | {"use_regex": True},
    )


def canonical_json(content: bytes, place: str) -> bytes:
    """A `tokenizer.json` without what concerns whole model inputs: truncation, padding, templates.

    Two files that differ in nothing else but white space give the same bytes.
    """
    given = _mapping(content, place)
    model = given.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise InputError(
            f"{place}: has no model with a vocabulary; expected a tokenizer.json of the "
            "tokenizers library"
        )
    dropout = {"dropout": None} if "dropout" in model else {}
    return _canonical(
        {"type": _model_type(model)} | model | dropout,
        added_tokens=given.get("added_tokens") or [],
        normalizer=given.get("normalizer"),
        pre_tokenizer=given.get("pre_tokenizer"),
        decoder=given.get("decoder"),
    )


def _model_type(model: Mapping[str, Any]) -> str:
    """The type that files of 2020, such as GPT-2's and BERT's own, leave to be understood."""
    if isinstance(model["vocab"], list):
        return "Unigram"
    if "merges" in model:
        return "BPE"
    return "WordPiece" if "max_input_chars_per_word" in model else "WordLevel"


def special_pieces(content: Mapping[str, Any]) -> set[str]:
    """Pieces that the file itself declares to be no text."""
    return {token["content"] for token in content["added_tokens"] if token["special"]}


def opening(content: Mapping[str, Any]) -> str:
    """The space that the file asks for before a text, or nothing."""
    parts = (content["normalizer"], content["pre_tokenizer"])
    return " " if any(_without_prefix(part)[1] for part in parts) else ""


def encoding_form(content: Mapping[str, Any], hidden: set[str]) -> dict[str, Any]:
    """The tokenizer that encodes units: no text becomes one of the pieces `hidden`.

    It puts no space before a unit, since a unit begins with the white space it has in its text.
    """
    names = {piece: HIDDEN_MARK + piece for piece in hidden}
    return dict(content) | {
        "added_tokens": [_renamed_token(token, names) for token in content["added_tokens"]],
        "normalizer": _without_prefix(content["normalizer"])[0],
        "pre_tokenizer": _without_prefix(content["pre_tokenizer"])[0],
        "model": _renamed_model(content["model"], names),
    }


def _renamed_token(token: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    if token["content"] not in names:
        return token
    return token | {"content": names[token["content"]], "normalized": False, "special": True}


def _renamed_model(model: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        renamed: Any = [[names.get(piece, piece), score] for piece, score in vocabulary]
    else:
        renamed = {names.get(piece, piece): place for piece, place in vocabulary.items()}
    renamed_model = model | {"vocab": renamed}
    if "unk_token" in model:
        renamed_model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    return renamed_model


def _without_prefix(part: Any) -> tuple[Any, bool]:
    """A normalizer or pre-tokenizer that puts no space before a text, and whether it did."""
    if not isinstance(part, dict):
        return part, False
    for key in ("normalizers", "pretokenizers"):
        if key in part:
            inner = [_without_prefix(one) for one in part[key]]
            kept = [one for one, _ in inner if one is not None]
            return part | {key: kept}, any(opens for _, opens in inner)
    if part["type"] == "Prepend" and part["prepend"] == _METASPACE:
        return None, True
    if part["type"] == "ByteLevel":
        return part | {"add_prefix_space": False}, bool(part["add_prefix_space"])
    if part["type"] == "Metaspace":
        opens = part.get("add_prefix_space") is not False and part.get("prepend_scheme") != "never"
        return part | {"prepend_scheme": "never", "add_prefix_space": False}, opens
    return part, False


def _added(ids: Mapping[str, int], pieces: Iterable[str]) -> list[dict[str, Any]]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    present = sorted((ids[piece], piece) for piece in pieces if piece in ids)
    return [
        {"id": number, "content": piece} | flags | {"special": True} for number, piece in present
    ]


def _canonical(model: Mapping[str, Any], **parts: Any) -> bytes:
    content = {"version": "1.0", "truncation": None, "padding": None, "post_processor": None}
    text = json.dumps(content | parts | {"model": model}, ensure_ascii=False, indent=0)
    return (text + "\n").encode(errors="surrogatepass")


def _text(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: is not UTF-8 at byte {error.start}") from error


def _mapping(data: bytes, place: str) -> dict[str, Any]:
    try:
        content = json.loads(_text(data, place))
    except ValueError as error:
        raise InputError(f"{place}: is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}: expected a JSON object")
    return content
