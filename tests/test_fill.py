"""Filling: masks are found, near misses are named, and the source is framed as in training."""

import json
import shutil
from pathlib import Path

import pytest

from jobs.fill import fill_text, open_filler, parse_masks
from model.generation import fill_blanks
from model.sampling import FillOptions
from schemas.errors import RunError, UserError
from tests.datasets import reseal
from tests.trained import run_training

ALL = r"\[MASK\], \[gMASK\], \[sMASK\]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A run of two steps; read it, do not change it."""
    folder = tmp_path_factory.mktemp("fill") / "run"
    run_training(folder, built, max_steps=2)
    return folder


def test_a_text_is_cut_at_its_masks() -> None:
    pieces, masks = parse_masks("The [MASK] sat. [sMASK][gMASK]")
    assert pieces == ["The ", " sat. ", "", ""]
    assert masks == ["mask", "smask", "gmask"]


@pytest.mark.parametrize(
    "written", ["[mask]", "[Mask]", "[MSAK]", "[MASK1]", "[GMASK]", "[gmask]", "[SMASK2]", "[MAKS]"]
)
def test_what_is_nearly_a_mask_is_named(written: str) -> None:
    with pytest.raises(UserError, match=rf"'\[\w+\]' at character 8 is no mask .* one of {ALL}"):
        parse_masks(f"[MASK]  {written}")


@pytest.mark.parametrize("text", ["[MASK] of the list[index]", "[MASK] [1] [see] [mass] [NOTE]"])
def test_other_brackets_are_text(text: str) -> None:
    assert parse_masks(text)[1] == ["mask"]


def test_a_text_without_a_blank_is_refused() -> None:
    with pytest.raises(UserError, match=f"no blank in the text 'a cat'; write one of {ALL} where"):
        parse_masks("a cat")


def test_answers_stand_where_the_masks_stood(run: Path) -> None:
    text = "The [MASK] statement is used. [sMASK] See [gMASK]!"
    filled = fill_text(run, text, FillOptions(max_new_tokens=5, min_new_tokens=2))
    assert len(filled.answers) == 3
    first, second, third = filled.answers
    assert filled.text == f"The {first} statement is used. {second} See {third}!"
    assert all(filled.answers)


def test_the_source_is_framed_and_answers_come_from_the_vocabulary(run: Path) -> None:
    filler, options = open_filler(run), FillOptions(max_new_tokens=6)
    special, tokenizer = filler.run.data.special, filler.tokenizer
    before, after = (tokenizer.encode([text])[0].tolist() for text in (" The", " statement"))
    source = [special.cls, *before, special.smask, *after, special.eos]
    limited = FillOptions(max_new_tokens=6, vocab_size=tokenizer.vocab_size)
    (expected,) = fill_blanks(filler.model, source, special, limited)
    filled = filler.fill("The [sMASK] statement", options)
    assert filled.answers == (tokenizer.decode(expected).strip(),)
    assert tokenizer.vocab_size < filler.model.config.vocab_size


def test_a_recipe_without_frame_gives_sources_without_frame(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    reseal(copy / "data.json", add_cls=False, add_eos=False)
    filler = open_filler(copy)
    (answer,) = fill_blanks(
        filler.model,
        [filler.run.data.special.mask],
        filler.run.data.special,
        FillOptions(max_new_tokens=4, vocab_size=filler.tokenizer.vocab_size),
    )
    filled = filler.fill("[MASK]", FillOptions(max_new_tokens=4))
    assert filled.answers == (filler.tokenizer.decode(answer),)


def test_equal_seeds_give_equal_answers(run: Path) -> None:
    filler = open_filler(run)
    drawn = [
        filler.fill("A [MASK] here", FillOptions(max_new_tokens=8, temperature=2.0, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_text_too_long_for_the_model_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match=r"the source has \d+ tokens, but the model has positions"):
        fill_text(run, "long " * 80 + "[MASK]", FillOptions())


def test_a_folder_without_a_run_or_a_checkpoint_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder; expected a run made by"):
        fill_text(tmp_path / "none", "[MASK]", FillOptions())
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(RunError, match="no finished checkpoint"):
        fill_text(copy, "[MASK]", FillOptions())


@pytest.mark.fault
def test_another_tokenizer_is_refused(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    data = json.loads((copy / "data.json").read_text(encoding="utf-8"))
    reseal(copy / "data.json", tokenizer=data["tokenizer"] | {"model_sha256": "0" * 64})
    with pytest.raises(RunError, match=r"not the tokenizer this run was trained with .* restore"):
        open_filler(copy)
