"""Packages that only some commands need: the extra that installs each, and what to run for it.

The extras are those of `pyproject.toml`. What needs a package says so with `missing_package`; an
import that nobody guards is explained by the command line (`jobs/cli.py`).
"""

from schemas.errors import MissingPackageError

EXTRAS = {
    "build": (
        "ray",
        "nltk",
        "sentencepiece",
        "tokenizers",
        "webdataset",
        "numba",
        "charset_normalizer",
    ),
    "train": ("torch", "safetensors", "tensorboard", "sentencepiece", "tokenizers"),
    "s3": ("s3fs",),
}
"""Extra -> the packages that it installs, by the names under which they are imported."""


def extras_of(package: str) -> list[str]:
    """The extras that install `package`, as imported or as pip calls it; none for what is not
    optional, and for a submodule."""
    name = package.replace("-", "_")
    return [extra for extra, packages in EXTRAS.items() if name in packages]


def how_to_install(package: str) -> str:
    """What to run for a package of an extra."""
    commands = [f'`pip install ".[{extra}]"`' for extra in extras_of(package)]
    return f"run {' or '.join(commands)} in a checkout of blankstream"


def missing_package(
    package: str, needed_by: str, error: ImportError, otherwise: str = ""
) -> MissingPackageError:
    """What to raise where importing a package of an extra raised `error`.

    `needed_by` begins the message, `otherwise` ends it with what helps without the package.
    """
    is_absent = isinstance(error, ModuleNotFoundError) and error.name == package
    found = "is not installed" if is_absent else f"cannot be imported ({error})"
    return MissingPackageError(
        f"{needed_by} needs the package '{package}', which {found}; {how_to_install(package)}"
        f"{otherwise}"
    )
