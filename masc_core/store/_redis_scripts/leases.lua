#!lua flags=no-writes
-- Leases as stored, each with whether it is over.
-- KEYS  leases. ARGV  time ("" for the server's own), then names.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local found = {}
for n = 2, #ARGV do
  local packed = redis.call('HGET', KEYS[1], ARGV[n])
  if packed then
    local held = cmsgpack.unpack(packed)
    local expires = string.format('%.17g', held[3])
    found[n - 1] = {held[1], string.format('%.0f', held[2]), expires, held[3] <= now and 1 or 0, packed}
  else
    found[n - 1] = false
  end
end
return found
