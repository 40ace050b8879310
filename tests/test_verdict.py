"""What ends a build, what passes, and what is put down to a document, in words that are the same
wherever it happened."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.executors.calls import call_remotely
from jobs.executors.executor import Outcome
from jobs.verdict import ends_the_build, failure_of, passes
from pipeline.objectives import OBJECTIVES
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.errors import BlankstreamError, CorruptDataError, InputError, StorageError
from schemas.names import MANIFEST_NAME
from schemas.samples import Span, Window
from schemas.storage import HeldFile
from tests.corpus import NoProgress
from tests.fake_tasks import raise_foreign, raise_it


@pytest.mark.parametrize(
    "error",
    [
        StorageError("503"),
        TimeoutError("no answer"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        OSError(errno.EIO, "bad block"),
        OSError("no number"),
    ],
    ids=repr,
)
def test_faults_of_servers_and_most_of_disks_pass(error: Exception) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOSPC,
        errno.EROFS,
        errno.EDQUOT,
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.EFBIG,
    ],
    ids=errno.errorcode.get,
)
def test_a_disk_that_is_full_or_forbidden_ends_the_build(number: int) -> None:
    error = OSError(number, "no")
    assert (passes(error), ends_the_build(error)) == (False, True)


def test_a_draft_that_is_gone_may_stay_the_next_time(tmp_path: Path) -> None:
    with HeldFile(tmp_path, "x.json") as draft:
        draft.path.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError) as gone:
            draft.commit(tmp_path / "x.json")
    with pytest.raises(FileNotFoundError) as other:
        (tmp_path / "x.json").read_bytes()
    assert (passes(gone.value), passes(other.value)) == (True, False)
    assert not passes(PermissionError(errno.EACCES, "no", str(draft.path)))


@pytest.mark.parametrize(
    "error", [InputError("x"), CorruptDataError("x"), BlankstreamError("x")], ids=repr
)
def test_an_error_raised_on_purpose_ends_the_build(error: BlankstreamError) -> None:
    assert (passes(error), ends_the_build(error)) == (False, True)


class ForeignAssertionError(AssertionError):
    """As of a library."""


@pytest.mark.parametrize("error", [AssertionError("x"), ForeignAssertionError("x")], ids=repr)
def test_code_that_is_wrong_ends_the_build_wherever_it_ran(error: AssertionError) -> None:
    afar = call_remotely(raise_it, error).error
    assert afar is not None
    assert [passes(one) for one in (error, afar)] == [False, False]
    assert [ends_the_build(one) for one in (error, afar)] == [True, True]
    assert "in raise_it" in afar.__notes__[0]


def one_short_span(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    return [Span(window.first, window.first + 1)]


def test_a_broken_rule_of_an_objective_ends_the_build_and_leaves_no_document_out(
    tmp_path: Path, corpus: Path, config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        OBJECTIVES, "document", replace(OBJECTIVES["document"], sample=one_short_span)
    )
    watcher = NoProgress()
    with pytest.raises(AssertionError, match=r"objective 'document' .* break its rule") as caught:
        build_dataset(BuildRequest(config, [corpus], tmp_path / "d", "serial", 1), watcher)
    assert "_check_rules" in [frame.name for frame in caught.traceback]
    assert (watcher.state.done, watcher.state.excluded, watcher.state.retries) == (0, 0, 0)
    assert not (tmp_path / "d" / MANIFEST_NAME).exists()
    assert not list((tmp_path / "d").rglob("quarantine/**/*.jsonl"))


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValueError("x"), "ValueError: x"),
        (KeyError("a b"), "KeyError: 'a b'"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_any_other_error_is_put_down_to_a_document(error: Exception, detail: str) -> None:
    assert (passes(error), ends_the_build(error)) == (False, False)
    failure = failure_of(Outcome(1, "pid 1", error=error))
    assert failure.reason == "raised_error"
    assert failure.detail == detail
    assert failure.error is error


def test_the_reason_of_a_death_is_the_same_on_every_executor() -> None:
    deaths = ["killed by SIGKILL", "WorkerCrashedError: The worker died"]
    failures = [failure_of(Outcome(1, "", death=death)) for death in deaths]
    assert {one.reason for one in failures} == {"killed_worker"}
    assert {one.detail for one in failures} == {"its worker process died"}
    assert [one.text for one in failures] == [f"its worker process died: {one}" for one in deaths]


@pytest.mark.parametrize("kind", ["foreign", "panic"])
def test_an_error_of_a_library_reads_the_same_here_and_from_afar(kind: str) -> None:
    afar = call_remotely(raise_foreign, kind).error
    try:
        raise_foreign(kind)
    except BaseException as here:
        details = [failure_of(Outcome(1, "", error=error)).detail for error in (here, afar)]
    assert details[0] == details[1]


def test_a_detail_is_one_short_line_without_addresses() -> None:
    error = ValueError(f"<object at 0x7f12ab> is bad {'x' * 300}\nsecond line")
    detail = failure_of(Outcome(1, "", error=error)).detail
    assert detail.startswith("ValueError: <object at 0x...> is bad xxx")
    assert (len(detail), "\n" in detail) == (200, False)
