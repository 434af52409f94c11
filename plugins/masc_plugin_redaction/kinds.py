"""The kinds of secret in the order in which they win where two matches are equally long."""

from __future__ import annotations

from masc_plugin_redaction.contexts import CONTEXTS
from masc_plugin_redaction.services import SERVICES
from masc_plugin_redaction.shapes import WORD_KINDS

__all__ = ["ORDER"]

ORDER = {
    kind: i
    for i, kind in enumerate(dict.fromkeys((*(s.kind for s in (*SERVICES, *CONTEXTS)), *WORD_KINDS, "masc_token")))
}
"""The rank of each kind; patterns from the settings come after these."""
