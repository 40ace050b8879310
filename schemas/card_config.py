"""The card section: what only a person can say of a data set, for its `README.md`.

It decides no byte of a row and is no part of the recipe.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CardInfo:
    """Plain text, each empty where nothing is stated; `jobs/pages/card.py` says so in the card.

    `license` is an identifier such as `cc-by-4.0`, or a name; `sources` says where the text is
    from. Blank lines part paragraphs of `sources` and `description`.
    """

    title: str = ""
    license: str = ""
    sources: str = ""
    description: str = ""
