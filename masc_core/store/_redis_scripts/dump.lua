#!lua flags=no-writes
-- Everything of a room, from one state.
-- KEYS  meta, heads, leases, then the six keys of each name, as for commit.lua.
-- ARGV  how many fields meta and heads had when the names were listed, the logs.
-- Gives nil where there are others by now, else {fence, leases, lasts of the logs, names}: a lease is {name, owner, fence,
-- expires}, a name {keys, what is packed of each, bodies or nil, numbers of entries, what is packed of each, bodies}. All
-- wait for this script, so nothing is unpacked in it: unpack.lua does that in parts.
if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) or redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then
  return false
end

local function whole(n)
  return string.format('%.0f', n)
end

-- Values of a hash, many at a time: more arguments than this a function does not take.
local function values(hash, fields)
  local found = {}
  for first = 1, #fields, 4000 do
    local last = math.min(first + 3999, #fields)
    for n, value in ipairs(redis.call('HMGET', hash, unpack(fields, first, last))) do
      found[first + n - 1] = value
    end
  end
  return found
end

local leases = {}
local names = redis.call('HKEYS', KEYS[3])
for n, packed in ipairs(values(KEYS[3], names)) do
  local held = cmsgpack.unpack(packed)
  leases[n] = {names[n], held[1], whole(held[2]), string.format('%.17g', held[3])}
end

local function room(place)
  local keys = redis.call('HKEYS', KEYS[place])
  local seqs, packed = {}, {}
  for n, entry in ipairs(redis.call('XRANGE', KEYS[place + 4], '-', '+')) do
    seqs[n], packed[n] = string.sub(entry[1], 1, -3), entry[2][2]
  end
  return {keys, values(KEYS[place], keys), values(KEYS[place + 1], keys), seqs, packed, values(KEYS[place + 5], seqs)}
end

local logs, rooms = {}, {}
for n = 3, #ARGV do
  logs[n - 2] = redis.call('HGET', KEYS[2], ARGV[n])
end
for place = 4, #KEYS, 6 do
  rooms[#rooms + 1] = room(place)
end
return {redis.call('HGET', KEYS[1], 'fence') or '0', leases, logs, rooms}
