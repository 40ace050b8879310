"""Punkt's tables: learnt from texts by nltk, or read from a folder of nltk's `punkt_tab`.

Stands behind `pipeline.sentences`. Tables are plain data: `abbreviations` and `sentence_starters`
(sorted words), `collocations` (sorted pairs), `orthography` (word -> flags).
"""

import contextlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from schemas.errors import InputError

TABLES = {
    "abbreviations": "abbrev_types.txt",
    "collocations": "collocations.tab",
    "sentence_starters": "sent_starters.txt",
    "orthography": "ortho_context.tab",
}


def train_tables(texts: Iterable[str]) -> dict[str, Any]:
    """Tables that nltk learns from `texts`, in their order; empty without words; deterministic."""
    trainer = import_punkt().PunktTrainer()
    has_words = False
    for text in texts:
        trainer.train(text, finalize=False)
        has_words = has_words or not text.isspace()
    if not has_words:
        return empty_tables()
    trainer.finalize_training()
    learnt = trainer.get_params()
    return check_tables(
        {
            "abbreviations": learnt.abbrev_types,
            "collocations": learnt.collocations,
            "sentence_starters": learnt.sent_starters,
            "orthography": learnt.ortho_context,
        }
    )


def empty_tables() -> dict[str, Any]:
    """Tables of a Punkt that has learnt nothing."""
    return {"abbreviations": [], "collocations": [], "sentence_starters": [], "orthography": {}}


def import_punkt() -> Any:
    """nltk's Punkt, without the wall-clock limit on matching that newer versions of nltk set.

    A limit in seconds would make the result depend on the machine: a text of 6 MB failed where the
    processor was busy.
    """
    from nltk.tokenize import punkt

    with contextlib.suppress(ImportError):
        from nltk import redos

        redos.DEFAULT_TIMEOUT = None
    return punkt


def read_tables(folder: Path) -> dict[str, Any]:
    """Tables of a folder laid out as nltk's `punkt_tab/<language>`.

    Raises `InputError` naming the file that is missing or the folder whose lines are malformed.
    """
    lines = {}
    for name, file in TABLES.items():
        try:
            text = (folder / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{folder / file}: cannot read this Punkt table "
                f"({getattr(error, 'strerror', None) or error}); expected the files "
                f"{', '.join(TABLES.values())}"
            ) from error
        lines[name] = text.removesuffix("\n").split("\n") if text else []
    try:
        return check_tables(
            {
                "abbreviations": lines["abbreviations"],
                "collocations": [line.split("\t") for line in lines["collocations"]],
                "sentence_starters": lines["sentence_starters"],
                "orthography": dict(line.rsplit("\t", 1) for line in lines["orthography"]),
            }
        )
    except ValueError as error:
        raise InputError(f"{folder}: malformed Punkt tables ({error})") from error


def check_tables(tables: dict[str, Any]) -> dict[str, Any]:
    """`tables` sorted, without doubles, words as text and flags as integers.

    Raises `ValueError` where a table is missing or of another form.
    """
    missing = TABLES.keys() - tables.keys()
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    pairs = [(first, last) for first, last in tables["collocations"]]
    flags = {word: int(value) for word, value in tables["orthography"].items()}
    words = [*tables["abbreviations"], *tables["sentence_starters"], *flags, *chain(*pairs)]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a word is no text")
    return {
        "abbreviations": sorted(set(tables["abbreviations"])),
        "collocations": sorted(map(list, set(pairs))),
        "sentence_starters": sorted(set(tables["sentence_starters"])),
        "orthography": dict(sorted(flags.items())),
    }
