-- The failure table, row by row, in virtual time: the exact instants of the requests, and what the client answers.
local t = require "harness"
local helpers = require "api"
local auth = require "quern.auth"
local task = require "quern.task"
local errors = require "quern.core.error"
local secrets = require "quern.core.secret"

local GOOD, BACKOFF, answer, fault, script = helpers.GOOD, helpers.BACKOFF, helpers.answer, helpers.fault, helpers.script
local client, post = helpers.client, helpers.post

local function json_only(response)
  local value, err = response:json()
  if value == nil then return nil, errors.new("body", tostring(err)) end
  return value
end

local function times(n, value)
  local list = {}
  for index = 1, n do list[index] = value end
  return list
end

-- row: name, answers, expected instants (s or list of ms), expected error fields or nil for success
local rows = {
  { "a connect error is tried six times", { fault("connect", { never_sent = true }) }, BACKOFF, { kind = "network" } },
  { "a DNS failure likewise", { fault "dns" }, BACKOFF, { kind = "network" } },
  { "a reset likewise", { fault "reset" }, BACKOFF, { kind = "network" } },
  { "a truncated body likewise", { fault "truncated" }, BACKOFF, { kind = "network" } },
  { "a time-out likewise", { fault "timeout" }, BACKOFF, { kind = "network" } },
  { "500", { answer(500) }, BACKOFF, { kind = "status", status = 500 } },
  { "502", { answer(502, "<html>bad gateway</html>") }, BACKOFF, { kind = "status", status = 502 } },
  { "408", { answer(408) }, BACKOFF, { kind = "status", status = 408 } },
  { "425", { answer(425) }, BACKOFF, { kind = "status", status = 425 } },
  { "520, which gateways invent", { answer(520) }, BACKOFF, { kind = "status", status = 520 } },
  { "204 is no answer", { answer(204, "") }, BACKOFF, { kind = "status", status = 204 } },
  { "malformed JSON with 200", { answer(200, '{"a":') }, BACKOFF, { kind = "body" } },
  { "HTML with 200", { answer(200, "<!DOCTYPE html>", { { "Content-Type", "text/html; charset=utf-8" } }) }, BACKOFF,
    { kind = "body", message = "POST /v1/q at api.test answered 200.*an HTML page.*all attempts are used up %(6 sent in 31 s%)" } },
  { "a fault that passes is forgotten", { fault "reset", answer(502), GOOD }, { 0, 1000, 3000 } },
  { "201 is an answer and is not sent again", { answer(201) }, { 0 } },
  { "429 waits as long as it says, in seconds", { answer(429, "{}", { { "Retry-After", "7" } }), GOOD }, { 0, 7000 } },
  { "429: IMF-fixdate", { answer(429, "{}", { { "Retry-After", "Mon, 01 Jan 2024 00:00:09 GMT" } }), GOOD }, { 0, 9000 } },
  { "429: RFC 850 date", { answer(429, "{}", { { "Retry-After", "Monday, 01-Jan-24 00:00:09 GMT" } }), GOOD }, { 0, 9000 } },
  { "429: asctime date", { answer(429, "{}", { { "Retry-After", "Mon Jan  1 00:00:09 2024" } }), GOOD }, { 0, 9000 } },
  { "429: Retry-After beats the backoff cap", { answer(429, "{}", { { "Retry-After", "170" } }), GOOD }, { 0, 170000 } },
  { "429: nonsense falls back to backoff", { answer(429, "{}", { { "Retry-After", "soon" } }), answer(429), GOOD }, { 0, 1000, 3000 } },
  { "429 uses elapsed time, never attempts", times(12, answer(429, "{}", { { "Retry-After", "60" } })),
    { 0, 60000, 120000, 180000, 240000, 300000, 360000, 420000, 480000, 540000, 600000, 660000, 720000, 780000, 840000, 900000 },
    { kind = "deferred", exit = 75, status = 429, message = "time for one request is used up" } },
  { "429: Retry-After 0 is obeyed once, then it counts as absent", { answer(429, "{}", { { "Retry-After", "0" } }) },
    { 0, 0, 2000, 6000, 14000, 30000, 62000, 122000, 182000, 242000, 302000, 362000, 422000, 482000, 542000, 602000, 662000, 722000,
      782000, 842000 }, { kind = "deferred", exit = 75 } },
  { "429: a date that has passed and a negative number are nonsense",
    { answer(429, "{}", { { "Retry-After", "Sun, 31 Dec 2023 23:59:59 GMT" } }), answer(429, "{}", { { "Retry-After", "-5" } }), GOOD },
    { 0, 1000, 3000 } },
  { "429s between other faults use no attempts",
    { fault "reset", answer(429, "{}", { { "Retry-After", "3" } }), answer(500), answer(500), answer(500), answer(429), GOOD },
    { 0, 1000, 4000, 6000, 10000, 18000, 20000 } },
  { "429 of exactly max_wait is waited for", { answer(429, "{}", { { "Retry-After", "180" } }), GOOD }, { 0, 180000 } },
  { "429 above max_wait defers", { answer(429, "{}", { { "Retry-After", "181" } }) }, { 0 }, { kind = "deferred", exit = 75 } },
  { "503 waits at least 30 s", { answer(503), answer(503, "{}", { { "Retry-After", "1" } }), GOOD }, { 0, 30000, 60000 } },
  { "503 waits longer if told", { answer(503, "{}", { { "Retry-After", "45" } }), GOOD }, { 0, 45000 } },
  { "five minutes of nothing but 503 open the circuit", { answer(503) },
    { 0, 30000, 60000, 90000, 120000, 150000, 180000, 210000, 240000, 270000 },
    { kind = "deferred", exit = 75, status = 503, message = "nothing but 503 for 300 s", ends = 300000 } },
  { "503 waits for what it says, above max_wait too", { answer(503, "{}", { { "Retry-After", "200" } }), GOOD }, { 0, 200000 } },
  { "503 that says longer than the circuit holds", { answer(503, "{}", { { "Retry-After", "600" } }) }, { 0 },
    { kind = "deferred", exit = 75, ends = 300000 } },
  { "503 that says longer than a request may take", { answer(503, "{}", { { "Retry-After", "3600" } }) }, { 0 },
    { kind = "deferred", exit = 75, ends = 0 } },
  { "anything between two 503 begins the five minutes anew",
    { answer(503), answer(503), answer(503), answer(503), answer(503), answer(503), answer(503), answer(500), answer(503) },
    { 0, 30000, 60000, 90000, 120000, 150000, 180000, 210000, 211000, 241000, 271000, 301000, 331000, 361000, 391000, 421000, 451000,
      481000 }, { kind = "deferred", exit = 75, ends = 511000 } },
  { "504 among other faults counts by itself", { answer(504), answer(500), answer(504), GOOD }, { 0, 1000, 3000, 7000 } },
  { "504 is tried twice, then the chunk is to be split", { answer(504) }, { 0, 1000, 3000 }, { kind = "split", status = 504 } },
  { "413 splits at once", { answer(413) }, { 0 }, { kind = "too_large", status = 413 } },
  { "an answer over the size cap splits at once", { fault "too_large" }, { 0 }, { kind = "too_large" } },
  { "400 ends the run with the API's words", { answer(400, '{"message":"no such metric"}') }, { 0 },
    { kind = "invalid", exit = 5, message = "no such metric" } },
  { "400 about the size splits", { answer(400, '{"message":"Pagination may not exceed 100000 results."}') }, { 0 }, { kind = "too_large" } },
  { "400 about a page size is a mistake in the query", { answer(400, '{"message":"pageSize exceeds the maximum of 100 results"}') }, { 0 },
    { kind = "invalid", exit = 5 } },
  { "400 about an expired cursor restarts the leaf", { answer(400, '{"message":"The cursor has expired"}') }, { 0 }, { kind = "restart" } },
  { "401 without any auth ends the run", { answer(401) }, { 0 }, { kind = "auth", exit = 4, message = "give the client auth" } },
  { "403 ends the run and hints at the permission", { answer(403, '{"message":"missing analytics:view"}') }, { 0 },
    { kind = "forbidden", exit = 4, message = "missing analytics:view.*permission" } },
  { "404 fails the leaf at once", { answer(404) }, { 0 }, { kind = "status", status = 404 } },
  { "422 fails the leaf at once, with the first of the API's errors", { answer(422, '{"errors":[{"message":"bad filter"}]}') }, { 0 },
    { kind = "status", status = 422, message = "bad filter$" } },
  { "304 is no answer to us", { answer(304, "") }, { 0 }, { kind = "status", status = 304 } },
  { "501 fails the leaf at once", { answer(501) }, { 0 }, { kind = "status", status = 501 } },
  { "an untrusted certificate ends the run with a hint", { fault "tls" }, { 0 }, { kind = "tls", exit = 1, message = "%-%-ca%-file" } },
  { "plain http to a foreign peer ends the run", { fault "denied" }, { 0 }, { kind = "denied", exit = 1 } },
}

