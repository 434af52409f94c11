"""Where the credential of this process comes from: MASC_TOKEN, or a file that MASC_TOKEN_FILE names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

from masc_core.errors import StartError

__all__ = ["ProcessToken"]


@define
class ProcessToken:
    """A process's token; one from a file is read again when the file changes, so that a renewed one is taken up."""

    value: str | None = field(default=None, repr=False)
    _file: Path | None = None
    _seen: tuple[int, int, int] | None = field(default=None, repr=False)

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] | None = None) -> ProcessToken:
        """The token the environment gives. Raises :class:`StartError` when MASC_TOKEN_FILE cannot be read."""
        environ = os.environ if environ is None else environ
        if token := environ.get("MASC_TOKEN", "").strip():
            return cls(token)
        if not (name := environ.get("MASC_TOKEN_FILE", "").strip()):
            return cls()
        found = cls(None, Path(name).expanduser())
        try:
            found._read()
        except OSError as error:
            raise StartError(
                message=f"MASC_TOKEN_FILE {name} cannot be read ({error.strerror}); give a readable one or unset it"
            ) from error
        return found

    def current(self) -> str | None:
        """The token as it stands now."""
        if self._file is not None:
            try:
                self._read()
            except OSError:
                return self.value  # the file is being replaced, or gone: what was read is still ours
        return self.value

    def adopt(self, token: str) -> None:
        """Go on with a token this process was issued; the file counts again once it changes."""
        self.value = token

    def _read(self) -> None:
        assert self._file is not None
        found = self._file.stat()
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self.value = self._file.read_text(encoding="utf-8", errors="replace").strip() or None
            self._seen = seen
