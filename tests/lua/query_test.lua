-- quern.query: a definition is checked when it is made.
local t = require "harness"
local quern = require "quern"

local function definition(changes)
  local spec = {
    name = "q", client = { base_url = "http://127.0.0.1:1" }, request = function() return { path = "/" } end,
    records = "$[*]", raw = true,
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return spec
end

local function refused(changes, pattern)
  t.raises(function() quern.query(definition(changes)) end, pattern)
end

t.test("a whole definition gets its defaults", function()
  local query = quern.query(definition())
  t.equal(query.chunk.kind, "whole")
  t.equal(query.pages.kind, "none")
  t.equal(query.records[1], "$[*]")
end)

t.test("unknown and missing fields are named", function()
  refused({ colums = {} }, "no option 'colums'; did you mean 'columns'%?")
  local spec = definition()
  spec.request = nil
  t.raises(function() quern.query(spec) end, "needs the option 'request'")
end)

t.test("what a row is must be said once", function()
  refused({ raw = false }, "say what a row is")
  refused({ columns = { { "a", "$.a" } } }, "raw rows cannot be combined")
  refused({ raw = false, transform = function() end }, "needs fields")
  refused({ raw = true, format = "csv" }, "cannot be csv")
end)

t.test("columns are checked", function()
  refused({ raw = false, columns = { { "a", "$.a" }, { "a", "$.b" } } }, "'a' is used twice")
  refused({ raw = false, columns = { { "a" } } }, "has no path")
  refused({ raw = false, columns = { { "a", "$.a", az = "time" } } }, "no option 'az'")
  refused({ raw = false, columns = { "a" } }, "columns%[1%] must be a table")
  refused({ raw = false, columns = { a = "$.a" } }, 'columns is a list of { name, path }: write { "a", "$.path" } instead of a = ')
  refused({ raw = false, fields = { "a", 2 }, transform = function() end }, "fields must be a list of strings")
  refused({ records = { "$.a[*]", 7 } }, "records must be a list of strings")
end)

t.test("a name that the library does not have is told with what it has", function()
  t.raises(function() return quern.parm end, "quern has no 'parm'; did you mean 'param'%?")
  t.raises(function() return quern.auth.token end, "quern.auth has no 'token'; it has api_key, basic, bearer, client_credentials")
  t.raises(function() return quern.pages.nextlink end, "did you mean 'next_link'%?")
end)

t.test("owner needs a time chunk, order needs an owner", function()
  refused({ owner = "$.t" }, "needs chunk = quern.chunk.by_time")
  refused({ order = "owner" }, "needs the field owner")
end)

t.test("pagers are checked", function()
  t.raises(function() quern.pages.number { size = 10, stop = "never" } end, "is not one of count, empty, missing, short")
  t.raises(function() quern.pages.number { size = 10, stop = "count" } end, "needs the option 'count'")
  t.raises(function() quern.pages.next_link { path = "$.next", follow = { body = "maybe" } } end, "'same' or 'none'")
end)
