#!lua flags=no-writes
-- How many documents and entries there are, from one state.
-- KEYS  meta, heads, then the bodies of each collection, then the entries of each log.
-- ARGV  how many fields meta and heads had when these were listed, how many collections.
-- Gives nil where there are others by now.
if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) or redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then
  return false
end
local counts = {}
for n = 3, #KEYS do
  counts[n - 2] = redis.call(n - 2 <= tonumber(ARGV[3]) and 'HLEN' or 'XLEN', KEYS[n])
end
return counts
