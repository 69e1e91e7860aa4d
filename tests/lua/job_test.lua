-- Jobs in virtual time: submission, polls, webhooks, failures, cancellation, and whole runs that walk a job's results.
local t = require "harness"
local helpers = require "api"
local json = require "quern.json"
local quern = require "quern"
local http = require "quern.http"
local chunk = require "quern.chunk"
local errors = require "quern.core.error"
local farewell = require "quern.farewell"
local run = require "quern.run"
local task = require "quern.core.task"

local answer, fault = helpers.answer, helpers.fault

local function job(changes)
  local spec = {
    id = "$.jobId", state = "$.status", complete = { "complete" }, failed = { "failed" }, message = "$.message",
    poll = function(id) return { path = "/jobs/" .. id } end,
    results = function(id) return { path = "/results/" .. id } end,
    cancel = function(id) return { method = "DELETE", path = "/jobs/" .. id } end,
    every = "2s", growth = 1,
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return quern.job(spec)
end

-- A server of jobs. `states`: answers of the polls one after another, the last repeats; `submits`, `results`: answers likewise.
local function serve(script)
  local at = { submit = 0, poll = 0, results = 0 }
  local function turn(kind, list)
    at[kind] = at[kind] + 1
    local item = list[math.min(at[kind], #list)]
    return type(item) == "string" and answer(200, item) or item
  end
  t.serve(function(request)
    local path = request.url:match "/v1(/[^?]*)" or request.url:match "api%.test(/[^?]*)"
    if request.method == "POST" then return turn("submit", script.submits or { ('{"jobId":"j%d"}'):format(at.submit + 1) }) end
    if request.method == "DELETE" then return answer(204, "") end
    if path:find "^/jobs/" then return turn("poll", script.states or { '{"status":"complete"}' }) end
    return turn("results", script.results or { '{"items":[]}' })
  end)
  return at
end

local function running(n, last)
  local list = {}
  for index = 1, n do list[index] = '{"status":"running"}' end
  list[n + 1] = last or '{"status":"complete"}'
  return list
end

local SUBMIT = { method = "POST", path = "/query", json = { a = 1 } }

local function start(definition, script, context)
  local at = serve(script or {})
  local handle, err = definition:start(helpers.client(), SUBMIT, context)
  return handle, err, at
end

t.test("a job is submitted, polled until it is complete, and tells where its results are", function()
  local handle = assert(start(job(), { states = running(2) }))
  t.equal(handle.id, "j1")
  t.ok(handle:wait())
  t.same(t.instants(), { 0, 0, 2000, 4000 })
  t.equal(handle:results().path, "/results/j1")
  t.equal(#t.events "job_polled", 3)
  t.equal(t.events("job_finished")[1].ms, 4000)
end)

t.test("pauses grow up to their cap", function()
  local handle = assert(start(job { every = "1s", growth = 2, cap = "5s" }, { states = running(5) }))
  t.ok(handle:wait())
  t.same(t.instants(), { 0, 0, 1000, 3000, 7000, 12000, 17000 })
end)

t.test("thirty polls and no more, and the job is cancelled", function()
  local handle = assert(start(job { polls = 30 }, { states = { '{"status":"thinking"}' } }))
  local ok, err = handle:wait()
  t.equal(ok, nil)
  t.equal(err.kind, "job")
  t.match(err.message, "job j1 was not complete after 30 polls %(58 s%); its state is 'thinking'")
  t.equal(#t.requests, 1 + 30 + 1)
  t.equal(t.requests[32].method, "DELETE")
end)

t.test("the deadline ends a job, too", function()
  local handle = assert(start(job { deadline = "5s" }, { states = { '{"status":"running"}' } }))
  local _, err = handle:wait()
  t.match(err.message, "not complete after 5s")
  t.equal(t.now(), 5000)
end)

t.test("a failed job gives its message", function()
  local handle = assert(start(job(), { states = running(1, '{"status":"failed","message":"the index is gone"}') }))
  local _, err = handle:wait()
  t.match(err.message, "job j1 failed: the index is gone")
  t.equal(#t.requests, 3) -- nothing is cancelled that has ended
end)

t.test("a poll that is answered with rubbish is asked again", function()
  local handle = assert(start(job(), { states = { "{}", answer(502), '{"status":"complete"}' } }))
  t.ok(handle:wait())
end)

t.test("a job id may be a number", function()
  local handle = assert(start(job(), { submits = { '{"jobId":17}' } }))
  t.equal(handle.id, "17")
end)

t.test("a submission that surely did not arrive is repeated, one of unknown fate is made anew", function()
  local handle, _, at = start(job(), { submits = { answer(429, "{}", { { "Retry-After", "3" } }), '{"jobId":"j"}' } })
  t.equal(handle.id, "j")
  t.equal(#t.events "restart", 0)
  t.equal(at.submit, 2)
  handle, _, at = start(job(), { submits = { fault "reset", answer(200, '{"jobId":'), '{"jobId":"k"}' } })
  t.equal(handle.id, "k")
  t.equal(at.submit, 3)
  t.equal(#t.events "restart", 2)
end)

t.test("... but no more than resubmit says", function()
  local _, err, at = start(job { resubmit = 0 }, { submits = { fault "reset" } })
  t.equal(at.submit, 1)
  t.equal(err.unclear, true)
  _, err, at = start(job(), { submits = { answer(502) } })
  t.equal(at.submit, 3)
  t.equal(err.status, 502)
  _, err = start(job(), { submits = { answer(504) } })
  t.equal(err.kind, "split")
end)

t.test("a submission that is refused is told", function()
  local _, err = start(job(), { submits = { answer(400, '{"message":"no such dimension"}') } })
  t.equal(err.exit, 5)
  t.match(err.message, "no such dimension")
end)

t.test("a webhook shortens the next wait, once in a row, and counts as no poll", function()
  local hook = { wait = function(self, ms)
    self.waits = (self.waits or 0) + 1
    task.sleep(math.min(ms, 100))
    return true
  end }
  local handle = assert(start(job { polls = 3 }, { states = running(4) }, { hook = hook }))
  t.ok(handle:wait())
  t.same(t.instants(), { 0, 0, 100, 2100, 2200, 4200 })
end)

t.test("misuse is told where it is", function()
  t.raises(function() job { every = "often" } end, "every: 'often' is not a duration")
  t.raises(function() job { complete = {} } end, "complete must name at least one state")
  t.raises(function() job { growth = 0.5 } end, "growth must be at least 1")
  t.raises(function() job { pol = 1 } end, "has no option 'pol'; did you mean 'poll'")
end)

-- ---- whole runs ----

local function query(changes)
  local spec = {
    name = "search", client = { base_url = "http://api.test", retry = { jitter = false } },
    request = function() return { path = "/query", json = { q = 1 } } end,
    job = job(), pages = quern.pages.cursor { path = "$.next", name = "cursor" },
    records = "$.items[*]", key = "$.id", columns = { { "id", "$.id" } },
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return quern.query(spec)
end

local function execute(definition, opts, completeness)
  local output = t.path "job.csv"
  local options = { run_id = "test", output = output, workers = 1 }
  for key, value in pairs(opts or {}) do options[key] = value end
  local summary = assert(run.execute({
    query = definition, params = {}, client = assert(http.client(definition.client)), format = "csv", now_ms = 0,
    cut = chunk.bind(definition.chunk, {}), completeness = completeness,
  }, options))
  local file = io.open(output, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  os.remove(output)
  if summary.partial then os.remove(summary.partial) end
  return summary, text
end

local PAGES = { '{"items":[{"id":1},{"id":2}],"next":"a/b+c="}', '{"items":[{"id":3}]}' }

t.test("a run walks the results of its job; the cursor is encoded", function()
  serve { states = running(1), results = PAGES }
  local summary, text = execute(query())
  t.equal(summary.exit, 0)
  t.equal(text, "id\r\n1\r\n2\r\n3\r\n")
  t.match(t.requests[5].url, "/results/j1%?cursor=a%%2Fb%%2Bc%%3D$")
end)

t.test("a cursor that is refused restarts the job once, and no row comes twice", function()
  serve { results = { PAGES[1], answer(400, '{"message":"bad request"}'), PAGES[1], PAGES[2] } }
  local summary, text = execute(query())
  t.equal(summary.exit, 0)
  t.equal(text, "id\r\n1\r\n2\r\n3\r\n")
  t.equal(summary.restarts, 1)
  t.equal(#t.events "job_submitted", 2)
end)

t.test("... the second time it is a hole", function()
  serve { results = { PAGES[1], answer(400), PAGES[1], answer(400) } }
  local summary = execute(query())
  t.equal(summary.exit, 1)
end)

t.test("a 400 to the first page of the results is the query's mistake", function()
  serve { results = { answer(400, '{"message":"pageSize"}') } }
  t.equal(execute(query()).exit, 5)
end)

t.test("the message of a failed job is that of the run", function()
  serve { states = { '{"status":"failed","message":"too many segments"}' } }
  local summary, text = execute(query())
  t.equal(summary.exit, 1)
  t.match(summary.message, "too many segments")
  t.equal(text, nil)
end)

t.test("a run that ends early cancels its job", function()
  serve { states = { '{"status":"running"}' } }
  local runner = task.spawn(function() return execute(query()) end)
  task.sleep(5000)
  runner:cancel(errors.new("interrupted", "interrupted"))
  runner:join()
  farewell.run()
  t.equal(t.requests[#t.requests].method, "DELETE")
  t.equal(#t.events "job_cancelled", 1)
end)

t.test("fewer records than expected make the run incomplete", function()
  serve { results = PAGES }
  local summary = execute(query(), nil, { expected = 4, accuracy = 0.95 })
  t.equal(summary.exit, 3)
  t.match(summary.message, "3 of 4 expected records came %(75.0 %%%), fewer than the accuracy 0.95 asks for")
  t.equal(summary.accuracy, 0.75)
  serve { results = PAGES }
  t.equal(execute(query(), nil, { expected = 4, accuracy = 0.75 }).exit, 0)
  serve { results = PAGES }
  t.equal(execute(query(), { accept_incomplete = true }, { expected = 4, accuracy = 1 }).exit, 3)
end)

t.test("the hash of a request does not know the webhook", function()
  local asked
  local definition = query { job = job { webhook = { url = "https://hooks.test/x", set = function(request, url)
    request.json.hook, asked = url, url
  end } } }
  serve { results = PAGES }
  t.equal(execute(definition).exit, 0)
  t.equal(asked, "https://hooks.test/x")
  t.equal(json.decode(t.requests[1].body).hook, "https://hooks.test/x")
end)
