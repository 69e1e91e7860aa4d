-- The whole program when the API is not available: deferral, alerts, --wait; in virtual time.
local t = require "harness"
local helpers = require "api"
local files = require "quern.core.files"
local json = require "quern.core.json"
local main = require "quern.main"
local patience = require "quern.patience"
local task = require "quern.task"

local answer, fault = helpers.answer, helpers.fault

local HOOK = "https://hooks.test/services/T0/B0/hush-token"

local SCRIPT = [[
local quern = require "quern"
return quern.query {
  name = "watched", params = { from = quern.param.time {}, to = quern.param.time {} },
  client = { base_url = "http://api.test/v1", auth = quern.auth.bearer(quern.secret.env "ALERT_TOKEN") },
  chunk = quern.chunk.by_time { size = "P1D", floor = "PT12H", grain = "PT1S" },
  request = function(_, c) return { path = "/q", query = { from = c.from:iso "s" } } end,
  pages = quern.pages.number { size = 2, stop = "short" },
  records = "$.items[*]", key = "$.id", columns = { { "id", "$.id" } },
}
]]

local posts -- of the alerts, decoded

-- Three pages a leaf: 2, 2 and 1 records.
local function page(request)
  local day, number = request.url:match "from=2024%-01%-(%d%d)", tonumber(request.url:match "pageNumber=(%d+)")
  local items = {}
  for index = 1, number < 3 and 2 or 1 do items[index] = { id = ("%s-%d-%d"):format(day, number, index) } end
  return { status = 200, headers = {}, body = json.encode { items = json.array(items) }, after_ms = 100 }
end

