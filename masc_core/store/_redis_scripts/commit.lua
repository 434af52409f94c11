#!lua
-- One commit of a room: everything is checked before the first write, so that nothing can be half done.
--
-- KEYS  meta, heads, leases, slot, then for each name of a collection or log six keys: versions, bodies, index, tallies,
--       the stream of its entries and their bodies. A name is given by the place of the first of its six.
-- ARGV  schema, room id, 1 if that id was seen stored, time ("" for the server's own), number of the commit in its slot,
--       1 if it may have been sent before, seconds to keep the slot, channel of the hints, then operations: a letter and
--       what it needs. See _redis_commit.py, which writes them.
-- The id in an answer is the stored one, empty before the first write.
-- Gives {"done", id, time, numbers, leases}, {"conflict", id, time, {place, key, body or nil}…, {lease}…},
--       {"late", id, time, {place, last, body or nil}…}, {"gone"} for a room that was removed or replaced,
--       {"damaged", key} for a key of another type, {"denied", command} where the user may not do that, {"void"} for an attempt that somebody has given up.

local call = redis.call
local META, HEADS, LEASES, SLOT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local schema, id, known = ARGV[1], ARGV[2], ARGV[3] == '1'
local number, resent, keep, channel = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7], ARGV[8]
local at = 8

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

local function whole(n)
  return string.format('%.0f', n)
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do
    set[item] = true
  end
  return set
end

-- What may have been done already --------------------------------------------------------------------------------------

local last_done = call('GET', SLOT)
if last_done then
  local done = cmsgpack.unpack(last_done)
  if done[1] == number then
    return done[2]
  elseif done[1] > number then
    return {'void'}
  end
end

-- Whether the room is what it should be --------------------------------------------------------------------------------

local EXPECTED = {'hash', 'hash', 'zset', 'hash', 'stream', 'hash'}
for n, key in ipairs(KEYS) do
  local kind = call('TYPE', key).ok
  local expected = n == 4 and 'string' or n < 4 and 'hash' or EXPECTED[(n - 5) % 6 + 1]
  if kind ~= 'none' and kind ~= expected then
    return {'damaged', key}
  end
end

-- Redis asks for permission at each command, which would be too late in the middle of the writes.
for _, command in ipairs({'HSET', 'HINCRBY', 'HDEL', 'ZADD', 'ZREM', 'XADD', 'XDEL', 'SET'}) do
  if not redis.acl_check_cmd(command, META, '0', '0', '0') then
    return {'denied', command}
  end
end

local stored = call('HMGET', META, 'schema', 'id', 'fence')
if stored[2] and (stored[1] ~= schema or (known and stored[2] ~= id)) or (not stored[2] and known) then
  return {'gone'}
end
local fence, fence_before = tonumber(stored[3] or '0'), tonumber(stored[3] or '0')
local room = stored[2] or ''

local now = tonumber(ARGV[4])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local shown_now = string.format('%.17g', now)

-- Documents and leases as they are stored ------------------------------------------------------------------------------

-- By place and key: {version, lives, index members, tally fields}, or false for a key never written.
local documents = {}
local function document(place, key)
  local found = documents[place] or {}
  documents[place] = found
  if found[key] == nil then
    local packed = call('HGET', KEYS[place], key)
    found[key] = packed and cmsgpack.unpack(packed) or false
  end
  return found[key]
end

local function version_of(place, key)
  local found = document(place, key)
  return found and found[2] == 1 and found[1] or 0
end

