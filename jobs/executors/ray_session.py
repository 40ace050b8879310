"""A connection to Ray: one of our own on loopback, or the cluster that somebody else runs.

Opened by `choice.py` for `ray_tasks.py`.
"""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from jobs.executors.ray_processes import folder_of_ray, temporary_files_in
from jobs.signals import handle_again, interruption, is_handling
from schemas.errors import MissingPackageError, UserError
from schemas.packages import missing_package

_REACH_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_MAX_REASON_CHARACTERS = 300
_OBJECT_STORE_BYTES = 100 * 2**20
"""Ray stores what all tasks share, once; results are a few hundred bytes."""

_QUIET = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^(A worker died or was killed|Raylet is terminated)",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # which takes SIGTERM too, and prints its stack
}
"""What Ray would print in the middle of a progress bar; the driver counts these deaths itself."""

_ASK_STATUS = "from ray.scripts.scripts import main; main()"


@contextmanager
def own_ray(workers: int, dashboard: bool, notes: list[str]) -> Iterator[Any]:
    """A Ray of our own with `workers` CPUs, or the one this process is already connected to.

    Ours listens on loopback only, asks for a random token, keeps its files in a temporary folder,
    writes nothing below the home, and ends with the block. Where its dashboard is goes to `notes`.
    Yields the module `ray`.
    """
    ray = import_ray(own_environment())
    if ray.is_initialized():
        yield ray
        return
    with folder_of_ray() as folder:
        try:
            with temporary_files_in(folder), _signals_are_ours(ray):
                started = ray.init(
                    "local",
                    num_cpus=workers,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    logging_level="ERROR",
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                )
            if dashboard:
                notes.append(_dashboard_note(started.dashboard_url))
            yield ray
        except KeyboardInterrupt as error:
            raise interruption(error) from None
        finally:
            ray.shutdown()


@contextmanager
def cluster_ray(address: str) -> Iterator[Any]:
    """The Ray cluster at `address` (`host:port`, or `auto` for the one on this machine).

    Its environment, authentication included, is left as it is, and the cluster goes on running.
    `UserError` when it does not answer within half a minute or refuses.
    """
    ray = import_ray({})
    if ray.is_initialized():
        yield ray
        return
    check_reachable(address)
    try:
        with _signals_are_ours(ray):
            ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError, SystemExit, ray.exceptions.RayError) as error:
        raise _no_cluster(address, f"{type(error).__name__}: {error}") from error
    try:
        yield ray
    except KeyboardInterrupt as error:
        raise interruption(error) from None
    finally:
        ray.shutdown()


@contextmanager
def _signals_are_ours(ray: Any) -> Iterator[None]:
    """Keep the handlers of `jobs/signals.py`; in between, Ray's would lose the signal."""
    utils = ray._private.utils
    theirs = getattr(utils, "set_sigterm_handler", None)
    if not is_handling() or theirs is None:
        yield
        return
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = theirs
        handle_again()


def import_ray(environment: dict[str, str]) -> Any:
    """The module, with what `environment` says beside the environment there is.

    `MissingPackageError` where it is not installed.
    """
    missing = {k: v for k, v in (_QUIET | environment).items() if k not in os.environ}
    was_imported = "ray" in sys.modules
    os.environ.update(missing)
    try:
        import ray
    except ImportError as error:
        raise _no_ray(error) from error
    if was_imported and missing and not ray.is_initialized():
        _read_environment_again(ray)
    return ray


def _no_ray(error: ImportError) -> MissingPackageError:
    return missing_package("ray", "executor 'ray'", error, ", or use --executor processes")


def _read_environment_again(ray: Any) -> None:
    """Ray reads its environment when it is imported, and whether it asks for a token only then: a
    process that has looked for a cluster without one could not start a Ray of its own with one."""
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


def own_environment() -> dict[str, str]:
    """What a Ray of our own is told: a token, loopback, nothing reported."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # without it servers listen on every interface
    }
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        environment["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
    return environment


def _dashboard_note(url: str) -> str:
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    sign_in = f"; its token is {token}" if os.environ["RAY_AUTH_MODE"] == "token" and token else ""
    return f"Ray's dashboard: http://{url}{sign_in}"


def check_reachable(address: str) -> None:
    """Raise `UserError` unless the cluster answers; `ray.init` would wait for minutes.

    `MissingPackageError` where there is no Ray to ask with.
    """
    if find_spec("ray") is None:
        raise _no_ray(ModuleNotFoundError("No module named 'ray'", name="ray"))
    if "://" in address:
        raise UserError(
            f"'{address}' is no address of a Ray cluster's own port (host:port, mostly 6379): run "
            "the build on the cluster with `ray job submit --address ... -- blankstream build ...`"
        )
    host, _, port = address.rpartition(":")
    if address != "auto":
        if not port.isdigit():
            raise UserError(f"'{address}': the address of a Ray cluster is host:port, or auto")
        _check_listens(address, host.strip("[]"), int(port))
    command = [sys.executable, "-W", "ignore", "-c", _ASK_STATUS, "status", "--address", address]
    try:
        asked = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _no_cluster(address, f"nothing within {_ANSWER_SECONDS:.0f} s") from error
    if asked.returncode:
        raise _no_cluster(address, next(iter(asked.stderr.strip().splitlines()[-1:]), ""))


def _check_listens(address: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), _REACH_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> UserError:
    said = reason.split(" Ensure that")[0][:_MAX_REASON_CHARACTERS]
    return UserError(
        f"no Ray cluster answers at '{address}' ({said}); check --address or RAY_ADDRESS, whether "
        "the cluster runs, and RAY_AUTH_MODE and its token"
    )
