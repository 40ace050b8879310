"""The exceptions a job treats differently.

`UserError` and its children are the caller's mistakes: one message, exit status 2, as for a
`MissingPackageError`. Every other `BlankstreamError` is a fault of the world (a damaged shard, a
lost file): one message, exit 1.
"""


class BlankstreamError(Exception):
    """Root of every error raised on purpose; its message says what is wrong, where, what to do."""


class UserError(BlankstreamError, ValueError):
    """The caller's input cannot be used as given."""


class ConfigError(UserError):
    """A configuration key is unknown, of the wrong type or out of its range."""


class InputError(UserError):
    """An input file is missing, unreadable, of no known format, or has changed since planning."""


class DatasetError(UserError):
    """A data set is missing, unfinished, of another recipe, or unfit for what is asked of it."""


class UnreadableError(DatasetError):
    """A file that this user may not read: nothing is known of it, and it is not called damaged."""


class RunError(UserError):
    """A training run is missing, unfinished, or was started with another configuration."""


class MissingPackageError(BlankstreamError, ImportError):
    """A package of an extra is not installed. No `UserError`: nothing given is at fault, and who
    explains unusable files must not take it for one."""


class CorruptDataError(BlankstreamError):
    """Bytes on disk differ from the hashes recorded when they were written."""


class DamagedError(CorruptDataError, DatasetError):
    """A file that a data set cannot be opened without is damaged or gone; exit status 1."""


class StorageError(BlankstreamError):
    """Object storage, the network to it, or a disk of temporary files kept failing."""
