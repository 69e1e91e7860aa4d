-- The emulator in virtual time: its handler answers the simulated transport, so that outages, long jobs and expiring tokens take no time.
local t = require "harness"
local core = require "quern.core.task"
local main = require "quern.main"
local param = require "quern.param"
local scripts = require "quern.script"

local ROOT = assert(package.searchpath("harness", package.path)):match "^(.*)tests/lua/harness%.lua$"
local SCRIPTS = (ROOT == "" and "." or ROOT:gsub("/$", "")) .. "/scripts"
local BASE = "http://api.test/emulated"
local START = "2024-01-01"

-- ---- the emulator without a socket

-- The handler, or nil and what is wrong with the parameters. A small data set unless told otherwise.
local function handler(params)
  local given = { days = "2", rate = "24", prefix = "/emulated" }
  for name, value in pairs(params or {}) do given[name] = value end
  local serving = assert(scripts.load("genesys", SCRIPTS)).value
  return serving.handler(assert(param.bind(serving.params, given, { now_ms = core.wall() })))
end

-- What a served request holds.
local function served(request)
  local path, query = request.url:match "^%w+://[^/]+([^?]*)%??(.*)$"
  local headers = {}
  for name, value in pairs(request.headers) do headers[name:lower()] = value end
  return { method = request.method, path = path, query = query, headers = headers, body = request.body }
end

local KINDS = { reset = "reset", truncate = "truncated" }

