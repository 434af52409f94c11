"""Any sequence of calls of several agents and passing time, on the memory store, against models of the rules."""

from __future__ import annotations

from board_machine import BoardMachine
from machine_support import profile
from portal_machine import PortalMachine
from talk_machine import LockMachine, TalkMachine


class WholeRoom(LockMachine, PortalMachine, BoardMachine, TalkMachine):
    """All of it, for what one has to do with the other: whoever leaves lets go of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.collects = False  # messages that go to the archive are no part of the model


TestBoard = BoardMachine.TestCase
TestBoard.settings = profile(15, 40)
TestTalk = TalkMachine.TestCase
TestTalk.settings = profile(12, 30)
TestLocks = LockMachine.TestCase
TestLocks.settings = profile(15, 30)
TestPortals = PortalMachine.TestCase
TestPortals.settings = profile(15, 40)
TestWholeRoom = WholeRoom.TestCase
TestWholeRoom.settings = profile(8, 50)
