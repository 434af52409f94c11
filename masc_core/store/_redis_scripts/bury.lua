#!lua flags=allow-oom
-- Remove leases seen expired, unless they have changed since: a clock that jumps back must not revive them.
-- KEYS  leases. ARGV  name and stored bytes, by turns.
for n = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[n]) == ARGV[n + 1] then
    redis.call('HDEL', KEYS[1], ARGV[n])
  end
end
return 1
