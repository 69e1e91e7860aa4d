-- quern.validate: what is right gives nil, what is wrong an error that names it.
local t = require "harness"
local validate = require "quern.validate"
local instant = require "quern.instant"
local json = require "quern.json"

local function right(problem) t.equal(problem, nil) end

local function wrong(problem, pattern)
  t.equal(problem.kind, "invalid")
  t.equal(problem.exit, 5)
  t.match(problem.message, pattern)
end

local DAY = 86400000

t.test("ranges", function()
  right(validate.range(instant.new(0), instant.new(DAY), { max = "P1D" }))
  wrong(validate.range(instant.new(0), instant.new(DAY + 1), { max = "P1D" }), "longer than P1D")
  wrong(validate.range(instant.new(5), instant.new(5)), "the range is empty")
  t.raises(function() validate.range("a", "b") end, "takes two time values")
end)

t.test("texts of times", function()
  right(validate.instant "2024-01-01T00:00:00Z")
  wrong(validate.instant("yesterday", "since"), 'since: "yesterday" is not an instant')
  wrong(validate.instant(nil), "time: nothing is not an instant")
  right(validate.duration "PT15M")
  wrong(validate.duration "15 minutes", "ISO 8601 duration")
  wrong(validate.duration("PT5M", { name = "bucket", among = { "PT15M", "PT1H" } }), 'bucket: "PT5M" is not one of PT15M, PT1H')
  right(validate.interval "2024-01-01/2024-01-02")
  wrong(validate.interval "2024-01-01", "not an interval")
  wrong(validate.interval "2024-01-02/2024-01-01", "is empty")
end)

t.test("numbers, words and lists", function()
  right(validate.integer(3, { min = 1, max = 3 }))
  wrong(validate.integer(4, { name = "size", max = 3 }), "size: 4 is above 3")
  wrong(validate.integer(1.5), "not a whole number")
  right(validate.enum("a", { "a", "b" }))
  wrong(validate.enum("c", { "a", "b" }, "kind"), 'kind: "c" is not one of a, b')
  right(validate.list({ 1, 2 }, { max = 2, of = validate.integer }))
  wrong(validate.list({ 1, "x" }, { name = "sizes", of = validate.integer }), "sizes%[2%]: value: \"x\" is not a whole number")
  wrong(validate.list({ a = 1 }), "must be a list")
  wrong(validate.list({}, { name = "groupBy", min = 1 }), "groupBy: its length 0 is below 1")
end)

local function nested(depth)
  local tree = { { type = "field" } }
  for _ = 2, depth do tree = { { ["and"] = tree } } end
  return tree
end

t.test("trees of expressions have a depth and a count a level", function()
  right(validate.expression(nested(4), { depth = 4, count = 20 }))
  wrong(validate.expression(nested(5), { name = "filterBy", depth = 4 }), "filterBy%[1%]%.and%[1%]%.and%[1%]%.and%[1%]%.and is nested deeper than 4")
  local wide = json.array {}
  for index = 1, 21 do wide[index] = {} end
  wrong(validate.expression(wide, { count = 20 }), "holds 21 expressions, more than 20")
  wrong(validate.expression({ { ["not"] = { a = 1 } } }), "expression%[1%]%.not must be a list")
  wrong(validate.expression({ "x" }), "is no expression")
  wrong(validate.expression("x"), "must be a list")
end)
