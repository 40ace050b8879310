"""`blankstream fill`: text with blanks -> the answers, and the text with them put in.

The last step for a person who trained a model: joins the run's tokenizer to `model.generation`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.devices import default_device
from jobs.run_checkpoints import last_checkpoint
from jobs.runs import Run, open_run
from model.generation import fill_blanks
from model.sampling import FillOptions
from model.transformer import GLM
from schemas.errors import RunError, UserError
from schemas.objectives import MASK_TOKENS

if TYPE_CHECKING:
    from pipeline.vocabularies.tokenizer import Tokenizer

_MASK = re.compile("|".join(re.escape(written) for written in MASK_TOKENS.values()))
_BRACKETED = re.compile(r"\[([A-Za-z]{3,8})\d*\]")
_NEAR_RATIO = 0.7


@dataclass(frozen=True)
class Filled:
    """`answers` has the text of each blank in its order; `text` has them in place of the masks."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Filler:
    """A run opened for filling any number of texts."""

    run: Run
    model: GLM
    tokenizer: "Tokenizer"

    def fill(self, text: str, options: FillOptions) -> Filled:
        """Answers for the masks of `text`; equal options give equal answers.

        `options.vocab_size` is set to the tokenizer's. Raises `UserError` for a text without a
        mask, with something that looks like a misspelt one, or too long for the model.
        """
        pieces, masks = parse_masks(text)
        _check_encodable(text)
        special = self.run.data.special
        options = replace(options, vocab_size=self.tokenizer.vocab_size)
        answers = [
            self.tokenizer.decode(ids).strip()
            for ids in fill_blanks(self.model, self._source(pieces, masks), special, options)
        ]
        joined = "".join(part for pair in zip(pieces, [*answers, ""], strict=True) for part in pair)
        return Filled(joined, tuple(answers))

    def _source(self, pieces: Sequence[str], masks: Sequence[str]) -> list[int]:
        """Part A: framed as the windows of training were, its text encoded piece by piece."""
        special, data = self.run.data.special, self.run.data
        source = [special.cls] * data.add_cls
        for number, piece in enumerate(pieces):
            opening = "" if number else self.tokenizer.opening
            source += self.tokenizer.encode_fragment(opening + piece)
            source += [special.mask_id(name) for name in masks[number : number + 1]]
        return source + [special.eos] * data.add_eos


def open_filler(path: Path) -> Filler:
    """The model of the last checkpoint of a run, with the run's tokenizer.

    Raises `RunError` for a folder without a run or a finished checkpoint.
    """
    # Imported here, so that whoever only trains needs no SentencePiece.
    from pipeline.tokens import open_tokenizer

    run = open_run(path)
    checkpoint = last_checkpoint(path)
    tokenizer = open_tokenizer(run.tokenizer_folder)
    if tokenizer.digest != run.data.tokenizer["model_sha256"]:
        raise RunError(
            f"{run.tokenizer_folder}: not the tokenizer this run was trained with (SHA-256 "
            f"{tokenizer.digest}, expected {run.data.tokenizer['model_sha256']}); restore it from "
            "the data set"
        )
    model = checkpoint.load_model(run.config.model).to(default_device()).eval()
    return Filler(run, model, tokenizer)


def fill_text(run: Path, text: str, options: FillOptions) -> Filled:
    """`open_filler(run).fill(text, options)`; what is wrong with `text` is said first."""
    parse_masks(text)
    return open_filler(run).fill(text, options)


def parse_masks(text: str) -> tuple[list[str], list[str]]:
    """The pieces of `text` between its masks (one more than masks), and the masks' names.

    Names are keys of `MASK_TOKENS`. `UserError` for no mask, and for what looks like a misspelt
    one: the letters of a mask in any order or case, or capitals that are nearly those of one.
    """
    names = {written: name for name, written in MASK_TOKENS.items()}
    expected = ", ".join(names)
    for match in _BRACKETED.finditer(text):
        if match[0] not in names and _is_near_miss(match[1]):
            raise UserError(
                f"'{match[0]}' at character {match.start()} is no mask token; write one of "
                f"{expected} where an answer is wanted, and other text without brackets"
            )
    masks = [names[written] for written in _MASK.findall(text)]
    if not masks:
        raise UserError(
            f"no blank in the text {text!r}; write one of {expected} where an answer is wanted"
        )
    return _MASK.split(text), masks


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the text is not valid Unicode at character {error.start}; give it as UTF-8"
        ) from error


def _is_near_miss(word: str) -> bool:
    known = [written.strip("[]").lower() for written in MASK_TOKENS.values()]
    letters = word.lower()
    if any(sorted(letters) == sorted(name) for name in known):
        return True
    is_shouted = word.isupper() or word[1:].isupper()
    ratios = [SequenceMatcher(None, letters, name).ratio() for name in known]
    return is_shouted and max(ratios) >= _NEAR_RATIO