local function hooked(request, hook)
  posts[#posts + 1] = assert(json.decode(request.body))
  t.equal(request.method, "POST")
  t.equal(request.headers.Authorization, nil)
  t.equal(request.headers["Content-Type"], "application/json")
  return hook and hook(#posts) or answer(204, "")
end

local function serve(api, hook)
  posts = {}
  t.serve(function(request)
    if request.url == HOOK then return hooked(request, hook) end
    return api(request)
  end)
end

local function run(opts, days)
  t.setenv("ALERT_TOKEN", "hush-hush")
  local script, output = t.path "watched.lua", t.path "watched.ndjson"
  local file <close> = assert(io.open(script, "w"))
  file:write(SCRIPT)
  file:flush()
  local call = { script = script, output = output, workers = 1, alert_url = HOOK, run_id = "r1",
                 params = { from = "2024-01-01", to = ("2024-01-%02d"):format((days or 4) + 1) } }
  for key, value in pairs(opts or {}) do call[key] = value end
  local result = main.run(call)
  patience.wanted = false
  local text = files.read(output)
  os.remove(output)
  os.remove(script)
  if result.partial then os.remove(result.partial) end
  return result, text
end

local function types()
  local list = {}
  for index, post in ipairs(posts) do list[index] = post.type end
  return list
end

t.test("five minutes of nothing but 503: exit 75, two alerts, nothing published", function()
  serve(function() return answer(503) end)
  local result, text = run()
  t.equal(result.exit, 75)
  t.equal(text, nil)
  t.match(result.message, "^deferred: .*nothing but 503 for 300 s; run again later$")
  t.equal(t.now(), 300000)
  t.same(types(), { "circuit_open", "deferred" })
  t.equal(posts[1].run, "r1")
  t.equal(posts[1].query, "watched")
  t.equal(posts[1].time, "2024-01-01T00:05:00.000Z")
  t.match(posts[1].reason, "nothing but 503 for 300 s from http://api.test")
  t.equal(posts[1].exit, nil)
  t.equal(posts[2].exit, 75)
  t.equal(posts[2].reason, result.message)
end)

t.test("the alert is sent while the run goes on", function()
  local slow_ms
  serve(function(request)
    if request.url:find "2024%-01%-02" then return answer(429, "{}", { { "Retry-After", "3600" } }) end
    local reply = page(request)
    reply.after_ms = 10000
    return reply
  end, function(n)
    if n == 1 then slow_ms = t.now() end
  end)
  local result = run()
  t.equal(result.exit, 75)
  t.same(types(), { "deferred", "deferred" })
  t.equal(slow_ms, 0)
  t.ok(t.now() >= 30000)
end)

t.test("failed and incomplete runs, and runs that could not begin", function()
  serve(function() return answer(403, '{"message":"no scope"}') end)
  t.equal(run().exit, 4)
  t.same(types(), { "failed" })
  t.equal(posts[1].exit, 4)
  t.match(posts[1].reason, "no scope")
  serve(function(request) return request.url:find "2024%-01%-02" and answer(404) or page(request) end)
  t.equal(run().exit, 3)
  t.same(types(), { "incomplete" })
  t.equal(posts[1].holes, 1)
  t.equal(posts[1].rows, 15)
  serve(page)
  t.equal(run { params = { from = "soon" } }.exit, 2)
  t.same(types(), { "failed" })
  t.match(posts[1].script, "watched.lua$")
  serve(page)
  t.equal(run().exit, 0)
  t.same(types(), {})
end)

t.test("an alert is retried, and one that cannot be sent changes nothing but a line of the log", function()
  serve(function() return answer(403) end, function(n)
    if n == 1 then return fault "reset" end
    if n == 2 then return answer(429, "{}", { { "Retry-After", "2" } }) end
    if n == 3 then return answer(503) end
  end)
  t.equal(run().exit, 4)
  t.equal(#posts, 4)
  t.equal(#t.events "log", 0)
  serve(function() return answer(403) end, function() return answer(500, '{"message":"no such channel hush-token"}') end)
  t.equal(run().exit, 4)
  t.equal(#posts, 4)
  local lines = t.events "log"
  t.equal(#lines, 1)
  t.equal(lines[1].level, "warn")
  t.match(lines[1].message, "the alert 'failed' could not be sent: POST https://hooks.test answered 500: no such channel")
end)

t.test("a dead alert URL holds the end of the run no longer than a minute", function()
  serve(function() return answer(403) end, function() return { kind = "timeout", message = "no answer", after_ms = 55000 } end)
  t.equal(run().exit, 4)
  t.ok(t.now() <= 60000)
end)

t.test("what is no URL is a usage error and is not repeated", function()
  serve(page)
  for _, text in ipairs { "hush-token", "ftp://a.test/hush-token", "https://", "http://[hush-token/" } do
    local result = run { alert_url = text }
    t.equal(result.exit, 2)
    t.match(result.message, "%-%-alert%-url: it is not a URL")
    t.ok(not result.message:find "hush")
  end
  t.equal(#t.requests, 0)
end)

t.test("no event holds the path of the alert URL, a credential goes there neither", function()
  serve(function() return answer(503, '{"message":"see /services/T0/B0/hush-token or hush-hush"}') end)
  run()
  for _, post in ipairs(posts) do t.ok(not post.reason:find "hush") end
  t.ok(#t.events "request" > 2)
  t.ok(not t.event_text():find "hush")
  t.ok(not t.event_text():find "/services/")
end)

t.test("after an interrupt what was to be told is told within 10 s, and the interrupt is no alert", function()
  serve(function() return answer(429, "{}", { { "Retry-After", "3600" } }) end, function() return { status = 200, body = "", after_ms = 5000 } end)
  local result
  local child = task.spawn(function() result = run { wait = true } end)
  task.sleep(1)
  t.interrupt()
  child:join()
  t.equal(result.exit, 130)
  t.same(types(), { "waiting" })
  t.equal(t.now(), 5000)
end)

-- ---- --wait ----

local function expected(days)
  local lines = {}
  for day = 1, days do
    for number = 1, 3 do
      for index = 1, number < 3 and 2 or 1 do lines[#lines + 1] = ('{"id":"%02d-%d-%d"}\n'):format(day, number, index) end
    end
  end
  return table.concat(lines)
end

-- Counts the good answers to each URL.
local function counting(api)
  local good = {}
  return function(request)
    local reply = api(request)
    if reply.status == 200 then good[request.url] = (good[request.url] or 0) + 1 end
    return reply
  end, good
end

t.test("--wait: an outage of hours in the middle of the walks; nothing is lost and nothing is fetched twice", function()
  local api, good = counting(function(request)
    local down = t.now() >= 250 and t.now() < 5 * 3600000
    return down and answer(503) or page(request)
  end)
  serve(api)
  local result, text = run({ wait = true }, 8)
  t.equal(result.exit, 0)
  t.equal(text, expected(8))
  t.equal(result.restarts, 0)
  local urls = 0
  for _, count in pairs(good) do
    urls = urls + 1
    t.equal(count, 1)
  end
  t.equal(urls, 24)
  t.ok(t.now() < 6 * 3600000)
  t.same(types(), { "circuit_open" })
  t.ok(posts[1]["until"])
end)

t.test("--wait: a Retry-After of an hour in the middle", function()
  local api, good = counting(function(request)
    local down = t.now() >= 250 and t.now() < 3600000
    return down and answer(429, "{}", { { "Retry-After", tostring((3600000 - t.now()) // 1000 + 1) } }) or page(request)
  end)
  serve(api)
  local result, text = run({ wait = true }, 8)
  t.equal(result.exit, 0)
  t.equal(text, expected(8))
  for _, count in pairs(good) do t.equal(count, 1) end
  t.ok(t.now() < 3700000)
end)

t.test("--wait: 24 hours without an answer end 75", function()
  serve(function() return answer(503) end)
  local result, text = run { wait = true }
  t.equal(result.exit, 75)
  t.equal(text, nil)
  t.match(result.message, "no answer for 24 hours; run again later")
  t.ok(t.now() > 23 * 3600000 and t.now() <= 24 * 3600000 + 300000)
  t.same(types(), { "circuit_open", "deferred" })
end)

t.test("--wait: an interrupt ends the waiting at once", function()
  serve(function() return answer(503) end)
  local result
  local child = task.spawn(function() result = run { wait = true, alert_url = false } end)
  task.sleep "2h"
  local before = t.now()
  t.interrupt()
  child:join()
  t.equal(result.exit, 130)
  t.equal(t.now(), before)
end)
