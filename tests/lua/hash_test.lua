-- quern.core.hash: known digests, and names that differ.
local t = require "harness"
local hash = require "quern.core.hash"

t.test("sha256 of the standard's examples", function()
  t.equal(hash.sha256 "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  t.equal(hash.sha256 "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  t.equal(hash.sha256(("a"):rep(1000000)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
end)

t.test("random names have the length asked for and differ", function()
  local seen = {}
  for _ = 1, 100 do
    local name = hash.random(16)
    t.match(name, "^%x+$")
    t.equal(#name, 32)
    t.ok(not seen[name])
    seen[name] = true
  end
  t.raises(function() hash.random(0) end, "1 to 64 bytes")
  t.raises(function() hash.random(65) end, "1 to 64 bytes")
end)
