"""Text in tars: every member is read or counted, and no name is ever used as a path."""

import io
import tarfile
import time
from pathlib import Path

import pytest

from pipeline.readers.document_fields import DocumentMaker
from pipeline.readers.reads import TAR_METADATA, TAR_OTHER, BadInput, Document, Tally
from pipeline.readers.tar_input import read_tar
from pipeline.readers.tars import is_unsafe, tar_members
from schemas.build_config import BuildConfig
from schemas.plan import SourceRange
from tests.text_inputs import gzip_tar, read, tar

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("kind", FORMATS)
def test_members_are_those_that_python_finds(kind: int) -> None:
    names = ["a.txt", "d" * 90 + "/" + "e" * 60 + ".txt", "empty.txt"]
    if kind != tarfile.USTAR_FORMAT:
        names += ["é" * 100 + ".txt", "f" * 200 + "/g.txt"]
    content = tar([(name, name.encode()[: 700 - len(name)]) for name in names], format=kind)
    found = [(m.name, m.data.read(m.stop - m.start)) for m in tar_members(io.BytesIO(content))]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = [(m.name, archive.extractfile(m).read()) for m in archive]  # type: ignore[union-attr]
    assert found == expected
    assert [name for name, _ in found] == names


def test_members_need_not_be_read() -> None:
    content = tar([("a.bin", bytes(3_000_000)), ("b.txt", b"text")])
    members = tar_members(io.BytesIO(content))
    next(members)
    last = next(members)
    assert content[last.start : last.stop] == last.data.read(100) == b"text"


def test_a_sample_is_its_text_and_json_beside_it_is_metadata(tmp_path: Path) -> None:
    members = [
        ("s/1.jpg", b"\xff\xd8"),
        ("s/1.json", b'{"text": "no document"}'),
        ("s/1.txt", b"one"),
        ("s/2.txt", b"two"),
        ("s/2.json", b'{"width": 3}'),
        ("s/3.json", b'{"text": "three"}'),
        ("s/3.png", b""),
        ("s/4.jsonl", b'{"text": "four"}\n{"text": "five"}\n'),
        ("s/5.json", b'[{"text": "six"}]'),
    ]
    tally = Tally()
    content = tar(members)
    found = read(tmp_path / "x.tar", content, None, tally)
    documents = [one for one in found if isinstance(one, Document)]
    assert [one.text for one in documents] == ["one", "two", "three", "four", "five", "six"]
    assert documents[0].id == f"x.tar#{content.index(b'one')}"
    assert all(one.text.encode() in content[one.start : one.stop] for one in documents)
    assert dict(tally) == {TAR_OTHER: 2, TAR_METADATA: 2}


@pytest.mark.parametrize("has_text", [True, False])
def test_json_of_numbered_names_is_read_at_once_whatever_stands_beside_it(has_text: bool) -> None:
    members = [(f"wiki.{n:05d}.json", b'{"text": "document %d"}' % n) for n in range(200)]
    members += [("wiki.readme.txt", b"read me")] * has_text
    stream, tally = io.BytesIO(tar(members)), Tally()
    maker = DocumentMaker(SourceRange("x.tar", 0, 0, ""), BuildConfig(), tally)
    found = []
    for one in read_tar(stream, maker):
        found.append(one)
        assert stream.tell() <= one.start + 1024, "more than the member read was taken in"
    texts = [one.text for one in found if isinstance(one, Document)]
    assert texts == [f"document {number}" for number in range(200)] + ["read me"] * has_text
    assert not tally


def test_one_json_member_waits_and_any_other_json_of_its_key_ends_that(tmp_path: Path) -> None:
    members = [
        ("1.json", b'{"text": "one"}'),
        ("1.json", b'{"text": "two"}'),
        ("1.meta.json", b'{"text": "three"}'),
        ("1.txt", b"four"),
        ("1.json", b'{"text": "metadata"}'),
        ("1.b.txt", b"five"),
        ("2.a.txt", b"six"),
        ("2.json", b'{"text": "seven"}'),
    ]
    tally = Tally()
    found = read(tmp_path / "x.tar", tar(members), None, tally)
    texts = [one.text for one in found if isinstance(one, Document)]
    assert texts == ["one", "two", "three", "four", "five", "six", "seven"]
    assert dict(tally) == {TAR_METADATA: 1}


