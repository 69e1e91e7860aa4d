-- --audit: what stands in the file, line by line, and what becomes of a run whose audit cannot be written.
local t = require "harness"
local helpers = require "api"
local files = require "quern.core.files"
local fingerprint = require "quern.fingerprint"
local json = require "quern.core.json"
local main = require "quern.main"
local secrets = require "quern.core.secret"

local answer, fault = helpers.answer, helpers.fault

local function write(name, text)
  local path = t.path(name)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

local SCRIPT = [[
local quern = require "quern"
return quern.query {
  name = "audited", params = { from = quern.param.time {}, to = quern.param.time {} },
  client = { base_url = "http://api.test/v1", retry = { jitter = false, attempts = 2 },
             auth = quern.auth.client_credentials { token_url = "http://api.test/token", id = "me", secret = quern.secret.env "AUDIT_SECRET" } },
  chunk = quern.chunk.by_time { size = "P1D", floor = "PT12H", grain = "PT1S" },
  request = function(_, c) return { path = "/q", json = { from = c.from, to = c.to }, headers = { ["X-Now"] = tostring(c.from.ms) } } end,
  records = "$.items[*]", columns = { { "id", "$.id" } },
}
]]

local function run(days, serve, opts)
  t.setenv("AUDIT_SECRET", "hush-hush")
  t.serve(function(request)
    if request.url:find "/token$" then
      return { status = 200, body = '{"access_token":"token-hush","expires_in":3600}', after_ms = 50, headers = { { "X-Request-Id", "t-1" } } }
    end
    return serve(request)
  end)
  local audit, output = t.path "audit.jsonl", t.path "rows.ndjson"
  os.remove(audit)
  local script = write("audited.lua", opts and opts.source or SCRIPT)
  local call = { script = script, output = output, workers = 1, concurrency = 1, audit = audit, run_id = "r1",
                 params = { from = "2024-01-01", to = ("2024-01-%02d"):format(days + 1) } }
  for key, value in pairs(opts or {}) do call[key] = value end
  local result = main.run(call)
  local lines = {}
  for line in (files.read(call.audit) or ""):gmatch "[^\n]+" do lines[#lines + 1] = json.decode(line) or line end
  local published = os.remove(output)
  os.remove(audit)
  os.remove(script)
  if result.partial then os.remove(result.partial) end
  return result, lines, published
end

local function names(lines)
  local list = {}
  for index, line in ipairs(lines) do list[index] = line.event end
  return list
end

local function two_items() return answer(200, '{"items":[{"id":"a"},{"id":"b"}]}', { { "Inin-Correlation-Id", "c-1" } }) end

t.test("a whole run: each leaf and each request, with ids, counts and hashes", function()
  local result, lines = run(2, two_items)
  t.equal(result.exit, 0)
  t.same(names(lines), { "query_submitted", "request", "request", "query_completed", "query_submitted", "request", "query_completed" })
  for _, line in ipairs(lines) do
    t.match(line.timestamp, "^2024%-01%-01T00:00:00%.%d%d%dZ$")
    t.equal(line.run, "r1")
    t.equal(line.query, "audited")
    for _, name in ipairs { "leaf", "status", "latency_ms", "result_count", "correlation_id", "query_hash" } do t.ok(line[name] ~= nil) end
  end
  local token, request, completed = lines[2], lines[3], lines[4]
  t.equal(token.url, "http://api.test/token")
  t.equal(token.leaf, json.null)
  t.equal(token.latency_ms, 50)
  t.equal(token.correlation_id, "t-1")
  t.equal(token.query_hash, json.null)
  t.equal(request.method, "POST")
  t.equal(request.url, "http://api.test/v1/q")
  t.equal(request.status, 200)
  t.equal(request.result_count, 2)
  t.equal(request.correlation_id, "c-1")
  t.equal(completed.status, "success")
  t.equal(completed.result_count, 2)
  t.equal(completed.latency_ms, 50)
  t.equal(completed.correlation_id, "c-1")
  t.equal(completed.query_hash, lines[1].query_hash)
  t.match(completed.query_hash, "^%x+$")
  t.equal(#completed.query_hash, 64)
  t.ok(lines[5].query_hash ~= completed.query_hash)
  t.equal(lines[1].latency_ms, json.null)
end)

t.test("the hashes of a second run are those of the first, and no line holds a secret", function()
  local _, first = run(2, two_items)
  local _, second = run(2, function(request)
    return answer(request.url:find "q" and 200, '{"items":[]}', { { "X-Correlation-Id", "hush-hush token-hush aHVzaC1odXNo" } })
  end)
  for index = 1, #first do t.equal(second[index].query_hash, first[index].query_hash) end
  t.equal(second[3].correlation_id, "[redacted] [redacted] [redacted]")
end)

t.test("faults: failed, split and incomplete leaves say why", function()
  local result, lines = run(2, function(request)
    if request.body:find '"from":"2024%-01%-02T00:00:00.000Z","to":"2024%-01%-03' then return answer(413, '{"message":"range too large"}') end
    if request.body:find '"from":"2024%-01%-02T00' then return answer(404, '{"message":"gone","contextId":"ctx"}') end
    if request.body:find '"from":"2024%-01%-02T12' then return fault "reset" end
    return two_items()
  end)
  t.equal(result.exit, 3)
  t.same(names(lines), { "query_submitted", "request", "request", "query_completed", "query_submitted", "request", "query_split",
                         "query_submitted", "request", "query_failed", "query_submitted", "request", "request", "query_failed" })
  local split, refused, gone, reset = lines[7], lines[9], lines[10], lines[12]
  t.match(split.message, "range too large")
  t.equal(#split.into, 2)
  t.equal(refused.status, 404)
  t.match(refused.message, "answered 404: gone")
  t.equal(gone.status, "http_404")
  t.equal(gone.correlation_id, "ctx")
  t.match(gone.message, "gone")
  t.equal(reset.status, "reset")
  t.equal(lines[13].attempt, 2)
  t.equal(lines[14].status, "network")
end)

t.test("an error that ends the run is told of its leaf, and the leaves it cancelled are told, too", function()
  local result, lines = run(3, function(request)
    if request.body:find '"from":"2024%-01%-02' then return { status = 403, body = '{"message":"no scope"}', after_ms = 100 } end
    return { status = 200, body = '{"items":[]}', after_ms = 5000 }
  end, { concurrency = 3 })
  t.equal(result.exit, 4)
  local ends = {}
  for _, line in ipairs(lines) do
    if line.event == "query_failed" then ends[#ends + 1] = line.status end
  end
  table.sort(ends)
  t.same(ends, { "cancelled", "cancelled", "http_403" })
  local cancelled = 0
  for _, line in ipairs(lines) do cancelled = cancelled + (line.event == "request" and line.status == "cancelled" and 1 or 0) end
  t.equal(cancelled, 2)
  t.equal(t.events()[#t.events()].type, "run_finished")
end)

local JOB_SCRIPT = [[
local quern = require "quern"
return quern.query {
  name = "audited", params = { from = quern.param.time {}, to = quern.param.time {} }, client = { base_url = "http://api.test/v1" },
  request = function() return { path = "/submit", json = { q = 1 } } end,
  job = quern.job {
    id = "$.id", state = "$.state", complete = { "done" }, failed = { "failed" }, message = "$.why",
    poll = function(id) return { path = "/jobs/" .. id } end, results = function(id) return { path = "/results/" .. id } end,
    webhook = { url = "http://hook.test/%s", set = function(request, url) request.json.callback = url end },
  },
  records = "$.items[*]", columns = { { "id", "$.id" } },
}
]]

local function job_server(state)
  return function(request)
    if request.url:find "/submit" then return { status = 202, body = '{"id":"j1"}', after_ms = 1000 } end
    if request.url:find "/jobs/" then return { status = 200, body = ('{"state":"%s","why":"no index"}'):format(state), after_ms = 500 } end
    return two_items()
  end
end

t.test("a job: submitted when it was accepted; its failure is told; its webhook is not part of the hash", function()
  local result, lines = run(1, job_server "done", { source = JOB_SCRIPT:format "a" })
  t.equal(result.exit, 0)
  t.same(names(lines), { "request", "query_submitted", "request", "request", "query_completed" })
  t.equal(lines[2].job, "j1")
  t.equal(lines[5].latency_ms, 500)
  t.equal(lines[5].result_count, 2)
  local failed, other = run(1, job_server "failed", { source = JOB_SCRIPT:format "another" })
  t.equal(failed.exit, 1)
  t.same(names(other), { "request", "query_submitted", "request", "query_job_failed", "query_failed" })
  t.match(other[4].message, "job j1 failed: no index")
  t.equal(other[4].job, "j1")
  t.equal(other[5].status, "job")
  t.equal(other[2].query_hash, lines[2].query_hash)
end)

t.test("a file that cannot be opened is a usage error, before anything is sent", function()
  local result = run(1, two_items, { audit = "/no/such/folder/audit.jsonl" })
  t.equal(result.exit, 2)
  t.match(result.message, "%-%-audit /no/such/folder/audit.jsonl: No such file or directory")
  t.equal(#t.requests, 0)
end)

t.test("a line that cannot be written fails the run; nothing is published", function()
  local result, _, published = run(2, two_items, { audit = "/dev/full" })
  t.equal(result.exit, 1)
  t.match(result.message, "the audit cannot be written to /dev/full: No space left on device")
  t.equal(published, nil)
  t.ok(#t.requests <= 1) -- the one that was on its way
end)

t.test("lines are added at the end, after a last line that was cut", function()
  local path = write("old.jsonl", '{"event":"old"}\n{"event":"cu')
  local _, lines = run(1, function() return two_items() end, { audit = path })
  os.remove(path)
  t.equal(#lines, 6)
  t.equal(lines[1].event, "old")
  t.equal(lines[2], '{"event":"cu')
  t.equal(lines[6].event, "query_completed")
end)

t.test("the fingerprint of a request: what it asks, in one form", function()
  local text = fingerprint.text { url = "https://a.test/x/y?b=2&a=%20", query = { c = { 1, 2 }, a = true } }
  t.equal(text, '{"method":"GET","path":"/x/y","query":[["a"," "],["a","true"],["b","2"],["c","1"],["c","2"]]}')
  t.equal(fingerprint.of { path = "/x", json = { b = 1, a = {} } }, fingerprint.of { path = "x", method = "POST", json = { a = {}, b = 1 } })
  t.equal(fingerprint.text { path = "/x", form = { b = "2", a = secrets.new "hush-hush" } },
    '{"body":[["a","[secret]"],["b","2"]],"method":"POST","path":"/x","query":[]}')
  t.ok(fingerprint.of { path = "/x", json = { 1 } } ~= fingerprint.of { path = "/x", json = { 2 } })
  t.equal(fingerprint.of { path = "/x", json = { secrets.new "one-secret" } }, fingerprint.of { path = "/x", json = { secrets.new "another" } })
  t.equal(fingerprint.of { path = "/x", json = { 0 / 0 } }, nil)
end)
