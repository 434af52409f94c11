#!lua flags=no-writes
-- The groups of an index and their tallies, from one state.
-- KEYS  index, tallies. ARGV  start, stop of the groups' members.
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2])
local counts = {}
for n, member in ipairs(members) do
  counts[n] = redis.call('HGET', KEYS[2], string.sub(member, 2))
end
return {members, counts}
