#!lua flags=no-writes
-- A range of a log by index value with the bodies, from one state.
-- KEYS  index, bodies of the entries. ARGV  command, start, stop, limit.
local members = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local seqs, bodies = {}, {}
for n, member in ipairs(members) do
  seqs[n] = string.format('%.0f', tonumber(string.sub(member, -16)))
end
for first = 1, #seqs, 4000 do
  local last = math.min(first + 3999, #seqs)
  for n, body in ipairs(redis.call('HMGET', KEYS[2], unpack(seqs, first, last))) do
    bodies[first + n - 1] = body
  end
end
return {members, bodies}
