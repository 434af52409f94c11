#!lua flags=no-writes
-- Bodies of documents in several collections, from one state.
-- KEYS  the bodies of each collection. ARGV  for each collection, how many keys and the keys.
local found, at = {}, 0
for n, bodies in ipairs(KEYS) do
  local keys = {}
  for m = 1, tonumber(ARGV[at + 1]) do
    keys[m] = ARGV[at + 1 + m]
  end
  at = at + 1 + #keys
  found[n] = {}
  for first = 1, #keys, 4000 do
    local last = math.min(first + 3999, #keys)
    for m, body in ipairs(redis.call('HMGET', bodies, unpack(keys, first, last))) do
      found[n][first + m - 1] = body
    end
  end
end
return found
