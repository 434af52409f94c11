"""``masc demo``: two scripted agents do the main job in a temporary repository, against real servers.

Read ``story.py`` for what happens, ``report.py`` for what is shown, the others for how.
"""

from __future__ import annotations

from masc_core.demo.play import play
from masc_core.demo.report import Narrator, Report, show

__all__ = ["Narrator", "Report", "play", "show"]