-- By name: {owner, fence, expires}, or false when free. What is seen expired is over for good, whatever the clock does.
local leases, buried = {}, {}
local function lease(name)
  if leases[name] == nil then
    local packed = call('HGET', LEASES, name)
    local found = packed and cmsgpack.unpack(packed) or false
    if found and found[3] <= now then
      buried[#buried + 1] = name
      found = false
    end
    leases[name] = found
  end
  return leases[name]
end

local function show(name, held)
  if held then
    return {name, held[1], whole(held[2]), string.format('%.17g', held[3])}
  end
  return {name}
end

-- Checks and lease writes, all decided before anything is written ------------------------------------------------------

local failed, failed_leases, late = {}, {}, {}
local changed, order, granted, writes = {}, {}, {}, {}
local refused = {}
local behind = false

local function held_now(name)
  if changed[name] ~= nil then
    return changed[name]
  end
  return lease(name)
end

local function refuse(name)
  if not refused[name] then
    refused[name] = true
    failed_leases[#failed_leases + 1] = show(name, lease(name))
  end
end

local function change(name, held)
  if changed[name] == nil then
    order[#order + 1] = name
  end
  changed[name] = held
end

local read = {}

-- A document at exactly this version; 0 for absent.
function read.V()
  local place, key, version = tonumber(take()), take(), tonumber(take())
  if version_of(place, key) ~= version then
    failed[#failed + 1] = {place, key, call('HGET', KEYS[place + 1], key)}
  end
end

function read.H()
  local name, wanted = take(), tonumber(take())
  local held = lease(name)
  if not held or held[2] ~= wanted then
    refuse(name)
  end
end

-- A time that the clock must have reached.
function read.T()
  behind = behind or now < tonumber(take())
end

-- A log whose last number and entry the bodies of this commit were made from.
function read.E()
  local place, log, last, digest = tonumber(take()), take(), take(), take()
  local stored_last = call('HGET', HEADS, log) or '0'
  local body = call('HGET', KEYS[place + 5], stored_last)
  if stored_last ~= last or (body and redis.sha1hex(body) or '') ~= digest then
    late[#late + 1] = {place, stored_last, body}
  end
end

-- By place: the field of a collection that nobody has written to before. Its name follows what every key begins with.
local unlisted, looked_up = {}, {}
local NAME = #META - #'meta' + #'v:' + 1
local function look_up(place)
  if not looked_up[place] then
    looked_up[place] = true
    local field = 'c:' .. string.sub(KEYS[place], NAME)
    if not call('HGET', META, field) then
      unlisted[#unlisted + 1] = field
    end
  end
end

function read.P()
  local write = {'P', tonumber(take()), take(), take(), take_list(), take_list()}
  document(write[2], write[3])
  look_up(write[2])
  writes[#writes + 1] = write
end

function read.D()
  local write = {'D', tonumber(take()), take()}
  document(write[2], write[3])
  writes[#writes + 1] = write
end

function read.L()
  writes[#writes + 1] = {'L', tonumber(take()), take(), take(), take_list(), take_list()}
end

function read.R()
  writes[#writes + 1] = {'R', tonumber(take()), take_list()}
end

function read.W()
  local write = {'W', tonumber(take()), take(), take()}
  document(write[2], write[3])
  writes[#writes + 1] = write
end

function read.X()
  writes[#writes + 1] = {'X', tonumber(take()), take(), take()}
end

function read.Q()
  local name, owner, seconds = take(), take(), tonumber(take())
  if held_now(name) then
    refuse(name)
  else
    fence = fence + 1
    change(name, {owner, fence, now + seconds})
    granted[#granted + 1] = show(name, changed[name])
  end
end

function read.N()
  local name, wanted, seconds = take(), tonumber(take()), tonumber(take())
  local held = held_now(name)
  if not held or held[2] ~= wanted then
    refuse(name)
  else
    change(name, {held[1], held[2], now + seconds})
    granted[#granted + 1] = show(name, changed[name])
  end
end

function read.F()
  local name, wanted = take(), tonumber(take())
  local held = held_now(name)
  if not held or held[2] ~= wanted then
    refuse(name)
  else
    change(name, false)
  end
end

while at < #ARGV do
  read[take()]()
end

local function bury()
  for _, name in ipairs(buried) do
    call('HDEL', LEASES, name)
  end
end

if #failed > 0 or #failed_leases > 0 or behind then
  bury()
  if resent then
    -- An earlier copy of this commit may still be on its way; it must not happen after we said that it did not.
    call('SET', SLOT, cmsgpack.pack({number, {'void'}}), 'EX', keep)
  end
  return {'conflict', room, shown_now, failed, failed_leases}
end
if #late > 0 then
  return {'late', room, shown_now, late}
end

-- Writes: nothing below refuses anything -------------------------------------------------------------------------------

local function tally(place, field, step)
  local count = call('HINCRBY', KEYS[place + 3], field, step)
  if count == 0 then
    call('HDEL', KEYS[place + 3], field)
    call('ZREM', KEYS[place + 2], 't' .. field)
  elseif count == step then
    call('ZADD', KEYS[place + 2], 0, 't' .. field)
  end
end

local function replace_index(place, before, after, tallied_before, tallied_after)
  local old, new = set_of(before), set_of(after)
  for _, member in ipairs(before) do
    if not new[member] then
      call('ZREM', KEYS[place + 2], member)
    end
  end
  for _, member in ipairs(after) do
    if not old[member] then
      call('ZADD', KEYS[place + 2], 0, member)
    end
  end
  old, new = set_of(tallied_before), set_of(tallied_after)
  for _, field in ipairs(tallied_before) do
    if not new[field] then
      tally(place, field, -1)
    end
  end
  for _, field in ipairs(tallied_after) do
    if not old[field] then
      tally(place, field, 1)
    end
  end
end

local numbers, grown, grown_logs = {}, {}, {}
local apply = {}

local function store(place, key, version, lives, members, tallied)
  documents[place][key] = {version, lives, members, tallied}
  call('HSET', KEYS[place], key, cmsgpack.pack(documents[place][key]))
end

function apply.P(_, place, key, body, members, tallied)
  local old = documents[place][key] or {0, 0, {}, {}}
  local version = old[1] + 1
  members[#members + 1] = 'k' .. key
  replace_index(place, old[3], members, old[4], tallied)
  store(place, key, version, 1, members, tallied)
  call('HSET', KEYS[place + 1], key, whole(version) .. ':' .. body)
end

function apply.D(_, place, key)
  local old = documents[place][key]
  if old and old[2] == 1 then
    replace_index(place, old[3], {}, old[4], {})
    store(place, key, old[1], 0, {}, {})
    call('HDEL', KEYS[place + 1], key)
  end
end

function apply.L(_, place, log, body, prefixes, tallied)
  local seq = call('HINCRBY', HEADS, log, 1)
  local members = {}
  for n, prefix in ipairs(prefixes) do
    members[n] = prefix .. string.format('%016.0f', seq)
  end
  call('XADD', KEYS[place + 4], whole(seq) .. '-0', 'i', cmsgpack.pack({members, tallied}))
  call('HSET', KEYS[place + 5], whole(seq), body)
  replace_index(place, {}, members, {}, tallied)
  numbers[#numbers + 1] = whole(seq)
  if not grown[log] then
    grown_logs[#grown_logs + 1] = log
  end
  grown[log] = whole(seq)
end

function apply.R(_, place, seqs)
  for _, seq in ipairs(seqs) do
    local entry = call('XRANGE', KEYS[place + 4], seq, seq)[1]
    if entry then
      local indexed = cmsgpack.unpack(entry[2][2])
      call('XDEL', KEYS[place + 4], entry[1])
      call('HDEL', KEYS[place + 5], seq)
      replace_index(place, indexed[1], {}, indexed[2], {})
    end
  end
end

-- The form of a body changes, its version and index do not.
function apply.W(_, place, key, body)
  local old = documents[place][key]
  if old and old[2] == 1 then
    call('HSET', KEYS[place + 1], key, whole(old[1]) .. ':' .. body)
  end
end

function apply.X(_, place, seq, body)
  if call('XRANGE', KEYS[place + 4], seq, seq)[1] then
    call('HSET', KEYS[place + 5], seq, body)
  end
end

if #writes > 0 or #order > 0 then
  if not stored[2] then
    call('HSET', META, 'schema', schema, 'id', id)
    room = id
  end
  bury()
  for _, name in ipairs(order) do
    if changed[name] then
      call('HSET', LEASES, name, cmsgpack.pack(changed[name]))
    else
      call('HDEL', LEASES, name)
    end
  end
  if fence ~= fence_before then
    call('HSET', META, 'fence', whole(fence))
  end
  for _, field in ipairs(unlisted) do
    call('HSET', META, field, '1')
  end
  for _, write in ipairs(writes) do
    apply[write[1]](unpack(write))
  end
end
local answer = {'done', room, shown_now, numbers, granted}
if #writes > 0 or #order > 0 then
  call('SET', SLOT, cmsgpack.pack({number, answer}), 'EX', keep)
  for _, log in ipairs(grown_logs) do
    -- A hint may be lost, also where the user may not publish.
    redis.pcall('PUBLISH', channel, grown[log] .. ' ' .. log)
  end
end
return answer
