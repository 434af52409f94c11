#!lua flags=no-writes
-- What commit.lua packed, from ARGV: {version, whether there is a body, members, tallied} of a document, {members, tallied}
-- of an entry.
local found = {}
for n, packed in ipairs(ARGV) do
  found[n] = cmsgpack.unpack(packed)
end
return found
