#!lua flags=no-writes
-- A part of a log in its order with the bodies, from one state.
-- KEYS  entries, their bodies. ARGV  command, start, stop, limit.
local entries = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local seqs, bodies = {}, {}
for n, entry in ipairs(entries) do
  seqs[n] = string.sub(entry[1], 1, -3)
end
for first = 1, #seqs, 4000 do
  local last = math.min(first + 3999, #seqs)
  for n, body in ipairs(redis.call('HMGET', KEYS[2], unpack(seqs, first, last))) do
    bodies[first + n - 1] = body
  end
end
return {seqs, bodies}