def test_a_pax_header_takes_time_in_proportion_to_its_size() -> None:
    record, size = b"5 a=\n", 2**20
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, size // len(record) * len(record)
    records = record * (size // len(record))
    content = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
    begun = time.process_time()
    (member,) = tar_members(io.BytesIO(content + tar([("a.txt", b"text")])))
    assert time.process_time() - begun < 1
    assert member.name == "a.txt"


@pytest.mark.parametrize(
    "records",
    [b"a=b\n", b"5 a=", b"6 a=\n", b"5a=\n", b"0000000005 a=\n", b"-5 a=\n", b"0 =\n", b"5 ab\n"],
)
def test_a_damaged_pax_record_is_damage(tmp_path: Path, records: bytes) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    content = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
    (bad,) = read(tmp_path / "x.tar", content + tar([("a.txt", b"text")]))
    assert isinstance(bad, BadInput)
    assert "a damaged pax header before byte 1024" in bad.detail


def test_a_compressed_tar_counts_bytes_of_the_tar(tmp_path: Path) -> None:
    members = [("a.txt", b"one\n\ntwo"), ("b.txt", b"three")]
    config = BuildConfig(text_unit="paragraph")
    plain = read(tmp_path / "x.tar", tar(members), config)
    for name in ("x.tgz", "x.tar.gz"):
        packed = read(tmp_path / name, gzip_tar(members), config)
        assert [(one.start, one.stop) for one in packed] == [(o.start, o.stop) for o in plain]
    assert len(plain) == 3


def test_links_devices_folders_and_sparse_files_are_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)):
            info = tarfile.TarInfo(f"{number}.txt")
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        folder = tarfile.TarInfo("folder.txt")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        sparse = tarfile.TarInfo("sparse.txt")
        sparse.size, sparse.pax_headers = 4, {"GNU.sparse.major": "1"}
        archive.addfile(sparse, io.BytesIO(b"holy"))
        real = tarfile.TarInfo("real.txt")
        real.size = 4
        archive.addfile(real, io.BytesIO(b"text"))
    tally = Tally()
    (document,) = read(tmp_path / "x.tar", sink.getvalue(), None, tally)
    assert isinstance(document, Document)
    assert document.text == "text"
    assert dict(tally) == {TAR_OTHER: 4}


@pytest.mark.parametrize(
    "name", ["/etc/a.txt", "../a.txt", "a/../../b.txt", "C:\\a.txt", "..\\a.txt"]
)
def test_an_unsafe_name_is_counted(tmp_path: Path, name: str) -> None:
    assert is_unsafe(name)
    first, bad, last = read(
        tmp_path / "x.tar", tar([("a.txt", b"one"), (name, b"two"), ("c.txt", b"three")])
    )
    assert isinstance(bad, BadInput)
    assert bad.reason == "unsafe_name"
    assert [first.start < bad.start < last.start] == [True]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.tar"]


def test_a_bad_member_costs_itself(tmp_path: Path) -> None:
    members = [
        ("a.txt", b"one"),
        ("b.txt", b"\xff"),
        ("c.txt", b""),
        ("d.json", b"[{}, "),
        ("e.txt", b"x"),
    ]
    found = read(tmp_path / "x.tar", tar(members))
    reasons = [one.reason for one in found if isinstance(one, BadInput)]
    assert reasons == ["invalid_utf8", "empty_file", "no_text", "malformed_json"]
    assert [one.text for one in found if isinstance(one, Document)] == ["one", "x"]


@pytest.mark.parametrize("cut", [400, 600, 1100])
def test_a_truncated_tar_gives_its_whole_members(tmp_path: Path, cut: int) -> None:
    content = tar([("a.txt", b"one"), ("b.txt", b"t" * 700)])[:2560]
    found = read(tmp_path / "x.tar", content[:-cut])
    assert [one.text for one in found if isinstance(one, Document)] == ["one"]
    assert isinstance(found[-1], BadInput)
    assert found[-1].reason == "damaged_tar"


def test_concatenated_tars_are_one_and_rubbish_behind_is_told(tmp_path: Path) -> None:
    one, two = tar([("a.txt", b"one")]), tar([("b.txt", b"two")])
    found = read(tmp_path / "x.tar", one + two)
    assert [one.text for one in found if isinstance(one, Document)] == ["one", "two"]
    found = read(tmp_path / "x.tar", one + b"rubbish" * 100)
    assert isinstance(found[-1], BadInput)
    assert "no header at byte 10240" in found[-1].detail


def test_a_header_that_promises_too_much_is_damage(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x" * 150)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (bad,) = read(tmp_path / "x.tar", bytes(header))
    assert isinstance(bad, BadInput)
    assert "a header of 8589934591 bytes" in bad.detail
