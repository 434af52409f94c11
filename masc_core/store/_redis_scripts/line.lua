#!lua
-- Stand in the line of a room, or leave it.
-- KEYS  the tickets by time of arrival, the tickets by the time they run out. ARGV  ticket, seconds it holds (0: leave).
-- Gives how many tickets are before this one. Looks without a write where nothing changes, as each write may cost a sync.
local call, ticket, seconds = redis.call, ARGV[1], tonumber(ARGV[2])
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function remove(gone)
  call('ZREM', KEYS[1], gone)
  call('ZREM', KEYS[2], gone)
end

if seconds == 0 then
  remove(ticket)
  return 0
end
-- Run out, or drawn before the clock was set back: nobody holds a ticket for longer from now.
for _, range in ipairs({{'-inf', string.format('%.17g', now)}, {string.format('(%.17g', now + seconds), '+inf'}}) do
  for _, gone in ipairs(call('ZRANGE', KEYS[2], range[1], range[2], 'BYSCORE')) do
    remove(gone)
  end
end
if not call('ZSCORE', KEYS[1], ticket) then
  call('ZADD', KEYS[1], string.format('%.17g', now), ticket)
end
local before = call('ZRANK', KEYS[1], ticket)
local ends = tonumber(call('ZSCORE', KEYS[2], ticket) or '0')
if before == 0 or ends - now < seconds / 2 then
  call('ZADD', KEYS[2], string.format('%.17g', now + seconds), ticket)
  call('EXPIRE', KEYS[1], 60)
  call('EXPIRE', KEYS[2], 60)
end
return before
