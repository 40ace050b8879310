"""Small vocabularies of every kind, written as the files that people have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers


def special(piece: str, number: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return flags | {"id": number, "content": piece, "normalized": True, "special": True}


def write_json(path: Path, **parts: Any) -> None:
    empty = dict.fromkeys(("normalizer", "pre_tokenizer", "decoder", "post_processor"))
    content = {"version": "1.0", "added_tokens": [], "truncation": {"max_length": 4}} | empty
    path.write_text(json.dumps(content | parts), encoding="utf-8")


def write_wordpiece(folder: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    text = "\n".join([*lines, *"[]<>|/.,'-#!?", "中", "文", "。", "the", "##ing", "name"]) + "\n"
    (folder / "vocab.txt").write_text(text, encoding="utf-8")


def write_bpe(folder: Path) -> None:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("in", "g"), ("<", "s")]
    pieces = ["<s>", *alphabet, *map("".join, merges), "<|endoftext|>"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_unigram(folder: Path) -> None:
    """As T5's: special pieces are in the model, where text that spells them would find them."""
    one_space = {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}
    pieces = [
        "[MASK]",
        "</s>",
        "<unk>",
        *map(chr, range(33, 127)),
        *"é中文。",
        "▁",
        "▁the",
        "ing",
    ]
    write_json(
        folder / "tokenizer.json",
        model={"type": "Unigram", "unk_id": 2, "vocab": [[p, -len(pieces)] for p in pieces]},
        added_tokens=[special(piece, number) for number, piece in enumerate(pieces[:3])],
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}, one_space]},
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    )


def write_prefixed(folder: Path) -> None:
    """As Llama's: the normalizer puts a space before each text; bytes stand for the unknown."""
    pieces = ["<unk>", "<s>", *(f"<0x{n:02X}>" for n in range(256)), *map(chr, range(33, 127)), "▁"]
    ids = {piece: number for number, piece in enumerate([*pieces, "th", "the", "▁the"])}
    prepend = {"type": "Prepend", "prepend": "▁"}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    parts = [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]
    merges = [["t", "h"], ["th", "e"], ["▁", "the"]]
    write_json(
        folder / "tokenizer.json",
        model={"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "dropout": 0.5}
        | {"vocab": ids, "merges": merges},
        added_tokens=[special("<unk>", 0), special("<s>", 1), special("<|added|>", len(ids))],
        normalizer={"type": "Sequence", "normalizers": [prepend, replace]},
        decoder={"type": "Sequence", "decoders": parts},
    )


def write_words(folder: Path, size: int = 70_000) -> None:
    ids = {"[UNK]": 0, "[MASK]": 1} | {f"w{n}": n for n in range(2, size)}
    write_json(
        folder / "tokenizer.json",
        model={"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"},
        added_tokens=[special("[MASK]", 1)],
        pre_tokenizer={"type": "WhitespaceSplit"},
    )


WRITERS: dict[str, Callable[[Path], None]] = {
    "wordpiece": write_wordpiece,
    "bpe": write_bpe,
    "unigram": write_unigram,
    "prefixed": write_prefixed,
    "words": write_words,
}
