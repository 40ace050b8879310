"""documents -> sentences: half-open character ranges.

Stands between reading and tokenizing. Two rules split a document: Punkt (`splitters/punkt.py`,
exactly nltk's spans) and one for Chinese and Japanese (`splitters/cjk.py`). A splitter says which
document goes to which rule. It is plain data (JSON) with a hash, so that a build can say which one
it used.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.splitters.cjk import cjk_spans
from pipeline.splitters.punkt import Punkt
from pipeline.splitters.punkt_training import check_tables, empty_tables, read_tables, train_tables
from pipeline.splitters.scripts import is_cjk, is_cjk_language
from schemas.errors import InputError

TRAINING_CHARACTERS = 4_000_000
"""Characters that a splitter is trained on at most; Punkt reads about 350 kB a second."""

ASSIGNMENTS = ("script", "field", "fixed")
"""How a document finds its rule: by its letters, by its language field, or one rule for all."""

_RULES = ("punkt", "cjk")
_VERSION = 1
"""Goes up when a rule in the code changes, so that hashes differ where spans may."""


class Splitter:
    """Sentences by Punkt with fixed tables, or by the rule for Chinese and Japanese.

    `rule` is that of every document when `by` is "fixed". Otherwise documents in Chinese or
    Japanese go to the rule "cjk" and all others to "punkt".
    """

    def __init__(self, parameters: dict[str, Any], by: str = "fixed", rule: str = "punkt") -> None:
        if by not in ASSIGNMENTS or rule not in _RULES:
            raise InputError(
                f"splitter: by={by!r} with rule={rule!r}; expected by one of "
                f"{', '.join(ASSIGNMENTS)} and rule one of {', '.join(_RULES)}"
            )
        self.parameters, self.by, self.rule = parameters, by, rule
        self._punkt = Punkt(parameters)

    def spans(self, text: str, language: str = "") -> list[tuple[int, int]]:
        """Sentences of `text` as ascending half-open character ranges; white space lies between.

        `language` is the document's own, as its field says; it counts where `by` is "field".
        """
        return cjk_spans(text) if self.is_cjk(text, language) else self._punkt.spans(text)

    def is_cjk(self, text: str, language: str = "") -> bool:
        """Whether a document goes to the rule for Chinese and Japanese."""
        if self.by == "fixed":
            return self.rule == "cjk"
        if self.by == "field" and language.strip():
            return is_cjk_language(language)
        return is_cjk(text)

    def to_json(self) -> str:
        """Canonical text, read again by `load_splitter`."""
        content = {
            "version": _VERSION,
            "by": self.by,
            "rule": self.rule,
            "punkt": self.parameters,
        }
        return json.dumps(content, sort_keys=True, indent=0) + "\n"

    @property
    def digest(self) -> str:
        """Hex SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def load_splitter(source: str | Path, by: str | None = None) -> Splitter:
    """The splitter of a language ("english", "chinese", "japanese") or of a path.

    A language is Chinese or Japanese, or is looked up as `tokenizers/punkt_tab/<language>` in the
    folders of NLTK_DATA. A path is a `splitter.json` of a data set, or a folder of Punkt tables.
    `by` says how documents find their rule; without it, as the file says, else "fixed".
    Raises `InputError` saying where it looked.
    """
    name, path = str(source), Path(source)
    if is_cjk_language(name):
        return Splitter(empty_tables(), by or "fixed", "cjk")
    if path.suffix == ".json":
        return _read_json(path, by)
    folders = _language_folders(name)
    for folder in (*folders, path):
        if folder.is_dir():
            return Splitter(read_tables(folder), by or "fixed")
    looked = ", ".join(map(str, folders)) or "nowhere: NLTK_DATA is not set"
    raise InputError(
        f"splitter '{source}': no such file or folder, and no Punkt tables (looked in {looked}); "
        "set NLTK_DATA, give a path, or use build.splitter=train"
    )


def train_splitter(texts: Iterable[str], by: str = "fixed") -> Splitter:
    """Punkt trained on `texts`, in their order; deterministic.

    Unless `by` is "fixed", texts in Chinese or Japanese letters, which Punkt will not split, teach
    it nothing; where no other is left the tables are empty.
    """
    wanted = texts if by == "fixed" else (text for text in texts if not is_cjk(text))
    return Splitter(train_tables(wanted), by)


def _language_folders(name: str) -> list[Path]:
    """Where tables of a language may be; nowhere for what is no bare name."""
    if Path(name).name != name or name in {".", ".."}:
        return []
    data = [Path(folder) for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    return [folder / "tokenizers" / "punkt_tab" / name for folder in data]


def _read_json(path: Path, by: str | None) -> Splitter:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        missing = {"version", "by", "rule", "punkt"} - content.keys()
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}, this program reads {_VERSION}")
        return Splitter(check_tables(content["punkt"]), by or content["by"], content["rule"])
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a splitter file ({error})") from error
