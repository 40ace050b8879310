"""A loader's process as the race sees it: started, asked, ended.

`worker.py` is what runs on the other side. What it prints on stderr is kept in a file, of which the
last line is the reason when it fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_SECONDS = 5.0


class LoaderFailedError(RuntimeError):
    """The process of a loader has ended; the message is its last line."""


class Entrant:
    """The process of loader `name`, whose data set is `folder / name`; a context manager.

    Its home is `folder / "home"`, so that no library finds or leaves anything in the user's own.
    """

    def __init__(self, name: str, folder: Path) -> None:
        home, self._log = folder / "home", folder / f"{name}.log"
        home.mkdir(exist_ok=True)
        arguments = ["-m", "benchmarks.peers.worker", name, str(folder / name)]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(paths)}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    def ask(self, method: str, *arguments: object) -> Any:
        """The answer of that method of its `Worker`; `LoaderFailedError` when there is none."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise LoaderFailedError(f"{method}: {self._last_words()}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdout.close()
        try:
            self._process.stdin.close()
            self._process.wait(_PATIENCE_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):  # threads of a library keep it alive
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "ended without a word"