-- What the transport makes of the handler's answer.
local function received(answer)
  local headers = {}
  for name, value in pairs(answer.headers or {}) do headers[#headers + 1] = { name, tostring(value) } end
  local body = answer.json ~= nil and require("quern.json").encode(answer.json) or answer.body or ""
  return { status = answer.status or 200, headers = headers, body = body, kind = KINDS[answer.fault], message = answer.fault,
           after_ms = math.floor((answer.after or 0) * 1000) + 10 }
end

-- Answers every request below BASE; others go to `elsewhere`. What is to be done afterwards runs in tasks of the test.
local function emulate(params, elsewhere)
  local handle = assert(handler(params))
  local pending, changed = {}, core.event()
  core.spawn(function()
    while true do
      changed:wait()
      while #pending > 0 do core.spawn(table.remove(pending, 1)) end
    end
  end)
  t.serve(function(request)
    if request.url:sub(1, #BASE) ~= BASE then return elsewhere(request) end
    local answer = handle(served(request))
    if answer.afterwards then
      pending[#pending + 1] = answer.afterwards
      changed:set()
    end
    return received(answer)
  end)
  return handle
end

-- Runs a report; the result and its rows, as text.
local function report(name, params, opts)
  for variable, value in pairs { BASE_URL = BASE, CLIENT_ID = "demo", CLIENT_SECRET = "demo-secret", ORGANIZATION_ID = "org" } do
    t.setenv("GENESYS_" .. variable, value)
  end
  local given = { from = START, to = "2024-01-03" }
  for key, value in pairs(params or {}) do given[key] = value end
  local output = t.path "emulated.ndjson"
  local options = { script = name, scripts_dir = SCRIPTS, output = output, format = "ndjson", workers = 1, params = given }
  for key, value in pairs(opts or {}) do options[key] = value end
  local result = main.run(options)
  local file = io.open(output, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  os.remove(output)
  return result, text
end

local function rows(text) return select(2, (text or ""):gsub("\n", "")) end

-- ---- time

t.test("a job that takes its time is polled until it is done", function()
  emulate { job_ms = "50000" }
  local result, text = report("interaction_search", { page_size = "10" })
  t.equal(result.message, nil)
  t.equal(result.exit, 0)
  t.equal(rows(text), 48)
  t.ok(t.now() >= 50000)
  emulate { job_ms = "70000" }
  result = report "interaction_search"
  t.equal(result.exit, 1)
  t.match(result.message, "not complete after 30 polls")
end)

t.test("a token that expires while the job runs is replaced", function()
  emulate { job_ms = "40000", token_life = "15" }
  local result, text = report("interaction_search", { page_size = "10" })
  t.equal(result.message, nil)
  t.equal(rows(text), 48)
  local tokens = 0
  for _, request in ipairs(t.requests) do tokens = tokens + (request.url:find "/oauth/token" and 1 or 0) end
  t.ok(tokens >= 3)
end)

t.test("an outage of two minutes is waited out, one of ten minutes defers the run, and --wait outlasts it", function()
  emulate {}
  local _, plain = report "interval_report"
  t.equal(rows(plain), 96)
  emulate { fault = { "unavailable:seconds=120" } }
  local before = t.now()
  local result, text = report "interval_report"
  t.equal(result.exit, 0)
  t.equal(text, plain)
  t.ok(t.now() - before >= 120000)
  emulate { fault = { "unavailable:seconds=600" } }
  result = report "interval_report"
  t.equal(result.exit, 75)
  emulate { fault = { "unavailable:seconds=600" } }
  result, text = report("interval_report", {}, { wait = true })
  t.equal(result.exit, 0)
  t.equal(text, plain)
end)

t.test("an outage of the polls alone leaves the job alone", function()
  emulate { fault = { "unavailable:seconds=90,on=poll" } }
  local result, text = report "interaction_search"
  t.equal(result.message, nil)
  t.equal(rows(text), 48)
  local submitted = 0
  for _, request in ipairs(t.requests) do submitted = submitted + (request.url:find "details/query$" and 1 or 0) end
  t.equal(submitted, 1)
end)

t.test("a limit a minute is kept by waiting", function()
  emulate { limit = "3" }
  local result, text = report("interaction_search", { page_size = "10", poll = "100ms" })
  t.equal(result.message, nil)
  t.equal(rows(text), 48)
  t.ok(t.now() >= 60000)
end)

-- ---- webhooks

t.test("the end of a job is told to this machine only", function()
  local heard
  emulate({}, function(request)
    heard = request
    return { status = 204, headers = {}, body = "" }
  end)
  t.setenv("GENESYS_WEBHOOK_URL", "http://127.0.0.1:9/hook/1")
  report "interaction_search"
  t.equal(heard and heard.url, "http://127.0.0.1:9/hook/1")
  t.match(heard.body, '^{"jobId":"job%-1%-1","status":"complete"}$')
  heard = nil
  for _, url in ipairs { "https://hooks.example.com/1", "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/", "http://localhost@x/" } do
    emulate({}, function(request) heard = request end)
    t.setenv("GENESYS_WEBHOOK_URL", url)
    report "interaction_search"
    t.equal(heard, nil)
  end
  t.setenv("GENESYS_WEBHOOK_URL", nil)
  t.match(t.event_text(), "is not called: the emulator calls this machine only")
end)

-- ---- rules

-- Statuses of `n` polls of nothing (404 without a fault), each as a client with a token sends it.
local function statuses(fault, n)
  local handle = assert(handler { fault = type(fault) == "table" and fault or { fault } })
  local function send(method, path, body, headers)
    return handle { method = method, path = "/emulated" .. path, query = "", headers = headers or {}, body = body or "" }
  end
  send("POST", "/oauth/token", "grant_type=client_credentials&client_id=demo&client_secret=demo-secret")
  local list = {}
  for index = 1, n do
    local path = "/api/v2/analytics/conversations/details/query/jobs/" .. index
    list[index] = send("GET", path, "", { authorization = "Bearer emulated-1-1" }).status
  end
  return list
end

t.test("which requests a rule meets", function()
  t.same(statuses("502", 3), { 502, 404, 404 })
  t.same(statuses("502:times=2,skip=1", 5), { 404, 502, 502, 404, 404 })
  t.same(statuses("502:every=2", 5), { 404, 502, 404, 502, 404 })
  t.same(statuses("502:every=2,skip=1,times=1", 5), { 404, 404, 502, 404, 404 })
  t.same(statuses("502:path=jobs/3", 4), { 404, 404, 502, 404 })
  t.same(statuses("502:every=1,on=poll", 2), { 502, 502 })
  t.same(statuses("502:every=1,on=search", 2), { 502, 502 })
  t.same(statuses("502:every=1,on=results", 2), { 404, 404 })
  t.same(statuses("502:every=1,on=token", 1), { 401 })
  t.same(statuses({ "502", "503" }, 3), { 502, 404, 404 }) -- both were due at the first; the first rule answers
  t.same(statuses({ "502:times=1", "503:skip=1" }, 3), { 502, 503, 404 })
end)

t.test("chance is seeded", function()
  local list = statuses("502:share=0.3", 200)
  local met = 0
  for _, status in ipairs(list) do met = met + (status == 502 and 1 or 0) end
  t.ok(met > 40 and met < 80)
  t.same(statuses("502:share=0.3", 200), list)
end)

t.test("an outage lasts as long as it was told, on what it concerns", function()
  local handle = assert(handler { fault = { "unavailable:seconds=30,retry_after=5,on=token" } })
  local function grant()
    return handle { method = "POST", path = "/emulated/oauth/token", query = "", headers = {},
                    body = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret" }
  end
  local answer = grant()
  t.equal(answer.status, 503)
  t.equal(answer.headers["Retry-After"], "5")
  core.sleep(29000)
  t.equal(grant().status, 503)
  core.sleep(1000)
  t.equal(grant().status, 200)
  core.sleep(1000)
  t.equal(grant().status, 200)
end)

t.test("a rule that is none is refused before anything is served", function()
  for fault, words in pairs {
    ["gzipp"] = "did you mean 'gzip'", ["reset:on=serach"] = "did you mean 'search'", ["late:record=2"] = "did you mean 'records'",
    ["600"] = "600 is above 599", ["status"] = "write the status itself", [""] = "is not one of", ["foreign_redirect"] = "it needs to=",
  } do
    local handle, wrong = handler { fault = { fault } }
    t.equal(handle, nil)
    t.match(wrong, words)
  end
  local result = main.serve { script = "genesys", scripts_dir = SCRIPTS, params = { fault = "gzipp" } }
  t.equal(result.exit, 2)
  t.match(result.message, "fault 'gzipp'")
end)
