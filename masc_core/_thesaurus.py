"""Words that people use for one another when they speak of work done together; one group a line."""

from __future__ import annotations

__all__ = ["ALIKE", "ASKING", "CHANGING", "SAME"]

ASKING = frozenset(
    "am any anybody anyone anything anywhere are await breakdown browse check compare count current dashboard did "
    "digest display do does enumerate examine find has have hear history how inspect inventory is know learn list "
    "listen look lookup monitor names observe overview peek print progress query read recap remaining roster scan "
    "scroll search see show since snapshot statistics stats status sum summary tally total view wait was watch were "
    "what when where whether which who whom whose why wonder".split()
)
"""Who begins with one of these mostly wants to know something."""
CHANGING = frozenset(
    "abandon abolish abort accept acquire activate add adjust advertise allow announce answer apply approve archive "
    "ask assign attach authorise authorize ban bar become begin bind block book branch bring bump call cancel cast "
    "cease change choose claim clean clear clone close commit complete configure confirm connect convert coordinate "
    "copy create deactivate declare decline decrease decrypt delegate delete demand deny deprioritise deprioritize "
    "deregister destroy disable discard disconnect dispatch dispose double drop duplicate edit eject enable encrypt "
    "end enforce enrol enroll enter erase escalate escape establish evict exchange exclude exit expel explore extend "
    "file finish fire fix forbid force forget fork free generate give go grab grant halt hand hang harden hide "
    "hold hop i increase inform initialise initialize install introduce invalidate invite isolate issue join kick "
    "kill launch leave let lift limit load lock log loosen lower make mark merge message migrate mint modify move "
    "new nominate note notify obtain offer open outsource pass pause permit pick ping place plan post prepare prevent "
    "produce prohibit prolong promote propose protect provide prune publish purge push put queue quit raise rank "
    "reactivate reap reclaim record redo reduce refresh refuse register reject release relinquish remove rename renew "
    "renounce reopen reply report request require reserve reset resolve respond restart restore restrict resume "
    "retire retract retry return revert revoke rewind roll rotate run save say scramble scrap seal secure seek select "
    "send separate set share shout shut sign silence slow snag spawn speak split start stash stop store submit "
    "suspend swap sweep switch take talk tear tell terminate throw tidy tighten toss track transfer trash try tune "
    "turn unassign unblock undo unlock unreserve unseal unsubscribe update upgrade use veto void vote warn whisper "
    "wipe withdraw work wrap write".split()
)
"""Who begins with one of these wants to change something."""

SAME = """
not no without never none neither nor cannot no_longer no_more not_any_more any_more anymore not_any_longer any_longer
python sql postgres postgresql mysql sqlite redis docker kubernetes k8s terraform react vue angular css html golang
python rust java kotlin swift typescript javascript frontend front_end backend back_end
python devops linux aws node php ruby
model gpt opus sonnet haiku llm llama
task ticket issue todo job chore story work_item action_item subtask to_do to_dos
agent bot teammate colleague coworker co_worker team_mate member workmate assistant tester reviewer participant attendee fellow
agent claude gemini codex cursor copilot
nobody no_one
everyone everybody crew folks all_agents whole_team all_teammates all_members the_team whole_group whole_room all_others
somebody someone anybody anyone
private privately dm dms direct directly direct_message one_on_one one_to_one p2p peer_to_peer confidential confidentially
private side_chat side_conversation side_talk side_channel just_between between_us
portal channel line_to direct_line
human person boss supervisor manager human_being operator maintainer
approval sign_off_on signoff consent go_ahead green_light clearance blessing thumbs_up okay ok
vote poll ballot election referendum survey
until till
wait await long_poll hang_on stay_on_the_line stand_by
enable turn_on switch_on power_on
disable deactivate turn_off switch_off off
auth authentication authorization authorisation access_control authenticate
login log_in log_me_in
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
history historical historic
irreversible irrevocable irrevocably permanent permanently
result outcome
answer reply respond response
notify inform notification
unfinished incomplete
dangerous risky hazardous unsafe
concurrent parallel simultaneous simultaneously at_the_same_time
stranger outsider intruder guest anonymous
expire lapse run_out expiry expiration
renew extend prolong
leak compromise
busy occupied
free idle available unoccupied
undo revert rollback roll_back
inbox mailbox
majority quorum consensus
unused never_used
announce announcement proclaim
delegate outsource hand_off hand_over
throw_away discard scrap
sum total altogether
clash conflict collide overlap collision
pause halt suspend
database store storage disk at_rest
valid validity
exchange trade swap
obsolete superfluous unnecessary
role privilege
assign allocate
mint_token issue_token issue_a_token issue_me_a_token issue_new_token issue_a_new_token
mint_token issue_credential issue_a_credential issue_an_api_key
reject decline refuse deny veto disapprove
copy clone duplicate
find search locate
consumption usage consume
rotate replace
note write_down jot_down note_down
request ask
maximum max
minimum min
speak talk
forbid prohibit
idle sleep
at_once immediately right_away straight_away instantly
deadline due
contact get_in_touch reach_out
require demand
abort cancel call_off
exclusive exclusively
subtree subfolder subdirectory
fix repair mend
take took taken
give gave given
start begin began begun commence
break broke broken
choose chose chosen
come came
draw drew drawn
fall fell fallen
forget forgot forgotten
freeze froze
hide hid hidden
hold held
lose lost
mean meant
pay paid
run ran
say said
speak spoke spoken
stand stood
steal stole stolen
stick stuck
tell told
think thought
throw threw thrown
write wrote written
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
expert capability know good knows python
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
leave exit out off
lock hold exclusive reserve block
join enter inside
dead stuck lost gone
crypt encrypt secret
"""
"""Words that count, to a degree, for the others of their line."""
