"""Words that people use for one another when they speak of work done together; one group a line."""

from __future__ import annotations

__all__ = ["ALIKE", "ASKING", "CHANGING", "SAME"]

ASKING = frozenset(
    "am anybody anyone anything any are check count current did display do does has have how is list look overview see "
    "show status summary tally view was were what when where which who whose why".split()
)
"""Who begins with one of these mostly wants to know something."""
CHANGING = frozenset(
    "abandon accept acquire activate add adjust advertise allow announce answer approve archive ask assign authorise "
    "authorize ban begin book branch bump call cancel cast change choose claim clean clear close complete confirm "
    "create deactivate declare decline decrypt delegate delete deny deregister deprioritise deprioritize disable "
    "disconnect discard drop edit enable encrypt end enter erase escalate evict exit extend file finish fork free "
    "generate get give go grab grant hand hang hold inform invalidate issue join kick kill launch leave let lock log "
    "lower make mark mint modify move nominate notify open pass pause pick ping post promote propose protect provide "
    "prune publish purge put queue quit raise reap reclaim record refresh refuse register reject release remove renew "
    "reply report request reserve reset resolve respond revert revoke rotate run save seal send set shut sign start stop "
    "submit sweep swap switch take tear tell terminate throw tidy track turn unassign unlock unreserve update use veto "
    "vote wipe withdraw write".split()
)
"""Who begins with one of these wants to change something."""

SAME = """
not no without never none neither nor cannot no_longer no_more not_any_more any_more anymore not_any_longer any_longer
task ticket issue todo job chore story work_item action_item subtask
agent bot teammate colleague coworker co_worker team_mate member workmate assistant tester reviewer
agent claude gemini codex cursor copilot
everyone everybody crew folks all_agents whole_team all_teammates all_members the_team whole_group whole_room all_others
somebody someone anybody anyone
private privately dm dms direct directly direct_message one_on_one one_to_one p2p peer_to_peer confidential confidentially
private side_chat just_between between_us
portal channel line_to direct_line
human person boss supervisor manager human_being operator maintainer
approval sign_off_on signoff consent go_ahead green_light clearance blessing thumbs_up okay ok
vote poll ballot election referendum survey
wait await long_poll hang_on stay_on_the_line stand_by block_until sleep_until
enable turn_on switch_on power_on
disable deactivate turn_off switch_off off
auth authentication authorization authorisation access_control authenticate
login log_in
join sign_in sign_me_in sign_up check_in sign_me_up let_me_in
leave sign_out log_out log_me_out log_off sign_me_off logout depart deregister unregister go_offline going_offline quit
credential password passwd api_key access_key account bearer
encrypt encryption seal cipher encipher
plain plaintext unencrypted decrypt clear_text cleartext plain_text
limit quota throttle throttling ratelimit rate_limit cap
cost price money expense spend spent bill usd dollar cent expenditure
capability skill ability expertise proficiency competence talent strength specialty speciality able capable
expert specialist qualified guru proficient
directory folder dir
repository repo codebase code_base project
worktree working_copy working_tree working_directory work_tree checkout sandbox isolated_copy
zombie dead crash stop_responding not_responding die ghost hung unresponsive stale disappear vanish defunct killed frozen
alive awake still_here sign_of_life keepalive keep_alive
show list display print view see enumerate
urgent urgency critical pressing asap
important importance
priority p1 p2 p3 reprioritise reprioritize prioritise prioritize deprioritise deprioritize
remove delete ditch get_rid rid dispose eliminate
wipe nuke erase purge obliterate clean_slate
lock mutex
fork diverge
alternative another_way another_route different_way other_way different_approach plan_b
room lobby
message msg
initialise initialize init bootstrap
configuration config
mine my myself am_i do_i have_i own
claim i_will_do i_ll_do i_will_take i_ll_take
give_back hand_back put_back give_up
overview summary dashboard glance big_picture
unlock unreserve
abandon wontfix
finish complete done
human_in_the_loop hitl
everything all_of_it the_lot
roster directory_of
history log_of
henceforth from_now_on from_here_on
old ancient past former previous earlier
"""
"""Words that are taken for the first of their line."""

ALIKE = """
create make new add generate produce build mint
start begin open launch initiate establish kick_off
remove discard throw wipe drop prune clear destroy tear
show read look browse overview check scroll
find search locate seek look
change update modify adjust edit alter set switch
take claim grab acquire obtain pick assign
release free unlock return abandon unclaim give give_back let drop
finish end close conclude resolve accomplish through
stop end terminate exit disconnect close hang shut
enable start activate
disable stop not
send tell post write say announce notify inform broadcast publish share shout ping
reply answer respond response
result outcome answer
wait listen watch until subscribe
ask request question query
approve accept allow permit grant confirm yes agree approval authorise authorize
reject refuse deny decline not forbid veto disapprove turn_down
human user client
message chat note mail text conversation talk inbox
task item work assignment backlog board
agent worker peer somebody partner
everyone everybody team group others all
vote decision decide option choice
expert capability know good knows python rust sql typescript javascript java css frontend backend kubernetes
directory path workspace repository
worktree workspace clone branch copy
permission right role access
security secure protect guard auth
credential token login access
private portal peer partner line link connection
old archive history
zombie silent gone inactive
alive present online active around presence idle
refresh renew extend prolong swap fresh replace rotate exchange
revoke invalidate withdraw void ban
urgent important priority
progress status state
left remaining rest still
overview status summary
alternative different other branch fork variant
pause permission approval
cost budget
"""
"""Words that count, to a degree, for the others of their line."""
