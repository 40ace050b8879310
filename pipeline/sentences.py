"""documents -> sentences: half-open character ranges found by Punkt (Kiss and Strunk 2006).

Stands between reading and tokenizing. A splitter is plain data (JSON) with a hash, so that a build
can say which one it used; nltk does the splitting.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.errors import InputError

TRAINING_CHARACTERS = 4_000_000
"""Characters that a splitter is trained on at most; Punkt reads about 350 kB a second."""

_TABLES = {
    "abbreviations": "abbrev_types.txt",
    "collocations": "collocations.tab",
    "sentence_starters": "sent_starters.txt",
    "orthography": "ortho_context.tab",
}


class Splitter:
    """Punkt with fixed parameters; `spans` is nltk's `span_tokenize`."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        nltk_punkt = _import_punkt()
        punkt = nltk_punkt.PunktParameters()
        punkt.abbrev_types = set(parameters["abbreviations"])
        punkt.collocations = {tuple(pair) for pair in parameters["collocations"]}
        punkt.sent_starters = set(parameters["sentence_starters"])
        punkt.ortho_context.update(parameters["orthography"])
        self._tokenizer = nltk_punkt.PunktSentenceTokenizer(punkt)
        self.parameters = parameters

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Sentences of `text` as ascending half-open character ranges; white space lies between."""
        return list(self._tokenizer.span_tokenize(text))

    def to_json(self) -> str:
        """Canonical text, read again by `load_splitter`."""
        return json.dumps(self.parameters, sort_keys=True, ensure_ascii=False, indent=0) + "\n"

    @property
    def digest(self) -> str:
        """Hex SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def load_splitter(source: str | Path) -> Splitter:
    """The splitter of a language ("english") or of a path.

    A path is a `splitter.json` of a data set, or a folder of Punkt tables (nltk's `punkt_tab`).
    A language is looked up as `tokenizers/punkt_tab/<language>` in the folders of NLTK_DATA.
    Raises `InputError` saying where it looked.
    """
    path = Path(source)
    if path.suffix == ".json":
        return Splitter(_read_json(path))
    if path.is_dir():
        return Splitter(_read_tables(path))
    folders = [
        Path(folder) / "tokenizers" / "punkt_tab" / str(source)
        for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep)
        if folder
    ]
    for folder in folders:
        if folder.is_dir():
            return Splitter(_read_tables(folder))
    looked = ", ".join(map(str, folders)) or "nowhere: NLTK_DATA is not set"
    raise InputError(
        f"splitter '{source}': no such file or folder, and no Punkt tables (looked in {looked}); "
        "set NLTK_DATA, give a path, or use build.splitter=train"
    )


def train_splitter(texts: Iterable[str]) -> Splitter:
    """Punkt trained on `texts`, in their order; deterministic."""
    trainer = _import_punkt().PunktTrainer()
    for text in texts:
        trainer.train(text, finalize=False)
    trainer.finalize_training()
    learnt = trainer.get_params()
    return Splitter(
        {
            "abbreviations": sorted(learnt.abbrev_types),
            "collocations": sorted(list(pair) for pair in learnt.collocations),
            "sentence_starters": sorted(learnt.sent_starters),
            "orthography": dict(sorted(learnt.ortho_context.items())),
        }
    )


def _import_punkt() -> Any:
    """nltk's Punkt, without the wall-clock limit on matching that newer versions of nltk set.

    A limit in seconds would make the result depend on the machine: a text of 6 MB failed where the
    processor was busy. Punkt's own patterns take linear time.
    """
    from nltk.tokenize import punkt

    with contextlib.suppress(ImportError):
        from nltk import redos

        redos.DEFAULT_TIMEOUT = None
    return punkt


def _read_json(path: Path) -> dict[str, Any]:
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
        missing = _TABLES.keys() - parameters.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a splitter file ({error})") from error
    if missing:
        raise InputError(f"{path}: not a splitter file, it lacks {', '.join(sorted(missing))}")
    return {name: parameters[name] for name in _TABLES}


def _read_tables(folder: Path) -> dict[str, Any]:
    lines = {}
    for name, file in _TABLES.items():
        try:
            lines[name] = (folder / file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InputError(
                f"{folder / file}: cannot read this Punkt table ({error.strerror}); expected the "
                f"files {', '.join(_TABLES.values())}"
            ) from error
    try:
        return _parse_tables(lines)
    except ValueError as error:
        raise InputError(f"{folder}: malformed Punkt tables ({error})") from error


def _parse_tables(lines: dict[str, list[str]]) -> dict[str, Any]:
    orthography = dict(line.rsplit("\t", 1) for line in lines["orthography"])
    return {
        "abbreviations": sorted(set(lines["abbreviations"])),
        "collocations": sorted(line.split("\t") for line in lines["collocations"]),
        "sentence_starters": sorted(set(lines["sentence_starters"])),
        "orthography": {word: int(flags) for word, flags in sorted(orthography.items())},
    }
