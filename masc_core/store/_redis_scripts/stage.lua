#!lua
-- Write a part of a room under keys that nobody looks at yet; they vanish by themselves unless they are renamed.
-- KEYS  heads, leases, then the six keys of one name, as for commit.lua.
-- ARGV  seconds they stay, then operations: "H" log last, "S" name owner fence expires, "D" key version body members
--       tallied, "T" key version (deleted), "E" number body members tallied. A list is its length and its items.
local call, at = redis.call, 1

local function take()
  at = at + 1
  return ARGV[at]
end

local function take_list()
  local list = {}
  for n = 1, tonumber(take()) do
    list[n] = take()
  end
  return list
end

local function index(members, tallied)
  for _, member in ipairs(members) do
    call('ZADD', KEYS[5], 0, member)
  end
  for _, field in ipairs(tallied) do
    call('HINCRBY', KEYS[6], field, 1)
    call('ZADD', KEYS[5], 0, 't' .. field)
  end
end

local write = {}

function write.H()
  call('HSET', KEYS[1], take(), take())
end

function write.S()
  call('HSET', KEYS[2], take(), cmsgpack.pack({take(), tonumber(take()), tonumber(take())}))
end

function write.D()
  local key, version, body, members, tallied = take(), take(), take(), take_list(), take_list()
  call('HSET', KEYS[3], key, cmsgpack.pack({tonumber(version), 1, members, tallied}))
  call('HSET', KEYS[4], key, version .. ':' .. body)
  index(members, tallied)
end

function write.T()
  call('HSET', KEYS[3], take(), cmsgpack.pack({tonumber(take()), 0, {}, {}}))
end

function write.E()
  local seq, body, members, tallied = take(), take(), take_list(), take_list()
  call('XADD', KEYS[7], seq .. '-0', 'i', cmsgpack.pack({members, tallied}))
  call('HSET', KEYS[8], seq, body)
  index(members, tallied)
end

while at < #ARGV do
  write[take()]()
end
for _, key in ipairs(KEYS) do
  call('EXPIRE', key, ARGV[1])
end
