-- The event stream: subscribers, events of scripts, the log, and what the event of a request tells.
local t = require "harness"
local helpers = require "api"
local quern = require "quern"
local chunk = require "quern.chunk"
local events = require "quern.events"
local farewell = require "quern.farewell"
local feed = require "quern.feed"
local http = require "quern.http"
local instant = require "quern.instant"
local run = require "quern.run"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local log = require "quern.log"
local sandbox = require "quern.core.sandbox"
local secrets = require "quern.core.secret"
local task = require "quern.task"

local answer, fault = helpers.answer, helpers.fault

t.test("subscribers see events as tables, of the types they ask for, until they are closed", function()
  local all, logs = {}, {}
  local every = events.subscribe(function(event) all[#all + 1] = event.type end)
  do
    local _ <close> = events.subscribe(function(event) logs[#logs + 1] = event.message end, { type = { "log", "script.other" } })
    log.info "one"
    events.emit("queue_loaded", { queues = 12, list = { "a" } })
  end
  log.warn "two"
  every:close()
  every:close()
  log.info "three"
  t.same(all, { "log", "script.queue_loaded", "log" })
  t.same(logs, { "one" })
  local line = t.events "script.queue_loaded" [1]
  t.equal(line.queues, 12)
  t.equal(line.list[1], "a")
  t.match(line.time, "^2024%-01%-01T00:00:00%.000Z$")
end)

t.test("a subscriber has a table of its own, without secrets", function()
  local hush = secrets.new "hush-hush"
  local seen = {}
  events.subscribe(function(event)
    seen[#seen + 1] = event
    event.message, event.inner.text = "changed", "changed"
  end)
  events.subscribe(function(event) seen[#seen + 1] = event end)
  log.info("it is hush-hush", { inner = { text = "hush%2Dhush" } })
  t.equal(seen[2].message, "it is [redacted]")
  t.equal(seen[2].inner.text, "[redacted]")
  t.equal(seen[2].time, t.events()[1].time)
  t.ok(not t.event_text():find "hush")
  t.ok(hush)
end)

t.test("a subscriber that fails is told of once and removed; the others go on", function()
  local calls, heard = 0, 0
  events.subscribe(function()
    calls = calls + 1
    error "broken hook"
  end)
  events.subscribe(function() heard = heard + 1 end)
  log.info "one"
  log.info "two"
  t.equal(calls, 1)
  t.equal(heard, 3)
  local told = {}
  for _, event in ipairs(t.events "log") do told[#told + 1] = event.level == "error" and event.message or nil end
  t.equal(#told, 1)
  t.match(told[1], "removed: .*broken hook")
end)

t.test("a subscriber cannot wait, and what it emits itself is not told to it again", function()
  local calls = 0
  events.subscribe(function(event)
    calls = calls + 1
    log.info("again: " .. event.type)
  end)
  log.info "one"
  t.equal(calls, 1)
  t.equal(#t.events "log", 2)
  events.subscribe(function() task.sleep(1) end, { type = "script.wait" })
  events.emit "wait"
  local removed = 0
  for _, event in ipairs(t.events "log") do
    removed = removed + (event.message:find "removed: .*waiting is not possible here" and 1 or 0)
  end
  t.equal(removed, 1)
end)

t.test("misuse is told at the caller's line", function()
  for pattern, call in pairs {
    ["events.emit: 'page one' is not a name"] = function() events.emit "page one" end,
    ["events.emit: the field 'type' is the event's own"] = function() events.emit("x", { type = "page" }) end,
    ["events.emit: token is a secret"] = function() events.emit("x", { token = secrets.new "hush-hush" }) end,
    ["log.info: token is a secret"] = function() log.info("x", { token = secrets.new "hush-hush" }) end,
    ["log.warn: the field 'level' is the event's own"] = function() log.warn("x", { level = 1 }) end,
    ["log.error: fields is a table, not a string"] = function() log.error("x", "y") end,
    ["log.debug: f is a function"] = function() log.debug("x", { f = print }) end,
    ["log.info: .*NaN"] = function() log.info("x", { deep = { 0 / 0 } }) end,
    ["quern.log has no 'warning'; it has debug, error, info, warn"] = function() log.warning "x" end,
    ["quern.events has no 'on'"] = function() events.on(print) end,
    ["events.subscribe takes a function, not a nil"] = function() events.subscribe() end,
    ["events.subscribe has no option 'types'; did you mean 'type'"] = function() events.subscribe(print, { types = "x" }) end,
  } do
    t.match(tostring(t.raises(call, pattern)), "events_test.lua:%d+: ")
  end
  t.equal(#t.events(), 0)
end)

t.test("loading a script neither logs nor emits", function()
  for _, source in ipairs { "require('quern.log').info 'x'", "require('quern.events').emit 'x'" } do
    t.raises(assert(sandbox.load(source, "@s.lua", ".")), "loading a script must be pure: the log is not available")
  end
end)

local function sent(opts)
  local api = helpers.client()
  helpers.post(api, nil, opts)
  return t.events "request"
end

t.test("the event of a request tells what became of its answer", function()
  local headers = { { "X-Request-Id", "second" }, { "ININ-Correlation-Id", "first" } }
  helpers.script { answer(200, '{"a":', headers), answer(502, '{"message":"no upstream","contextId":"c-1"}'), fault "reset",
                   answer(200, '{"n":[1,2]}') }
  local list = sent { leaf = "L", accept = function(response)
    local value, err = json.decode(response.body)
    if not value then return nil, errors.new("body", tostring(err)) end
    return { count = #value.n }
  end }
  t.equal(#list, 4)
  t.equal(list[1].correlation, "first")
  t.match(list[1].error, "answered 200 with a body that cannot be used")
  t.equal(list[1].status, 200)
  t.equal(list[2].correlation, "c-1")
  t.match(list[2].error, "answered 502: no upstream")
  t.equal(list[3].kind, "reset")
  t.equal(list[3].status, nil)
  t.equal(list[4].records, 2)
  t.equal(list[4].error, nil)
  for index, event in ipairs(list) do
    t.equal(event.attempt, index)
    t.equal(event.leaf, "L")
  end
end)

t.test("an answer that is not looked at any more is told all the same, and so is a request that was cancelled", function()
  t.serve(function() return { status = 200, body = "{}", after_ms = 5000 } end)
  local list
  t.raises(function()
    list = sent { accept = function() error "accept is broken" end }
  end, "accept is broken")
  list = t.events "request"
  t.equal(#list, 1)
  t.equal(list[1].status, 200)
  local api = helpers.client()
  local child = task.spawn(function() api:get "/slow" end)
  task.sleep(2)
  child:cancel()
  child:join()
  list = t.events "request"
  t.equal(#list, 2)
  t.equal(list[2].kind, "cancelled")
  t.equal(list[2].ms, 2000)
end)

t.test("the hops of a redirect are told one by one", function()
  helpers.script { answer(303, "", { { "Location", "/v1/there" } }), answer(200) }
  local list = sent()
  t.equal(#list, 2)
  t.equal(list[1].status, 303)
  t.equal(list[1].attempt, 1)
  t.match(list[2].url, "/v1/there$")
end)

-- ---- on_event ----

local RANGE = { from = instant.new(1704067200000), to = instant.new(1704067200000 + 3 * 86400000) }

local function execute(on_event, more)
  local query = quern.query {
    name = "hooked", client = { base_url = helpers.BASE, retry = { jitter = false } }, records = "$.items[*]", columns = { { "id", "$.id" } },
    params = { from = quern.param.time {}, to = quern.param.time {} },
    chunk = quern.chunk.by_time { size = "P1D", floor = "PT12H", grain = "PT1S" },
    request = function() return { path = "/q" } end, on_event = on_event,
  }
  local output = t.path "hooked.csv"
  local options = { run_id = "x", output = output, workers = 1, concurrency = 1 }
  for key, value in pairs(more or {}) do options[key] = value end
  local summary, err = run.execute({ query = query, params = RANGE, client = assert(http.client(query.client)), format = "csv", now_ms = RANGE.to.ms,
                                     cut = chunk.bind(query.chunk, RANGE) }, options)
  os.remove(output)
  return summary, err
end

local function warnings()
  local list = {}
  for _, event in ipairs(t.events "log") do list[#list + 1] = event.message end
  return list
end

local ITEMS = answer(200, '{"items":[{"id":"a"}]}')

t.test("on_event sees every event in order, and may wait", function()
  helpers.script { ITEMS }
  local seen = {}
  local summary = execute(function(event)
    task.sleep(0.1)
    seen[#seen + 1] = event.type
  end)
  t.equal(summary.exit, 0)
  t.equal(seen[1], "run_started")
  t.equal(seen[#seen], "run_finished")
  local all = {}
  for index, event in ipairs(t.events()) do all[index] = event.type end
  t.same(seen, all)
end)

t.test("on_event may send requests, of which it is not told", function()
  t.serve(function() return ITEMS end)
  local other = assert(http.client { base_url = "http://hooks.test" })
  local posted, calls = 0, 0
  local summary = execute(function(event)
    calls = calls + 1
    if event.type == "leaf_whole" then
      assert(other:post("/x", { json = { leaf = event.leaf } }))
      posted = posted + 1
    end
  end)
  t.equal(summary.exit, 0)
  t.equal(summary.requests, 3)
  t.equal(posted, 3)
  t.equal(calls, #t.events() - posted)
end)

t.test("an on_event that raises is logged once and called no more; the run is whole", function()
  helpers.script { ITEMS }
  local calls = 0
  local summary = execute(function()
    calls = calls + 1
    error "hook is broken"
  end)
  t.equal(summary.exit, 0)
  t.equal(calls, 1)
  t.equal(#warnings(), 1)
  t.match(warnings()[1], "on_event failed and is not called any more: .*hook is broken")
end)

t.test("an on_event that is too slow has 10 s at the end; what is dropped is told", function()
  helpers.script { ITEMS }
  local before = t.now()
  local summary = execute(function() task.sleep "1h" end)
  t.equal(summary.exit, 0)
  t.equal(t.now() - before, 10000)
  t.equal(#warnings(), 1)
  t.match(warnings()[1], "on_event was slower than the run: %d+ events were dropped")
end)

t.test("no more than a thousand events wait for a hook", function()
  local slow = feed.start("hook", function() task.sleep(1) end, { most = 3 })
  for _ = 1, 10 do log.info "x" end
  slow:close()
  t.match(warnings()[11], "hook was slower than the run: 7 events were dropped")
end)

local function interrupted(after_s, serve_ms, hook)
  t.serve(function() return { status = 200, body = '{"items":[]}', after_ms = serve_ms } end)
  local inside = task.spawn(execute, hook)
  task.sleep(after_s)
  inside:cancel(errors.new("interrupted", "interrupted"))
  local ok, summary = inside:join()
  farewell.run()
  return ok and summary.exit
end

t.test("after an interrupt the hook is told what is queued", function()
  local seen = {}
  local exit = interrupted(1, 60000, function(event)
    if event.type == "leaf_started" then task.sleep(5) end
    seen[#seen + 1] = event.type
  end)
  t.equal(exit, 130)
  t.equal(seen[1], "run_started")
  t.match(table.concat(seen, " "), "run_finished")
end)

t.test("an interrupt while the hook has its time at the end changes nothing: the output stands", function()
  t.equal(interrupted(1, 1, function() task.sleep "1h" end), 0)
  t.equal(t.now(), 1000)
end)
