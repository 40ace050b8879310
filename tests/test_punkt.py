"""Punkt: nltk's spans on every text, with any tables, in time that grows with the text."""

import gzip
import json
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sentences import nltk_splitter
from pipeline.splitters.punkt import Punkt
from pipeline.splitters.punkt_characters import (
    BREAKS,
    DIGITS,
    OTHER_SPACES,
    SEPARATORS,
    SPACES,
    is_letter,
)
from pipeline.splitters.punkt_tokens import TokenRules, Verdicts
from pipeline.splitters.punkt_training import empty_tables, read_tables

FULL = bool(os.environ.get("BLANKSTREAM_FULL"))

MARKS = ". . . ? ! \" ' ) ( ] [ } { ; : , @ * & # ` - -- ... .. 1 9 a b A É"
PIECES = [
    *MARKS.split(" "),
    *" \n\t\r\x0b\x0c\x1c\x1f\x85\xa0\u2028\u3000\u200b\u200d_",
    *"‘’“”«»–—…中。あİΣßⅣ²٣\u0301\U00011f50\U0001e030\ud800",  # noqa: RUF001
    *(". . .", " . ", "i.", "U.S.", "Mr.", "e.g.", "a-b.", "ab-e.g.", "1.5", "-1,0.", "12."),
    *(".)", '."', "?)", '!"', ".--", "?! ", ". “", "The ", " said ", "Bach", "J. ", "\r\n"),
]
TYPES = 'a b i ab a-b mr mr. e.g u.s . .. ... 1 1. ##number## ? ! " ) - ß ς ss 中 the bach said'
WORDS = [*TYPES.split(" "), "i̇", "", ". .", ". . ", "\x1c", "a?", "i."]


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    words = st.sampled_from(WORDS)
    pairs = draw(st.lists(st.tuples(words, words), max_size=12))
    return {
        "abbreviations": draw(st.lists(words, max_size=6)),
        "collocations": [list(pair) for pair in pairs],
        "sentence_starters": draw(st.lists(words, max_size=6)),
        "orthography": draw(st.dictionaries(words, st.integers(0, 63).map(lambda n: 2 * n))),
    }


def random_texts() -> st.SearchStrategy[str]:
    """Texts of few kinds of pieces each, so that their neighbourhoods repeat."""
    some = st.lists(st.sampled_from(PIECES), min_size=1, max_size=10)
    return some.flatmap(lambda few: st.lists(st.sampled_from(few), max_size=40)).map("".join)


def assert_same(text: str, punkt: Punkt, reference: Any) -> None:
    assert punkt.spans(text) == list(reference.span_tokenize(text)), repr(text)


@pytest.fixture(scope="module")
def english(shared_data: Path) -> tuple[Punkt, Any]:
    """Ours and nltk's splitter with the tables of English."""
    folder = shared_data / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    found = read_tables(folder)
    return Punkt(found), nltk_splitter(found)


@given(st.lists(random_texts(), min_size=1, max_size=8), tables())
def test_spans_are_those_of_nltk_for_any_text_and_any_tables(
    texts: list[str], parameters: dict[str, Any]
) -> None:
    punkt, reference = Punkt(parameters), nltk_splitter(parameters)
    for text in texts:
        assert_same(text, punkt, reference)


@given(texts=st.lists(random_texts() | st.text(), min_size=1, max_size=8))
def test_spans_are_those_of_nltk_for_any_text_in_english(
    english: tuple[Punkt, Any], texts: list[str]
) -> None:
    for text in texts:
        assert_same(text, *english)


