#!lua flags=no-writes
-- A range of a collection with the bodies, from one state.
-- KEYS  index, bodies. ARGV  command, start, stop, limit, how many NUL bytes stand before the key.
local members = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local keys = {}
for n, member in ipairs(members) do
  local start = 1
  for _ = 1, tonumber(ARGV[5]) do
    start = string.find(member, '\0', start, true)
    start = start + 1
  end
  -- The letter that tells what kind of member it is comes first.
  keys[n] = string.sub(member, math.max(start, 2))
end
local bodies = {}
for first = 1, #keys, 4000 do
  local last = math.min(first + 3999, #keys)
  for n, body in ipairs(redis.call('HMGET', KEYS[2], unpack(keys, first, last))) do
    bodies[first + n - 1] = body
  end
end
return {members, bodies}
