-- quern.transform on tables and on views.
local t = require "harness"
local json = require "quern.json"
local transform = require "quern.transform"
local view = require "quern.core.view"

local TREE = [[{"id":"a","metrics":{"n":{"value":3}},"groups":[
  {"id":"b","metrics":{"n":{"value":1}},"groups":[]},
  {"id":"c","groups":[{"id":7},{"metrics":{"n":{"value":2}}}]},
  {"id":"d","metrics":null,"groups":null}]}]]

local ROWS = '[{"metrics":{"n":{"value":1}},"path":["a","b"]},{"metrics":{},"path":["a","c",7]},'
  .. '{"metrics":{"n":{"value":2}},"path":["a","c",null]},{"metrics":null,"path":["a","d"]}]'

t.test("flatten gives one row a leaf, of views and of tables", function()
  local flatten = transform.flatten {}
  t.equal(json.encode(flatten(view.open(TREE))), ROWS)
  t.equal(json.encode(flatten(json.decode(TREE))), ROWS)
end)

t.test("a node without children is a leaf", function()
  t.equal(json.encode(transform.flatten { path = "p" } (view.open '{"id":"x","metrics":{}}')), '[{"metrics":{},"p":["x"]}]')
end)

t.test("a tree that is too deep is an error, not a crash", function()
  local node = { id = 1 }
  for _ = 1, 1200 do node = { id = 1, groups = { node } } end
  t.raises(function() transform.flatten {} (node) end, "deeper than 1000 levels")
end)

t.test("options are checked", function()
  t.raises(function() transform.flatten { childern = {} } end, "did you mean 'children'")
  t.raises(function() return transform.flaten end, "did you mean 'flatten'")
end)
