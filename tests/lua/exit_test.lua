-- The failure table as a run sees it: exit status, message, and how many requests it took, in virtual time.
local t = require "harness"
local helpers = require "api"
local quern = require "quern"
local chunk = require "quern.chunk"
local http = require "quern.http"
local instant = require "quern.instant"
local run = require "quern.run"

local BASE, answer, fault = helpers.BASE, helpers.answer, helpers.fault

local START = 1704067200000 -- 2024-01-01
local DAY = 86400000
local WHOLE = answer(200, '{"items":[{"id":"a","at":"2024-01-01T00:00:00Z"}]}')

local function bound(days)
  local query = quern.query {
    name = "q", client = { base_url = BASE, retry = { jitter = false } }, records = "$.items[*]", key = "$.id", owner = "$.at",
    params = { from = quern.param.time {}, to = quern.param.time {} },
    chunk = quern.chunk.by_time { size = "P1D", floor = "PT12H", grain = "PT1S" },
    request = function(_, c) return { path = "/q", query = { from = c.from:iso "s" } } end,
    columns = { { "id", "$.id" } },
  }
  local params = { from = instant.new(START), to = instant.new(START + days * DAY) }
  return { query = query, params = params, client = assert(http.client(query.client)), format = "csv", now_ms = START,
           cut = chunk.bind(query.chunk, params) }
end

local function execute(days, serve)
  local output = t.path "exit.csv"
  t.serve(serve)
  local summary = assert(run.execute(bound(days), { run_id = "x", output = output, workers = 1 }))
  local file = io.open(output, "rb")
  if file then file:close() end
  os.remove(output)
  if summary.partial then os.remove(summary.partial) end
  return summary, file ~= nil
end

-- One leaf, always the same answer: exit, requests, and words of the message.
local rows = {
  { "whole", WHOLE, 0, 1 },
  { "network fault", fault("connect", { message = "connection refused by 127.0.0.1:9", never_sent = true }), 1, 6,
    "GET /v1/q: connection refused by 127.0.0.1:9; all attempts are used up" },
  { "502", answer(502), 1, 6, "answered 502; all attempts are used up %(6 sent in 31 s%)" },
  { "HTML", answer(200, "<html>", { { "Content-Type", "text/html" } }), 1, 6, "HTML page" },
  { "absent records", answer(200, "{}"), 1, 6, "no records at %$%.items" },
  { "204", answer(204, ""), 1, 6, "answered 204" },
  { "certificate", fault("tls"), 1, 1, "%-%-ca%-file" },
  { "401", answer(401), 4, 1, "give the client auth" },
  { "403", answer(403, '{"message":"missing permission p"}'), 4, 1, "answered 403: missing permission p; .*permission" },
  { "400", answer(400, '{"message":"no such metric"}'), 5, 1, "answered 400: no such metric" },
  { "404", answer(404, '{"message":"no such path"}'), 5, 1, "answered 404: no such path" },
  { "413 down to the floor", answer(413), 5, 3, "below the floor" },
  { "504 down to the floor", answer(504), 5, 9, "answered 504" },
  { "429 above max_wait", answer(429, "{}", { { "Retry-After", "3600" } }), 75, 1, "deferred: .*max_wait.*run again" },
  { "429 for ever", answer(429, "{}", { { "Retry-After", "100" } }), 75, 10, "deferred: .*time for one request.*run again" },
  { "503 for five minutes", answer(503), 75, 10, "deferred: .*nothing but 503 for 300 s.*run again" },
  { "expired cursor, twice", answer(400, '{"message":"cursor expired"}'), 1, 2, "cursor expired" },
}

for _, row in ipairs(rows) do
  local name, reply, exit, requests, words = table.unpack(row)
  t.test(name, function()
    local summary, published = execute(1, function() return reply end)
    t.equal(summary.exit, exit)
    t.equal(#t.requests, requests)
    t.equal(published, exit == 0)
    if words then
      t.match(summary.message, words)
      t.ok(not summary.message:find "\n")
    end
  end)
end

local function first_day(request)
  return request.url:find("from=2024%-01%-01T00") ~= nil
end

t.test("one leaf that is deferred: the others go on, the run ends 75", function()
  local summary = execute(8, function(request)
    return first_day(request) and answer(429, "{}", { { "Retry-After", "3600" } }) or answer(200, '{"items":[]}')
  end)
  t.equal(summary.exit, 75)
  t.equal(#t.requests, 8)
end)

t.test("five minutes of 503 after some leaves came: the rest is not even asked for", function()
  local calls = 0
  local summary = execute(30, function()
    calls = calls + 1
    return calls <= 2 and answer(200, '{"items":[]}') or answer(503)
  end)
  t.equal(summary.exit, 75)
  t.equal(#t.requests, 2 + 4 * 10)
  t.equal(t.now(), 300000)
  t.equal(#t.events "alert", 1)
end)

t.test("one leaf that fails for good: exit 3, and the hole says why", function()
  local summary = execute(3, function(request) return first_day(request) and answer(502) or answer(200, '{"items":[]}') end)
  t.equal(summary.exit, 3)
  t.match(summary.message, "2024%-01%-01.*answered 502.*all attempts are used up")
end)
