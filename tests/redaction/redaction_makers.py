"""What made-up secrets are made of."""

from __future__ import annotations

import random
import string

from masc_core.frozen import frozen

ALNUM = string.ascii_letters + string.digits
WORD = ALNUM + "-_"
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
BASE64 = ALNUM + "+/"


@frozen
class Secret:
    """One secret: the kind it is of, what must go, and the text it needs round it to be known as one."""

    variant: str
    kind: str
    value: str
    around: str = "{}"

    @property
    def text(self) -> str:
        """The secret as it is written."""
        return self.around.format(self.value)


class Maker:
    """Pseudo-random words, the same in every run."""

    def __init__(self) -> None:
        self._random = random.Random(20)

    def word(self, length: int, alphabet: str = ALNUM) -> str:
        """A word that is none."""
        return "".join(self._random.choices(alphabet, k=length))
