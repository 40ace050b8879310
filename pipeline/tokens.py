"""Tokenizers by path: recognised, loaded, stored with a data set, and opened again.

Stands between the splitter and the windows. The kinds are in `sentencepiece_tokens.py` and
`huggingface_tokens.py`; each imports its library when it is first needed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.vocabularies.huggingface_files import (
    JSON_NAME,
    byte_bpe_json,
    canonical_json,
    wordpiece_json,
)
from pipeline.vocabularies.huggingface_tokens import HuggingFaceTokenizer
from pipeline.vocabularies.sentencepiece_tokens import MODEL_NAME, SentencePieceTokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError, DamagedError, InputError
from schemas.storage import commit_bytes

DESCRIPTION_NAME = "description.json"

_REMEDY = (
    "run `blankstream repair` on the data set, or restore the folder of a run from its data set"
)

_EXPECTED = (
    "expected a SentencePiece model (*.model), a tokenizer.json, a WordPiece vocab.txt, or a "
    "folder with one of them or with vocab.json and merges.txt"
)


def load_tokenizer(path: Path, config: TokenizerConfig | None = None) -> Tokenizer:
    """The tokenizer at `path`, a file or the folder that holds it, with the layout of `config`.

    The kind follows from the file's name. Raises `InputError` for what cannot be read as that kind,
    `ConfigError` for a layout that does not fit, `MissingPackageError` without its library.
    """
    config = config or TokenizerConfig()
    file = _find(path) if path.is_dir() else path
    if file.suffix in (".json", ".txt"):
        canonical = _canonical(file, config.lower_case)
        return _prefixed(file, HuggingFaceTokenizer, canonical, config)
    return _prefixed(file, SentencePieceTokenizer, _read(file), config)


def _prefixed(file: Path, kind: Any, content: bytes, config: TokenizerConfig) -> Tokenizer:
    """`kind` over `content`, errors opened with the file's name."""
    try:
        tokenizer: Tokenizer = kind(content, config.layout, config.sentinels)
    except RuntimeError as error:
        raise InputError(f"{file}: not a {_kind_of(file)} ({error})") from error
    except (InputError, ConfigError) as error:
        raise type(error)(f"{file}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file}: malformed {_kind_of(file)} ({error!r}); {_EXPECTED}") from error
    return tokenizer


def _kind_of(file: Path) -> str:
    """What a file of this name is taken for, for people."""
    if file.name in ("vocab.json", "merges.txt"):
        return "byte-level BPE vocabulary"
    kinds = {".json": JSON_NAME, ".txt": "WordPiece vocabulary"}
    return kinds.get(file.suffix, "SentencePiece model")


def _find(folder: Path) -> Path:
    """The file of a folder that says which tokenizer it holds."""
    models = sorted(folder.glob("*.model"))
    if (folder / JSON_NAME).is_file():
        return folder / JSON_NAME
    if len(models) == 1:
        return models[0]
    if len(models) > 1:
        raise InputError(
            f"{folder}: has {len(models)} SentencePiece models ({models[0].name}, ...); name one"
        )
    for name in ("vocab.txt", "vocab.json"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: holds no tokenizer; {_EXPECTED}")


def _canonical(file: Path, lower_case: bool) -> bytes:
    if file.name in ("vocab.json", "merges.txt"):
        vocabulary, merges = file.with_name("vocab.json"), file.with_name("merges.txt")
        return byte_bpe_json(_read(vocabulary), _read(merges), str(file.parent))
    if file.suffix == ".txt":
        return wordpiece_json(_read(file), lower_case, str(file))
    return canonical_json(_read(file), str(file))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: cannot read the tokenizer ({error.strerror}); {_EXPECTED}"
        ) from error


def tokenizer_files(tokenizer: Tokenizer, trained: dict[str, Any]) -> dict[str, bytes]:
    """What a data set or a run keeps of a tokenizer, by name, its description last.

    `trained` says how it came to be.
    """
    description = tokenizer.describe() | {"files": tokenizer.file_hashes(), "trained": trained}
    text = json.dumps(description, indent=1) + "\n"
    return {**tokenizer.files, DESCRIPTION_NAME: text.encode()}


def save_tokenizer(tokenizer: Tokenizer, folder: Path, trained: dict[str, Any]) -> None:
    """Write the tokenizer's files, then its description."""
    for name, content in tokenizer_files(tokenizer, trained).items():
        commit_bytes(folder / name, content)


def read_description(folder: Path) -> dict[str, Any]:
    """What `save_tokenizer` wrote beside the files; `DatasetError` when it cannot be read."""
    path = folder / DESCRIPTION_NAME
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(description, dict):
            raise ValueError("expected a JSON object")
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    return description


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a data set or a run; `DatasetError` when its files were changed,
    `MissingPackageError` without its library."""
    described = read_description(folder)
    is_piece_model = described.get("kind") == "sentencepiece"
    kind = SentencePieceTokenizer if is_piece_model else HuggingFaceTokenizer
    file = folder / (MODEL_NAME if is_piece_model else JSON_NAME)
    try:
        config = TokenizerConfig(
            layout=str(described["layout"]), sentinels=int(described["special"]["num_sentinels"])
        )
        expected, files = described["model_sha256"], described["files"]
        stored = files[file.name]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            f"{folder / DESCRIPTION_NAME}: cannot be read (missing {error}); {_REMEDY}"
        ) from error
    _check_hash(file, stored)
    tokenizer = _prefixed(file, kind, _read(file), config)
    if tokenizer.digest != expected:
        raise DamagedError(
            f"{folder / DESCRIPTION_NAME}: says SHA-256 {expected} for the tokenizer, but its "
            f"files and special tokens give {tokenizer.digest}; {_REMEDY}"
        )
    return tokenizer


def _check_hash(file: Path, expected: str) -> None:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise DamagedError(f"{file}: cannot be read ({error.strerror}); {_REMEDY}") from error
    if found != expected:
        raise DamagedError(f"{file}: SHA-256 {found}, expected {expected}; {_REMEDY}")
