-- quern.param: what the command line gives becomes values, or one clear line.
local t = require "harness"
local param = require "quern.param"

local DAY = 86400000
local NOW = 19723 * DAY + 5 * 3600000 + 123 -- 2024-01-01T05:00:00.123Z
local context = { now_ms = NOW, grain = function() return "PT1S", 1000 end }

local function bind(params, given)
  return param.bind(params, given, context)
end

local function refused(params, given, pattern)
  local bound, err = bind(params, given)
  t.equal(bound, nil)
  t.equal(err.kind, "usage")
  t.equal(err.exit, 2)
  t.match(err.message, pattern)
end

t.test("times: relative ones are floored to the grain, explicit ones off it are refused", function()
  local p = bind({ from = param.time {}, to = param.time { default = "now" } }, { from = "-7d" })
  t.equal(p.to.ms, NOW - 123)
  t.equal(p.from.ms, NOW - 123 - 7 * DAY)
  t.equal(bind({ from = param.time {} }, { from = "2024-01-01" }).from:iso "s", "2024-01-01T00:00:00Z")
  refused({ from = param.time {} }, { from = "2024-01-01T00:00:00.5Z" }, "'from'.*not on the grain PT1S")
  refused({ from = param.time {} }, { from = "yesterday" }, "'from'.*yesterday")
end)

t.test("a parameter without default and without value is nil; a required one is told", function()
  t.equal(bind({ queues = param.list {} }, {}).queues, nil)
  refused({ id = param.string { required = true } }, {}, "'id' is required.*%-p id=VALUE")
end)

t.test("an unknown parameter is refused with the near one", function()
  refused({ queues = param.list {} }, { queue = "a" }, "unknown parameter 'queue'; did you mean 'queues'%?")
  refused({}, { x = "1" }, "takes no parameters")
end)

t.test("lists: words or a JSON array", function()
  local params = { queues = param.list {} }
  t.equal(table.concat(bind(params, { queues = "a, b,c" }).queues, "|"), "a|b|c")
  t.equal(table.concat(bind(params, { queues = '["a,b", "c"]' }).queues, "|"), "a,b|c")
  refused(params, { queues = "[1]" }, "holds a number at position 1")
  refused(params, { queues = '["a"' }, "is not a JSON array")
end)

t.test("numbers have bounds, enums have values, booleans have words", function()
  refused({ n = param.integer { min = 1, max = 10 } }, { n = "11" }, "is above 10")
  refused({ n = param.integer { min = 1 } }, { n = "0" }, "is below 1")
  refused({ n = param.integer {} }, { n = "1.5" }, "whole number")
  refused({ n = param.number {} }, { n = "nan" }, "not a number")
  refused({ b = param.enum { values = { "PT15M", "PT1H" } } }, { b = "PT2H" }, "is not one of PT15M, PT1H")
  refused({ b = param.bool {} }, { b = "maybe" }, "neither true nor false")
  t.equal(bind({ b = param.bool {} }, { b = "no" }).b, false)
end)

t.test("durations: ISO 8601 or short forms", function()
  t.equal(param.duration_ms "500ms", 500)
  t.equal(param.duration_ms "2h", 7200000)
  t.equal(param.duration_ms "PT15M", 900000)
  t.equal(param.duration_ms "P1M", nil)
  refused({ d = param.duration {} }, { d = "soon" }, "is not a duration")
end)

t.test("a misspelt option of a constructor is misuse", function()
  t.raises(function() param.string { defualt = "x" } end, "no option 'defualt'; did you mean 'default'%?")
end)

t.test("an alias is a second name, and both at once are told", function()
  local params = { interval = param.string { alias = "bucket" } }
  t.equal(bind(params, { bucket = "a" }).interval, "a")
  t.equal(bind(params, { interval = "b" }).interval, "b")
  refused(params, { bucket = "a", interval = "b" }, "'bucket' is another name of 'interval'")
end)

t.test("a table that is no JSON is told once", function()
  refused({ filter = param.table {} }, { filter = "[1," }, '"%[1,\" is not JSON: expected a value')
end)