for _, row in ipairs(rows) do
  local name, answers, instants, expected = table.unpack(row)
  t.test(name, function()
    script(answers)
    local response, err = post(client(), nil, { accept = json_only })
    t.same(t.instants(), instants)
    if not expected then
      t.ok(response)
      return
    end
    t.equal(response, nil)
    t.equal(err.kind, expected.kind)
    t.equal(err.exit, expected.exit)
    if expected.status then t.equal(err.status, expected.status) end
    if expected.message then t.match(err.message, expected.message) end
    if expected.ends then t.equal(t.now(), expected.ends) end
    t.ok(not err.message:find "\n")
  end)
end

t.test("messages say what, where and why", function()
  script { answer(404, '{"message":"no such\\nqueue"}') }
  local _, err = post(client())
  t.equal(err.message, "POST /v1/q at api.test answered 404: no such queue")
end)

t.test("full jitter stays within its bounds and is seeded", function()
  script { fault "reset" }
  post(client { retry = {} })
  local first, bound = t.instants(), 1000
  for index = 2, #first do
    t.ok(first[index] - first[index - 1] <= bound)
    bound = bound * 2
  end
  t.equal(#first, 6)
  t.ok(first[6] < 31000)
end)

t.test("a request that must not be repeated is repeated only if it never arrived", function()
  script { fault("reset") }
  local _, err = post(client(), { safe = false })
  t.same(t.instants(), { 0 })
  t.match(err.message, "must not be sent twice")
  script { fault("connect", { never_sent = true }), GOOD }
  t.ok(post(client(), { safe = false }))
  t.equal(#t.requests, 2)
end)

t.test("what must not be repeated is repeated when the server did not take it up", function()
  for _, status in ipairs { 408, 425, 429, 503 } do
    script { answer(status), GOOD }
    t.ok(post(client(), { safe = false }))
    t.equal(#t.requests, 2)
  end
end)

t.test("what must not be repeated is not when the server may have carried it out", function()
  for _, status in ipairs { 500, 502, 504, 520 } do
    script { answer(status) }
    local _, err = post(client { auth = auth.bearer(secrets.new "static-token") }, { safe = false })
    t.equal(#t.requests, 1)
    t.equal(err.exit, nil)
    t.equal(err.unclear, true)
    t.match(err.message, "must not be sent twice")
  end
end)

t.test("an error of accept that is not about the body is not tried again", function()
  script { GOOD }
  local _, err = post(client(), nil, { accept = function() return nil, errors.new("memory", "no room") end })
  t.equal(err.kind, "memory")
  t.equal(#t.requests, 1)
end)

t.test("an open circuit lets nothing through, and alerts once", function()
  script { answer(503) }
  local api = client()
  local _, first = post(api)
  local sent = #t.requests
  local _, second = api:get "/other"
  t.equal(first.kind, "deferred")
  t.equal(second.kind, "deferred")
  t.equal(second.exit, 75)
  t.match(second.message, "GET /v1/other at api.test was not sent; nothing but 503 for 300 s")
  t.equal(#t.requests, sent)
  t.equal(#t.events "alert", 1)
end)

t.test("a request that meets nothing but 503 while others succeed is deferred after its 15 minutes", function()
  t.serve(function(request) return request.url:find "/q$" and answer(503) or GOOD end)
  local api = client()
  local other = task.spawn(function()
    while true do
      assert(api:get "/fine")
      task.sleep "1m"
    end
  end)
  local _, err = post(api)
  other:cancel()
  t.equal(err.kind, "deferred")
  t.match(err.message, "time for one request is used up %(31 sent in 900 s%)")
end)

t.test("classify overrides the table", function()
  local function classified(class, answers)
    script(answers or { answer(404) })
    return post(client(), nil, { classify = function(response) return response.status == 404 and class or nil end })
  end
  t.ok(classified("retry", { answer(404), GOOD }))
  for class, kind in pairs { split = "split", restart = "restart", fail = "status", skip = "skip" } do
    local _, err = classified(class)
    t.equal(err.kind, kind)
  end
  t.raises(function() classified "explode" end, "classify answered 'explode'")
end)