QUIRKS = [
    "",
    "   ",
    "  He left. ",
    "He left.",
    "Mr. Smith left. He (J. Bach) stayed.",
    'Mr. Yes!" he said.',
    "Mr. Smith.' He left.",
    '"Go." He went. (Really?) Yes.',
    '?) one. !" two? three',
    ' ?) one. !" two? three',
    "a.\xa0b. c.\u3000d? e",
    "a.\n\x1c\nb. c. \x1d",
    "one . . . two. . . Three ... Four.... Five",
    'one." " two. " three.)--four.)" five.\'s six',
    "In 1999. It was 3.5 p.m. At 10. a.",
    "www.example.com? Yes. U.S.-based. U.S. Army",
    'end.\n\n"Start" end."\n',
    "tab.\tA\tb.\r\nC d.\r\n",
]


@pytest.mark.parametrize("text", QUIRKS)
def test_what_is_odd_in_nltk_is_kept(english: tuple[Punkt, Any], text: str) -> None:
    assert_same(text, *english)
    assert_same(text, Punkt(empty_tables()), nltk_splitter(empty_tables()))


def documents(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


ENGLISH = "brown classics debian_docs gutenberg novels_whole openstax reuters speeches webtext"
CORPORA = [
    "chinese.jsonl.gz",
    "english_small.jsonl",
    *(f"english/{name}.jsonl.gz" for name in [*ENGLISH.split(" "), "standardebooks"]),
]


@pytest.mark.parametrize("name", CORPORA)
def test_spans_are_those_of_nltk_on_real_text(
    english: tuple[Punkt, Any], shared_data: Path, name: str
) -> None:
    left = 10**12 if FULL else 120_000
    checked = 0
    for text in documents(shared_data / "corpus" / name):
        part = text[:left]
        assert_same(part, *english)
        checked, left = checked + 1, left - len(part)
        if left <= 0:
            break
    assert checked


def test_spans_are_those_of_nltk_on_text_cut_anywhere(
    english: tuple[Punkt, Any], shared_data: Path
) -> None:
    choose = random.Random(5)
    for name in ("debian_docs", "webtext", "speeches"):
        for text in list(documents(shared_data / "corpus" / "english" / f"{name}.jsonl.gz"))[:20]:
            for _ in range(200 if FULL else 15):
                start = choose.randrange(len(text))
                assert_same(text[start : start + choose.randrange(600)], *english)


def test_character_classes_are_those_of_the_engine_nltk_uses() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert set(filter(is_letter, everything)) == set(regex.findall(r"[^\W\d]", everything))
    assert re.findall(f"[{DIGITS}]", everything) == regex.findall(r"\d", everything)
    spaces = re.findall(f"[{SPACES}]", everything)
    assert spaces == regex.findall(r"\s", everything)
    assert set(filter(str.isspace, everything)) == {*spaces, *SEPARATORS}
    assert {*re.findall(f"[{OTHER_SPACES}]", everything), *BREAKS} == set(spaces)


SHAPES = {
    "dots": ".",
    "dots and spaces": ". ",
    "dots and quotes": '."',
    "one long line": "The cat sat. ",
    "no space": "x",
    "words in one chunk": "a.)b",
    "question marks": "?",
    "spaces": " ",
    "no-break spaces": "a.\xa0",
    "lines of quotes": 'a.\n"',
    "abbreviations": "Mr. ",
    "separators": "\x1c. ",
    "numbers": "1.",
    "commas": "a,",
    "dashes": "--a.)",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("end", ["", "x", " X", '" Y.'])
def test_time_grows_with_the_text_whatever_its_shape(
    english: tuple[Punkt, Any], shape: str, end: str
) -> None:
    piece = SHAPES[shape]
    assert_same(piece * (200 // len(piece)) + end, *english)
    text = "A." + piece * (150_000 // len(piece)) + end
    start = time.process_time()
    english[0].spans(text)
    assert time.process_time() - start < 4, "a quadratic rule would take minutes"


def test_what_is_remembered_is_bounded() -> None:
    verdicts = Verdicts(TokenRules(empty_tables()))
    for number in range(70_000):
        assert verdicts[f"word{number}x"]
    assert len(verdicts) <= 1 << 15
    assert verdicts["x" * 1000]
    assert "x" * 1000 not in verdicts
