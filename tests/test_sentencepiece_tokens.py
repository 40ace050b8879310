"""Training SentencePiece: deterministic, on all the text, and of the size that was asked for."""

import io

import pytest
import sentencepiece

from pipeline.vocabularies.layouts import PIECES
from pipeline.vocabularies.sentencepiece_tokens import SentencePieceTokenizer, train_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer
from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError


def test_special_tokens_have_ids_of_their_own(tokenizer: Tokenizer) -> None:
    ids = tokenizer.special.to_mapping()
    assert len({ids[name] for name in PIECES}) == len(PIECES)
    assert max(ids[name] for name in PIECES) < tokenizer.vocab_size <= 500


def test_training_twice_gives_the_same_model(texts: list[str]) -> None:
    config = TokenizerConfig(vocab_size=400, sentinels=3)
    first, second = (train_tokenizer(texts, config) for _ in range(2))
    assert first.digest == second.digest
    assert (
        first.vocab_size == train_tokenizer(texts, TokenizerConfig(vocab_size=400)).vocab_size + 6
    )


def test_a_vocabulary_larger_than_the_text_allows_is_cut() -> None:
    sentences = ["a few words only", " words and words"]
    assert train_tokenizer(sentences, TokenizerConfig(vocab_size=5000)).vocab_size < 400


def test_a_sample_without_text_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"build\.tokenizer\.vocab_size=400: .*give more text"):
        train_tokenizer(["\n"], TokenizerConfig(vocab_size=400))


def test_a_released_layout_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match="layout='gpt2' belongs to an existing vocabulary"):
        train_tokenizer(["text"], TokenizerConfig(layout="gpt2"))


def test_long_lines_take_part_in_training() -> None:
    line = "unusualword " * 2000
    tokenizer = train_tokenizer([line, " another one"], TokenizerConfig(vocab_size=500))
    assert len(tokenizer.encode([" unusualword"])[0]) < 4


def test_a_vocabulary_too_small_for_the_characters_names_one_that_is_not() -> None:
    lines = ["".join(f" {chr(0x4E00 + n + 40 * k)}" for k in range(30)) for n in range(40)] * 3
    with pytest.raises(ConfigError, match=r"vocab_size=2000 or more") as refused:
        train_tokenizer(lines, TokenizerConfig(vocab_size=500))
    assert "1,201 characters" in str(refused.value)
    assert train_tokenizer(lines, TokenizerConfig(vocab_size=2000)).vocab_size <= 2000


def test_training_joins_sentences_as_their_text_does() -> None:
    sentences = ["你们好。", "我们去北京。", "他们来大学。"] * 40
    config = TokenizerConfig(vocab_size=300)
    joined = train_tokenizer(sentences, config)
    assert joined.digest == train_tokenizer(["".join(sentences)], config).digest
    apart = train_tokenizer([f" {sentence}" for sentence in sentences], config)
    assert apart.digest != joined.digest


def test_a_model_that_keeps_white_space_gets_one_space_between_sentences() -> None:
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(["a few words only", "other words here"] * 30),
        model_writer=writer,
        vocab_size=300,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        byte_fallback=True,
        minloglevel=2,
    )
    tokenizer = SentencePieceTokenizer(writer.getvalue())
    ids, _ = tokenizer.encode([" a few\nwords", "\n \x85other", "here "])
    assert tokenizer.decode(ids.tolist()) == "a few\nwords otherhere"
