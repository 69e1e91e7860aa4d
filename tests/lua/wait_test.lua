-- run --wait: a lane that would be deferred waits, asks again with one probe, and gives up after 24 hours; in virtual time.
local t = require "harness"
local helpers = require "api"
local errors = require "quern.core.error"
local patience = require "quern.patience"
local task = require "quern.task"

local answer, fault, client, post = helpers.answer, helpers.fault, helpers.client, helpers.post
local GOOD = helpers.GOOD

local function patient(changes)
  patience.wanted = true
  local api = client(changes)
  patience.wanted = false
  return api
end

-- The API is down (`how`) until an instant in seconds.
local function down_until(s, how)
  t.serve(function() return t.now() < s * 1000 and how or GOOD end)
end

local function after(s)
  local list = {}
  for _, ms in ipairs(t.instants()) do
    if ms >= s * 1000 then list[#list + 1] = ms // 1000 end
  end
  return list
end

t.test("after five minutes of 503 it pauses 60 s, 120 s, ... and goes on when the API is back", function()
  local api = patient()
  down_until(1000, answer(503))
  local response = assert(post(api))
  t.equal(response.status, 200)
  t.same(after(271), { 360, 480, 720, 1200 })
  local alerts, waits, resumed = t.events "alert", {}, t.events "resumed"
  t.equal(#alerts, 1)
  t.equal(alerts[1].alert, "circuit_open")
  t.equal(alerts[1]["until"], "2024-01-01T00:06:00Z")
  for _, event in ipairs(t.events "waiting") do
    if event["until"] then waits[#waits + 1] = event.ms // 1000 end
  end
  t.same(waits, { 60, 120, 240, 480 })
  t.equal(#resumed, 1)
  t.equal(resumed[1].ms, 900000)
end)

t.test("pauses do not grow beyond 30 minutes; after 24 hours it ends deferred", function()
  local api = patient()
  t.serve(function() return answer(503) end)
  local response, err = post(api)
  t.equal(response, nil)
  t.equal(err.kind, "deferred")
  t.equal(err.exit, 75)
  t.match(err.message, "answered 503; no answer for 24 hours")
  local last = after(3600)
  t.equal(last[#last] - last[#last - 1], 1800)
  t.ok(t.now() <= 300000 + 24 * 3600000)
  t.ok(t.now() > 300000 + 23.4 * 3600000)
  t.ok(#t.requests < 70)
  local later, later_err = post(api)
  t.equal(later, nil)
  t.equal(later_err.exit, 75)
end)

t.test("half-open: one probe, then all; nobody sends in between", function()
  local api = patient { limit = { concurrency = 8 } }
  down_until(600, answer(503))
  local done = 0
  task.map({ 1, 2, 3, 4, 5, 6 }, 6, function(n)
    assert(post(api, { json = { n = n } }))
    done = done + 1
  end)
  t.equal(done, 6)
  t.same(after(271), { 360, 480, 720, 720, 720, 720, 720, 720 })
end)

t.test("requests that queue for their turn wait, too", function()
  local api = patient { limit = { concurrency = 1 } }
  t.serve(function() return t.now() < 400000 and { status = 503, body = "{}", after_ms = 20000 } or GOOD end)
  task.map({ 1, 2, 3 }, 3, function(n) assert(post(api, { json = { n = n } })) end)
  t.same(after(301), { 380, 520, 520, 520 }) -- a probe that fails, one that does not, and the two that queued
end)

t.test("429 above max_wait: the pause is as long as it says, and shared", function()
  local api = patient()
  t.serve(function() return t.now() < 3600000 and answer(429, "{}", { { "Retry-After", "3600" } }) or GOOD end)
  task.map({ 1, 2, 3 }, 3, function() assert(post(api)) end)
  t.same(t.instants(), { 0, 0, 0, 3600000, 3600000, 3600000 })
  t.equal(#t.events "alert", 1)
  t.equal(t.events "alert" [1].alert, "waiting")
end)

t.test("a Retry-After beyond the 24 hours ends it at once", function()
  local api = patient()
  t.serve(function() return answer(429, "{}", { { "Retry-After", "100000" } }) end)
  local _, err = post(api)
  t.equal(err.exit, 75)
  t.equal(t.now(), 0)
end)

t.test("a probe that cannot connect is no answer; one that is refused for its own sake ends the waiting", function()
  local api = patient()
  local replies = { [360] = fault("connect", { never_sent = true }), [480] = answer(404) }
  t.serve(function() return replies[t.now() // 1000] or answer(503) end)
  local _, err = post(api)
  t.equal(err.kind, "status")
  t.equal(err.status, 404)
  t.equal(t.now(), 480000)
  t.equal(#t.events "resumed", 1)
end)

t.test("a probe that is asked to slow down stays the probe", function()
  local api = patient()
  local throttled = 0
  t.serve(function()
    if t.now() < 360000 then return answer(503) end
    throttled = throttled + 1
    return throttled == 1 and answer(429, "{}", { { "Retry-After", "7" } }) or GOOD
  end)
  task.map({ 1, 2 }, 2, function() assert(post(api)) end)
  t.same(after(271), { 360, 367, 367 })
end)

t.test("a probe that is cancelled leaves its place to another", function()
  local api = patient()
  local slow = true
  t.serve(function()
    if t.now() < 360000 then return answer(503) end
    local reply = slow and { status = 200, body = "{}", after_ms = 100000 } or GOOD
    slow = false
    return reply
  end)
  local tasks = { task.spawn(function() return post(api) end), task.spawn(function() return post(api) end) }
  task.sleep(361)
  tasks[1]:cancel() -- the first one is the probe
  local ok, response = tasks[2]:join()
  t.equal(ok, true)
  t.equal(response.status, 200)
  t.same(after(271), { 360, 361 })
end)

t.test("one request that meets nothing but 503 waits for itself; the others go on", function()
  local api = patient()
  t.serve(function(request) return request.url:find "/bad" and t.now() < 1000000 and answer(503) or GOOD end)
  local bad = task.spawn(function() return api:get "/bad" end)
  local served = 0
  local good = task.spawn(function()
    for _ = 1, 600 do
      assert(api:get "/good")
      served = served + 1
      task.sleep(2)
    end
  end)
  good:join()
  t.equal(served, 600)
  t.equal(t.now(), 1200000)
  local ok, response = bad:join()
  t.equal(ok, true)
  t.equal(response.status, 200)
  t.equal(#t.events "resumed", 1)
end)

t.test("a request that must not be sent twice is sent again only when it was surely not carried out", function()
  local api = patient()
  down_until(500, answer(503))
  t.equal(assert(post(api, { safe = false })).status, 200)
  t.serve(function() return fault "reset" end)
  local _, err = post(api, { safe = false })
  t.match(err.message, "must not be sent twice")
end)

t.test("the token endpoint is waited for, too", function()
  patience.wanted = true
  local api = helpers.oauth_client()
  patience.wanted = false
  t.serve(function(request)
    if request.url ~= helpers.TOKEN then return GOOD end
    return t.now() < 2000000 and answer(503) or { status = 200, body = '{"access_token":"token-1","expires_in":3600}' }
  end)
  task.map({ 1, 2, 3 }, 3, function() assert(post(api)) end)
  t.equal(t.now(), 2160000)
  t.equal(api:paused_ms(), 1860000)
  t.equal(#t.events "token", 1)
end)

t.test("who waits is told", function()
  local api = patient()
  down_until(400, answer(503))
  local told = {}
  assert(post(api, nil, { on_wait = function(why, ms) told[#told + 1] = why .. " " .. ms // 1000 end }))
  t.equal(told[#told], "unavailable 120")
end)

t.test("an interrupt ends the waiting at once", function()
  local api = patient()
  t.serve(function() return answer(503) end)
  local child = task.spawn(function() return post(api) end)
  task.sleep(10000)
  local before = t.now()
  child:cancel(errors.new("interrupted", "interrupted"))
  local ok, err = child:join()
  t.equal(ok, false)
  t.equal(err.kind, "interrupted")
  t.equal(t.now(), before)
end)
