#!lua flags=no-writes
-- The first entry kept and the last number given out of several logs, from one state.
-- KEYS  heads, then the entries of each log. ARGV  the logs.
local found = {}
for n, log in ipairs(ARGV) do
  local first = redis.call('XRANGE', KEYS[n + 1], '-', '+', 'COUNT', 1)[1]
  found[n] = {first and first[1] or '0', redis.call('HGET', KEYS[1], log) or '0'}
end
return found
