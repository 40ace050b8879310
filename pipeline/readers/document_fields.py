"""Fields of a line, a row or a text -> one `Document`, or the reason why there is none.

Last step of every reader; the names of the fields are those of the build's configuration.
"""

from typing import Any

from pipeline.readers.lines import Piece
from pipeline.readers.reads import (
    NUL_REMOVED,
    BadInput,
    Document,
    Read,
    Tally,
    UnusableInput,
    bad_input,
)
from schemas.build_config import BuildConfig
from schemas.plan import SourceRange

_MAX_NUL_RATIO = 0.1


class DocumentMaker:
    """Documents of one source under one configuration; adds to `tally` what it mends."""

    def __init__(self, source: SourceRange, config: BuildConfig, tally: Tally) -> None:
        self.config, self.tally = config, tally
        self._source = source

    def from_fields(self, at: tuple[int, int], fields: dict[str, Any]) -> Document:
        """The document of a mapping, at the half-open range `at`; raises `UnusableInput`.

        `{text}`, `{prompt, text}` or `{prompt, completion}`; where both text and completion are
        given, the text counts. An absent field and null are the same.
        """
        config = self.config
        given = _identity(fields.get(config.id_field), config.id_field)
        text = fields.get(config.text_field)
        is_instruction = text is None and fields.get(config.completion_field) is not None
        name = config.completion_field if is_instruction else config.text_field
        text = _string(fields, name, "no_text")
        prompt = ""
        if is_instruction or fields.get(config.prompt_field) is not None:
            prompt = self._clean(_string(fields, config.prompt_field, "bad_prompt"))
        language = _plain(fields.get(config.language_field))
        for part in (given, language):
            _refuse_surrogates(part)
        place = f"{self._source.path}#{at[0]}"
        identity = f"{given}@{place}" if given and config.duplicate_ids == "suffix" else given
        path, text = self._source.path, self._clean(text)
        return Document(identity or place, text, path, *at, prompt, language, is_instruction)

    def from_text(self, at: tuple[int, int], text: str) -> Document:
        """The document that `text` is, its line ends all LF; raises `UnusableInput`."""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return Document(f"{self._source.path}#{at[0]}", self._clean(text), self._source.path, *at)

    def bad(self, at: tuple[int, int], raw: bytes, why: UnusableInput) -> BadInput:
        """What stands at `at` as a case of `why`."""
        return bad_input(why.reason, self._source, at, raw, why.detail)

    def bad_piece(self, piece: Piece, why: UnusableInput) -> Read:
        """A piece as a case of `why`."""
        return self.bad((piece.start, piece.stop), piece.raw, why)

    def _clean(self, text: str) -> str:
        _refuse_surrogates(text)
        if "\0" not in text:
            return text
        if (found := text.count("\0")) > _MAX_NUL_RATIO * len(text):
            raise UnusableInput(
                "binary_content",
                f"{found} of {len(text)} characters are NUL: no text, or text of another encoding "
                "(build.encoding=utf-16-le, or auto)",
            )
        self.tally[NUL_REMOVED] += 1
        return text.replace("\0", "")


def _string(fields: dict[str, Any], name: str, reason: str) -> str:
    value = fields.get(name)
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, str):
        return value
    found = "absent" if name not in fields else _type_name(value)
    raise UnusableInput(reason, f"field '{name}' is {found}, expected a string")


def _identity(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | bytes):
        raise UnusableInput(
            "bad_id", f"field '{name}' is {_type_name(value)}, expected a string or an integer"
        )
    if isinstance(value, bytes):
        return _decoded(value)
    try:
        return str(value)
    except ValueError as error:  # an integer of more digits than Python writes
        raise UnusableInput("bad_id", f"field '{name}': {error}") from error


def _type_name(value: Any) -> str:
    from_column = getattr(value, "column_type", None)
    return "null" if value is None else str(from_column or type(value).__name__)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return _decoded(value)
    return value if isinstance(value, str) else ""


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} of a column's value: {error.reason}"
        raise UnusableInput("invalid_utf8", detail) from error


def _refuse_surrogates(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise UnusableInput("lone_surrogate", f"character {error.start}") from error
