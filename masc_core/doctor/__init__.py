"""``masc doctor``: what is wrong with a room, its store and this machine, and how to mend it.

:mod:`.machine` and :mod:`.directory` look at what is there without a store, :mod:`.store` at the store; categories and
guards add their part by the hook ``masc_doctor``. Imported when the command runs.
"""
