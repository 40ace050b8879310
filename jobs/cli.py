"""The `blankstream` command: arguments in, one message out.

Every mistake of the caller ends with exit status 2 and one message, every other fault foreseen with
exit status 1; what is unforeseen keeps its traceback.
"""

import sys
from importlib.metadata import version

import click

from jobs.commands.care import merge, repair, verify
from jobs.commands.datasets import build, status
from jobs.commands.look import demo, inspect
from jobs.commands.runs import fill, train
from jobs.console import complain, note
from schemas.errors import BlankstreamError, UserError


def main() -> None:
    """Entry point of the console script; turns errors into a message and an exit status."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        note("Interrupted; what was finished stays")
        sys.exit(130)
    except OSError as error:
        complain(f"{error}; what was finished stays")
        sys.exit(1)
    except BlankstreamError as error:
        complain(str(error))
        sys.exit(2 if isinstance(error, UserError) else 1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("blankstream"), prog_name="blankstream")
def cli() -> None:
    """GLM pretraining on streamed, pre-corrupted shards.

    `blankstream demo` shows everything once, on text that Python ships, in minutes.
    """


for _command in (demo, build, status, verify, repair, merge, inspect, train, fill):
    cli.add_command(_command)
