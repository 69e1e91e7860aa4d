-- quern.time: texts, zones, floors and ranges.
local t = require "harness"
local time = require "quern.time"
local instant = require "quern.instant"
local param = require "quern.param"

local BERLIN = "Europe/Berlin"

local function at(text) return assert(time.parse(text)) end

local function texts(ranges, zone)
  local list = {}
  for index, range in ipairs(ranges) do list[index] = time.format(range[1], "s", zone) end
  return list
end

t.test("texts with and without a zone", function()
  t.equal(time.parse "2024-03-01", at "2024-03-01T00:00:00Z")
  t.equal(time.parse("2024-03-01", BERLIN), at "2024-02-29T23:00:00Z")
  t.equal(time.parse("2024-07-01T10:30:00", BERLIN), at "2024-07-01T08:30:00Z")
  t.equal(time.parse("2024-07-01T10:30:00+05:30", BERLIN), at "2024-07-01T05:00:00Z")
  t.equal(time.parse("2024-07-01T10:30:00Z", BERLIN), at "2024-07-01T10:30:00Z")
  local ms, err = time.parse("yesterday", BERLIN)
  t.equal(ms, nil)
  t.ok(err)
  t.equal(time.format(at "2024-07-01T00:00:00Z", "s", BERLIN), "2024-07-01T02:00:00+02:00")
  t.equal(instant.new(at "2024-07-01"):iso("s", "Asia/Kolkata"), "2024-07-01T05:30:00+05:30")
  t.raises(function() time.format(0, "s", "Europe/Berlln") end, "no time zone 'Europe/Berlln'.*tzdata")
  t.raises(function() time.format(0, "days") end, 'precision is "s" or "ms"')
end)

t.test("a day across a change of clocks has 23 or 25 hours", function()
  t.equal(time.add(at "2024-03-30T23:00:00Z", "P1D", 1, BERLIN), at "2024-03-31T22:00:00Z")
  t.equal(instant.new(at "2024-10-26T22:00:00Z"):add("P1D", 1, BERLIN).ms, at "2024-10-27T23:00:00Z")
  t.equal(time.add(at "2024-01-31", "P1M"), at "2024-02-29")
  t.equal(time.offset(at "2024-07-01", BERLIN), 7200000)
end)

t.test("floors", function()
  local noon = at "2024-05-15T12:34:56Z" -- a Wednesday
  t.equal(time.floor(noon, "PT15M"), at "2024-05-15T12:30:00Z")
  t.equal(time.floor(noon, "P1D"), at "2024-05-15")
  t.equal(time.floor(noon, "P7D"), at "2024-05-13")
  t.equal(time.floor(noon, "P1W"), at "2024-05-13")
  t.equal(time.floor(noon, "P1M"), at "2024-05-01")
  t.equal(time.floor(noon, "P1Y"), at "2024-01-01")
  t.equal(time.floor(noon, "P1D", BERLIN), at "2024-05-14T22:00:00Z")
  t.equal(time.floor(noon, "P1M", "America/New_York"), at "2024-05-01T04:00:00Z")
  t.equal(time.floor(noon, "PT1H", "Asia/Kolkata"), at "2024-05-15T12:30:00Z")
  t.equal(time.floor(noon, "P3M"), at "2024-04-01")
  t.equal(time.floor(noon, "P2Y"), at "2024-01-01")
  t.raises(function() time.floor(noon, "P1M2D") end, "has months and other parts")
end)

t.test("floors where clocks change never go back", function()
  local last = 0
  for minute = 0, 240, 10 do
    local ms = at "2024-10-26T23:00:00Z" + minute * 60000
    local floor = time.floor(ms, "PT30M", BERLIN)
    t.ok(floor >= last and floor <= ms and ms - floor < 1800000, time.format(ms))
    last = floor
  end
  t.equal(time.floor(at "2024-10-27T01:30:00Z", "PT6H", BERLIN), at "2024-10-26T22:00:00Z")
  t.equal(time.floor(at "2024-03-31T01:30:00Z", "PT2H", BERLIN), at "2024-03-31T01:00:00Z") -- 02:00 was skipped
end)

t.test("ranges of days, months and weeks", function()
  t.same(texts(time.ranges(at "2024-01-31", at "2024-04-01", "P1M")), { "2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z" })
  t.same(texts(time.ranges(at "2024-01-15", at "2024-03-10", "P1M", { aligned = true })),
    { "2024-01-15T00:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z" })
  t.same(texts(time.ranges(at "2024-03-29T23:00:00Z", at "2024-04-01T22:00:00Z", "P1D", { zone = BERLIN }), BERLIN),
    { "2024-03-30T00:00:00+01:00", "2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00" })
  local days = time.ranges(at "2018-11-02T03:00:00Z", at "2018-11-06T02:00:00Z", "P1D", { zone = "America/Sao_Paulo" })
  t.equal(#days, 4)
  t.equal(days[2][2] - days[2][1], 86400000)
  t.equal(days[3][2] - days[3][1], 23 * 3600000) -- midnight of the 4th was skipped
  local last = days[4]
  t.equal(last[2], at "2018-11-06T02:00:00Z")
end)

t.test("parameters in a zone", function()
  local context = { now_ms = at "2024-05-15T23:30:00Z" }
  local function bind(text)
    return assert(param.bind({ from = param.time { zone = BERLIN } }, { from = text }, context)).from:iso "s"
  end
  t.equal(bind "2024-03-01", "2024-02-29T23:00:00Z")
  t.equal(bind "today", "2024-05-15T22:00:00Z") -- it is the 16th there
  t.equal(bind "2024-03-01T12:00:00", "2024-03-01T11:00:00Z")
  t.equal(bind "2024-03-01T12:00:00Z", "2024-03-01T12:00:00Z")
  t.equal(bind "-1d", "2024-05-14T23:30:00Z")
  local _, err = param.bind({ from = param.time { zone = "Mars" } }, { from = "today" }, context)
  t.match(err.message, "^parameter 'from': \"today\" cannot be read: no time zone 'Mars'")
  t.equal(err.exit, 2)
end)
