"""The `blankstream` command: arguments in, one message out.

Every mistake of the caller, and a package of an extra that is not installed, ends with exit status
2 and one message, every other fault foreseen with exit status 1, a signal with 128 and its number;
what is unforeseen keeps its traceback.
"""

import sys
from contextlib import suppress
from importlib.metadata import version

import click

from jobs.commands.care import merge, repair, verify
from jobs.commands.datasets import build, status
from jobs.commands.look import demo, inspect
from jobs.commands.runs import fill, trace, train
from jobs.console import complain, note, show_all_characters
from jobs.signals import Received, ending_signals
from schemas.errors import BlankstreamError, CorruptDataError, MissingPackageError, UserError
from schemas.packages import extras_of, missing_package


def main() -> None:
    """Entry point of the console script; turns errors into a message and an exit status."""
    show_all_characters()
    with ending_signals() as received:
        try:
            cli.main(standalone_mode=False)
            return
        except BaseException as error:
            status = _status(error, received)
    sys.exit(status)


def _status(error: BaseException, received: Received) -> int:
    """The exit status, once the person was told; what is unforeseen is raised again.

    What goes wrong while a command ends because of a signal is not its reason.
    """
    if received.number or isinstance(error, (click.Abort, KeyboardInterrupt)):
        with suppress(OSError):  # a terminal that was closed
            note(f"Interrupted ({received.name}); what was finished stays")
        return received.status
    if isinstance(error, click.ClickException):
        error.show()
        return 2
    if isinstance(error, OSError):
        complain(f"{error}; what was finished stays")
        return 1
    if isinstance(error, ModuleNotFoundError) and extras_of(error.name or ""):
        error = missing_package(str(error.name), "this command", error)
    if isinstance(error, BlankstreamError):
        complain(str(error))
        is_damage = isinstance(error, CorruptDataError)
        return 2 if isinstance(error, UserError | MissingPackageError) and not is_damage else 1
    raise error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("blankstream"), prog_name="blankstream")
def cli() -> None:
    """GLM pretraining on streamed, pre-corrupted shards.

    `blankstream demo` shows everything once, on text that Python ships, in minutes.
    """


for _command in (demo, build, status, verify, repair, merge, inspect, train, trace, fill):
    cli.add_command(_command)
