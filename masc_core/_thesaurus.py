"""Words that people use for one another when they speak of work done together; one group a line."""

from __future__ import annotations

__all__ = ["ASKING", "CHANGING", "GROUPS"]

ASKING = frozenset(
    "am are check did do does has have how is list see show view was were what when where which who whose".split()
)
"""Who begins with one of these mostly wants to know something."""
CHANGING = frozenset(
    "abandon accept acquire activate add adjust allow announce approve archive assign begin bump call cancel cast "
    "change choose claim clean clear complete create deactivate delete deny disable disconnect drop edit enable "
    "encrypt end erase exit file finish free generate get give go grab grant inform join launch leave let lock log "
    "lower make mark modify notify open pass pick post propose protect publish purge put quit raise record refresh "
    "refuse register reject release remove renew reply reserve revoke run save send set start stop swap switch take "
    "tell throw track turn unlock update vote wipe".split()
)
"""Who begins with one of these wants to change something."""

GROUPS = """
create make new add generate produce issue build
start begin open launch initiate establish initialise initialize
remove delete drop erase wipe clear discard throw rid purge destroy prune
show list see view display print browse read look
find search locate seek look
change update modify adjust edit alter set
take claim grab acquire obtain get pick assign
release free unlock return abandon unclaim give
done finish complete end close conclude resolve accomplish
stop end terminate quit leave exit disconnect depart
enable activate on
disable deactivate off
send tell post write say announce notify inform broadcast publish share
reply answer respond response
result outcome answer
wait listen block poll sleep await watch
ask request question query
approve accept allow permit grant confirm yes agree ok
reject refuse deny decline no forbid veto
human person user operator people owner
message chat note mail text
task ticket issue todo item job work bug story
agent member participant teammate colleague worker peer
everyone everybody all anybody anyone team group others
vote poll ballot election decision decide
capability skill ability expertise expert know able
directory folder path repository repo project
worktree checkout copy workspace sandbox clone
cost price money dollar spend expense bill usd
token credential login
access permission right role
authentication auth authorization login security
encrypt encryption encrypted aes seal cipher
protect secure guard
limit quota throttle rate
private direct confidential privately
old past earlier previous former history archive
dead crash gone silent vanish zombie unresponsive stale
alive present online active
refresh renew extend prolong swap fresh replace rotate
revoke invalidate withdraw cancel void
urgent important priority
progress status state
left remaining rest
summary overview glance
alternative different another other branch fork
"""
