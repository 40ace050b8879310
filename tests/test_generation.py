"""Filling blanks: agreement with a slow full forward pass and with the official program."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from model.attention import Layout
from model.generation import fill_blanks
from model.sampling import FillOptions, next_token
from model.transformer import GLM
from schemas.errors import UserError
from schemas.objectives import SpecialTokens
from tests.models import SPECIAL, TINY, generator, tiny_glm
from tests.oracle import UNSUPPORTED, oracle_path, reference_file

SOURCE = [1, 10, 3, 11, 12, 5, 13, 4, 2]
NO_BANS = FillOptions(max_new_tokens=5, banned=())


def slow_fill(model: GLM, source: list[int], limit: int) -> list[list[int]]:
    """Greedy, nothing banned: everything is encoded again for every token."""
    columns = [(token, position, 0) for position, token in enumerate(source)]
    answers = []
    for position, mask in enumerate(source):
        if mask not in (SPECIAL.mask, SPECIAL.gmask, SPECIAL.smask):
            continue
        columns.append((SPECIAL.start, position, 1))
        answer: list[int] = []
        while len(answer) < limit:
            ids = torch.tensor(columns).T[:, None]
            layout = Layout.single(len(columns), len(source), ids.device)
            token = int(model.logits(model(*ids, layout)[0, -1]).argmax())
            if token in (SPECIAL.end, SPECIAL.eos):
                break
            answer.append(token)
            columns.append((token, position, len(answer) + 1))
        answers.append(answer)
    return answers


@pytest.mark.parametrize("seed", range(8))
def test_answers_equal_those_of_a_full_forward_pass_for_every_token(seed: int) -> None:
    model = tiny_glm(seed)
    answers = fill_blanks(model, SOURCE, SPECIAL, NO_BANS)
    assert len(answers) == 3
    assert answers == slow_fill(model, SOURCE, limit=5)


def special_of(cases: dict[str, Any], case: dict[str, Any]) -> SpecialTokens:
    """The tokens of one case; names it does not have get an id that no prompt holds."""
    known = {**cases["special"], "end": case["end"], "eos": case["eos"]}
    if not case["own_mask_tokens"]:
        known |= {"gmask": -1, "smask": -1}
    return SpecialTokens(**{field.name: known.get(field.name, -1) for field in fields(SPECIAL)})


@pytest.mark.oracle
def test_greedy_answers_are_those_of_the_reference() -> None:
    cases = json.loads(oracle_path("generation_cases.json").read_text())
    reference = reference_file(cases["weights"])
    scaled, stored = reference.model(cases["weight_scale"]), reference.model()
    assert cases["greedy"]
    for case in cases["greedy"]:
        model = stored if case.get("weights_as_stored") else scaled
        options = FillOptions(max_new_tokens=case["limit"], banned=())
        answers = fill_blanks(model, case["prompt"], special_of(cases, case), options)
        # We show the last token of an answer that was cut to the later blanks, as in training.
        plain = [blank["answer"] for blank in case["blanks"]]
        assert answers == case.get("answers_if_the_last_token_is_seen", plain), case["name"]


@pytest.mark.oracle
def test_every_kind_of_generation_case_is_compared_or_listed_as_unsupported() -> None:
    cases = json.loads(oracle_path("generation_cases.json").read_text())
    kinds = {f"generation_cases.json/{name}" for name in cases if isinstance(cases[name], list)}
    assert kinds <= {"generation_cases.json/greedy"} | UNSUPPORTED.keys()


def sampled(seed: int, **changes: Any) -> list[list[int]]:
    options = FillOptions(max_new_tokens=6, temperature=1.5, seed=seed, **changes)
    return fill_blanks(tiny_glm(), SOURCE, SPECIAL, options)


def test_draws_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = sampled(1)
    torch.manual_seed(2)
    assert sampled(1) == first
    assert any(sampled(seed) != first for seed in range(2, 6))


def test_special_ids_and_padding_of_the_vocabulary_are_never_generated() -> None:
    tokens = {
        token for seed in range(20) for answer in sampled(seed, vocab_size=20) for token in answer
    }
    assert tokens <= set(range(8, 20))


def test_a_minimum_length_puts_off_the_end() -> None:
    answers = [answer for seed in range(10) for answer in sampled(seed, min_new_tokens=4)]
    assert all(4 <= len(answer) <= 6 for answer in answers)


def test_an_end_that_shares_its_id_with_a_mask_still_ends() -> None:
    shared = SPECIAL.to_mapping() | {"end": SPECIAL.gmask, "eos": SPECIAL.gmask}
    options = FillOptions(max_new_tokens=20, temperature=100.0)
    answers = fill_blanks(tiny_glm(), [1, 3, 3, 3, 3, 2], SpecialTokens(**shared), options)
    assert any(len(answer) < 20 for answer in answers)


def test_an_answer_stops_where_the_block_positions_end() -> None:
    options = FillOptions(max_new_tokens=1000, min_new_tokens=1000)
    answers = fill_blanks(tiny_glm(), SOURCE, SPECIAL, options)
    assert [len(answer) for answer in answers] == [TINY.max_sequence_length] * 3


def test_filling_uses_no_dropout_and_leaves_the_mode_of_the_model_as_it_was() -> None:
    model = tiny_glm(config=replace(TINY, dropout=0.9)).train()
    assert fill_blanks(model, SOURCE, SPECIAL, NO_BANS) == slow_fill(tiny_glm(), SOURCE, limit=5)
    assert model.training


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        (FillOptions(temperature=1.0, top_k=2), {1, 3}),
        (FillOptions(temperature=1.0, top_p=0.6), {1, 3}),
        (FillOptions(temperature=1.0, top_p=0.1), {3}),
        (FillOptions(temperature=0.01), {3}),
        (FillOptions(temperature=1.0, vocab_size=3), {0, 1, 2}),
        (FillOptions(), {3}),
    ],
)
def test_only_the_tokens_an_option_keeps_are_drawn(options: FillOptions, allowed: set[int]) -> None:
    logits, draws = torch.tensor([0.1, 0.3, 0.1, 0.5]).log(), generator(1)
    assert {next_token(logits, (), options, draws) for _ in range(200)} == allowed


def test_draws_follow_the_probabilities() -> None:
    logits, draws = torch.tensor([0.1, 0.2, 0.7]).log(), generator(1)
    tokens = [next_token(logits, (), FillOptions(temperature=1.0), draws) for _ in range(2000)]
    assert tokens.count(2) / 2000 == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([1, 10, 2], r"source of 3 tokens has no blank; put one of \[MASK\]"),
        ([], "source of 0 tokens has no blank"),
        ([3] * 26, "source has 26 tokens, but the model has positions for 25; shorten"),
        ([1, 3, 99], "token id 99 lies outside the model's vocabulary of 32"),
    ],
)
def test_a_source_that_cannot_be_filled_is_refused(source: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fill_blanks(tiny_glm(), source, SPECIAL, FillOptions())


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": 0},
        {"min_new_tokens": -1},
        {"temperature": -0.5},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"vocab_size": -1},
    ],
)
def test_an_option_out_of_range_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"fill option {next(iter(change))}=.*must be"):
        FillOptions(**change)
