-- Limits: who waits for whom, first come first served, and turns that are given back.
local t = require "harness"
local helpers = require "api"
local task = require "quern.task"

local GOOD, answer, client, post = helpers.GOOD, helpers.answer, helpers.client, helpers.post

t.test("a 429 holds back everybody who shares the limit", function()
  local calls = 0
  t.serve(function(request)
    calls = calls + 1
    if calls == 1 then return answer(429, "{}", { { "Retry-After", "10" } }) end
    return { status = 200, body = "{}", after_ms = 1 }, request
  end)
  local api = client { limit = { concurrency = 1 } }
  task.map({ 1, 2, 3 }, 3, function() return assert(post(api)) end)
  t.same(t.instants(), { 0, 10000, 10001, 10002 })
end)

t.test("a limit is shared by the clients it is given to; a copy is a limit of its own", function()
  local calls = 0
  t.serve(function()
    calls = calls + 1
    return calls == 1 and answer(429, "{}", { { "Retry-After", "10" } }) or GOOD
  end)
  local quern = require "quern"
  local shared = quern.limit { concurrency = 4, pace = "10ms" }
  local copy = { rate = "600/min" }
  for key, value in pairs(shared) do copy[key] = value end
  local one, two, three = client { limit = shared }, client { limit = shared }, client { limit = copy }
  task.map({ one, two, three }, 3, function(api) return assert(post(api)) end)
  t.same(t.instants(), { 0, 0, 10000, 10010 })
end)

t.test("the requester that met the 429 keeps its place before those who come during the hold", function()
  local order, calls = {}, 0
  t.serve(function(request)
    calls = calls + 1
    order[#order + 1] = request.url:match "n=(%d)"
    return calls == 1 and answer(429, "{}", { { "Retry-After", "10" } }) or { status = 200, body = "{}", after_ms = 5 }
  end)
  local api = client { limit = { concurrency = 1 } }
  task.map({ 1, 2, 3 }, 3, function(n)
    task.sleep(n)
    return assert(api:get("/x", { query = { n = n } }))
  end)
  t.same(order, { 1, 1, 2, 3 })
  t.same(t.instants(), { 1000, 11000, 11005, 11010 })
end)

t.test("first come, first served; concurrency, rate and pace are bounds", function()
  local order = {}
  t.serve(function(request)
    order[#order + 1] = request.url:match "n=(%d)"
    return { status = 200, body = "{}", after_ms = 100 }
  end)
  local function go(spec)
    local api = client { limit = spec }
    task.map({ 1, 2, 3, 4 }, 4, function(n) return assert(api:get("/x", { query = { n = n } })) end)
  end
  go { concurrency = 2 }
  t.same(t.instants(), { 0, 0, 100, 100 })
  t.same(order, { 1, 2, 3, 4 })
  t.serve(function() return { status = 200, body = "{}", after_ms = 1 } end)
  local start = t.now()
  go { rate = "2/min" }
  t.same(t.instants(), { start, start, start + 60000, start + 60000 })
  start = t.now()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1 } end)
  go { pace = "500ms" }
  t.same(t.instants(), { start, start + 500, start + 1000, start + 1500 })
end)

t.test("a cancelled request gives its turn back", function()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1000 } end)
  local api = client { limit = { concurrency = 1 } }
  local first = task.spawn(function() post(api) end)
  task.sleep "100ms"
  local second = task.spawn(function() post(api) end)
  task.sleep "100ms"
  second:cancel()
  first:cancel()
  t.ok(post(api))
  t.same(t.instants(), { 0, 200 })
end)
