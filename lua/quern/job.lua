--- Jobs: a request that the API carries out in its own time. It is submitted, asked how it goes, and its results are then
--- walked by the query's pager.
---
---     job = quern.job {
---       id       = "$.jobId",                                           -- in the answer to `request`, which submits
---       poll     = function(id) return { path = "/jobs/" .. id } end,
---       state    = "$.status", complete = { "complete" }, failed = { "failed" }, message = "$.message",
---       results  = function(id) return { path = "/jobs/" .. id .. "/results" } end,
---       cancel   = function(id) return { method = "DELETE", path = "/jobs/" .. id } end,
---     }
---
--- A submission must not be sent twice blindly: it is repeated as it was only if it surely never arrived or was refused. If nobody
--- knows whether it arrived, a new job is submitted instead, at most `resubmit` times. Rows are read from the job whose
--- id came back, so that none comes twice; what is lost is the API's work on a job that nobody reads.
---
--- A state that is in neither list means that the job still runs. A webhook (`--listen`) is a hint: it shortens the next wait.
local errors = require "quern.core.error"
local event = require "quern.core.event"
local task = require "quern.core.task"
local view = require "quern.core.view"
local options = require "quern.options"
local param = require "quern.param"

local M = {}

---@class quern.Job
local Job = {}
Job.__index = Job
Job.__name = "quern.job"

local CANCEL_MS = 5000
local FIRST_PAUSE_MS = 1000 -- before a submission of unknown fate is made anew; doubles

local function duration(value, where, level)
  local ms = type(value) == "string" and param.duration_ms(value)
  if not ms then error(("%s: '%s' is not a duration such as \"2s\""):format(where, tostring(value)), level) end
  return ms
end

local function set_of(where, list)
  local set = {}
  for _, state in ipairs(list) do
    if type(state) ~= "string" then error(("quern.job: %s must be a list of texts"):format(where), 4) end
    set[state] = true
  end
  if not next(set) then error(("quern.job: %s must name at least one state"):format(where), 4) end
  return set
end

---@class quern.JobOptions
---@field id string  JSONPath of the job's id in the answer to the submission
---@field poll fun(id: string, p: table): quern.Request  asks how it goes
---@field state string  JSONPath of the state in its answer
---@field complete string[]  the states of a job whose results are there
---@field failed? string[]  the states of one that has failed
---@field message? string  JSONPath of the reason of a failure
---@field results fun(id: string, p: table): quern.Request  the first request for the results
---@field cancel? fun(id: string, p: table): quern.Request  ends a job early: sent when the run ends before it or gives it up
---@field webhook? { set: fun(request: table, url: string), url?: string|table }  for APIs that call when a job is done; `set`: puts the URL to
---  be called into the submission; `url`: such as quern.env "NAME", where `--listen` is reached from outside, or somebody else's address
---@field every? string|fun(p: table): string  wait between two polls
---@field growth? number  what each wait is longer than the one before, as a factor
---@field cap? string  the longest wait
---@field polls? integer|fun(p: table): integer  how many at most; no bound when absent
---@field deadline? string  how long the job may take
---@field resubmit? integer  new submissions after one of which nobody knows whether it arrived

--- Defines a job; sends nothing.
---@param opts quern.JobOptions
---@return quern.Job
function M.new(opts)
  local job = options.check("quern.job", opts, {
    id = { type = "string", required = true }, poll = { type = "function", required = true },
    state = { type = "string", required = true }, complete = { type = "table", required = true },
    failed = { type = "table", default = {} }, message = "string",
    results = { type = "function", required = true }, cancel = "function", webhook = "table",
    every = { type = "string|function", default = "2s" }, growth = { type = "number", default = 1.5 },
    cap = { type = "string", default = "30s" }, polls = "integer|function",
    deadline = { type = "string", default = "1h" }, resubmit = { type = "integer", default = 2 },
  })
  if job.webhook then
    job.webhook = options.check("quern.job webhook", job.webhook, { set = { type = "function", required = true }, url = "string|table" })
  end
  if job.growth < 1 then error("quern.job: growth must be at least 1", 2) end
  job.complete = set_of("complete", job.complete)
  job.failed = #job.failed > 0 and set_of("failed", job.failed) or {}
  job.cap_ms = duration(job.cap, "quern.job: cap", 3)
  job.deadline_ms = duration(job.deadline, "quern.job: deadline", 3)
  if type(job.every) == "string" then duration(job.every, "quern.job: every", 3) end
  job.paths = { id = view.path(job.id), state = view.path(job.state), message = job.message and view.path(job.message) }
  return setmetatable(job, Job)
end

--- Was it made by quern.job?
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Job
end

local function resolved(value, p)
  if type(value) == "function" then return value(p) end
  return value
end

-- What the paths select in an answer, as texts; nil, err when the answer is no JSON or lacks the first of them.
local function read(response, needed, path, optional)
  local root, err = response:view()
  if not view.is_view(root) then return nil, errors.new("body", err and tostring(err) or "the answer is no JSON object") end
  local value = path:one(root)
  if type(value) ~= "string" and math.type(value) ~= "integer" then
    return nil, errors.new("body", ("the answer has no %s"):format(needed))
  end
  local more = optional and optional:one(root)
  return { value = tostring(value), more = type(more) == "string" and more or nil }
end

-- ---- a job under way ----

---@class quern.JobHandle
---@field id string  what the API calls it
---@field open boolean  the API may still be working on it
local Handle = {}
Handle.__index = Handle
Handle.__name = "quern.job_handle"

-- Sends the submission once: the id, or nil, err. `err.unclear`: nobody knows whether it arrived.
local function submit_once(self, api, request, context)
  local copy = {}
  for key, value in pairs(request) do copy[key] = value end
  copy.safe = false
  local response, err = api:send(copy, {
    leaf = context.leaf, accept = function(answer) return read(answer, "job id at " .. self.id, self.paths.id) end,
  })
  if not response then return nil, err end
  return response.accepted.value
end

local function submit(self, api, request, context)
  local pause_ms = FIRST_PAUSE_MS
  for again = 0, self.resubmit do
    local id, err = submit_once(self, api, request, context)
    if id then return id end
    if not err.unclear or again == self.resubmit then
      if err.unclear and err.status == 504 then err.kind = "split" end
      return nil, err
    end
    event.emit { type = "restart", leaf = context.leaf, reason = "nobody knows whether the job was submitted; another is: " .. tostring(err.message) }
    task.sleep(pause_ms)
    pause_ms = pause_ms * 2
  end
end

--- Submits. Waits.
---@async
---@param api quern.Client
---@param request quern.Request  the submission
---@param context? { params?: table, leaf?: string, hook?: table }  `params`: for `poll` and the others; `leaf`: for events; `hook`: a
---  webhook's path
---@return quern.JobHandle? handle
---@return table? err  `err.unclear`: nobody knows whether the submission arrived
function Job:start(api, request, context)
  context = context or {}
  local id, err = submit(self, api, request, context)
  if not id then return nil, err end
  event.emit { type = "job_submitted", leaf = context.leaf, job = id }
  return setmetatable({ id = id, open = true, job = self, api = api, leaf = context.leaf, params = context.params or {},
                        hook = context.hook, started_ms = task.now(), paused_ms = api:paused_ms() }, Handle)
end

local function poll(self)
  local job = self.job
  local response, err = self.api:send(job.poll(self.id, self.params), {
    leaf = self.leaf,
    accept = function(answer) return read(answer, "state of the job at " .. job.state, job.paths.state, job.paths.message) end,
  })
  if not response then return nil, err end
  local state = response.accepted
  event.emit { type = "job_polled", leaf = self.leaf, job = self.id, status = state.value }
  return state
end

local function failed(self, message)
  self:cancel()
  event.emit { type = "job_failed", leaf = self.leaf, job = self.id, message = message }
  return nil, errors.new("job", message)
end

-- Waits before the next poll. A call of the webhook ends the wait, but not twice in a row: who calls it is not trusted.
local function pause(self, ms)
  local hook = self.hook
  if not hook or self.hinted then
    self.hinted = false
    task.sleep(ms)
    return
  end
  self.hinted = hook:wait(ms)
end

-- How long the job has been under way; what the API was not available is not its fault.
local function passed(self)
  return task.now() - self.started_ms - (self.api:paused_ms() - self.paused_ms)
end

-- Why the job has had its time, or nil.
local function overdue(self, polls, most)
  local passed_ms = passed(self)
  if most and polls >= most then
    return ("job %s was not complete after %d polls (%d s)"):format(self.id, polls, passed_ms // 1000)
  elseif passed_ms >= self.job.deadline_ms then
    return ("job %s was not complete after %s"):format(self.id, self.job.deadline)
  end
end

--- Waits until the job is complete.
---@async
---@return boolean? ok
---@return table? err  kind "job": it failed (its message), or took too long
function Handle:wait()
  local job = self.job
  local polls, most = 0, resolved(job.polls, self.params)
  local pause_ms = duration(resolved(job.every, self.params), "quern.job: every", 2)
  while true do
    local state, err = poll(self)
    if not state then return nil, err end
    if job.complete[state.value] then
      self.open = false
      event.emit { type = "job_finished", leaf = self.leaf, job = self.id, ms = task.now() - self.started_ms }
      return true
    elseif job.failed[state.value] then
      self.open = false
      return failed(self, ("job %s %s%s"):format(self.id, state.value, state.more and ": " .. state.more or ""))
    end
    if not self.hinted then polls = polls + 1 end
    local late = overdue(self, polls, most)
    if late then return failed(self, ("%s; its state is '%s'"):format(late, state.value)) end
    pause(self, math.min(pause_ms, math.max(job.deadline_ms - passed(self), 0)))
    pause_ms = math.min(math.floor(pause_ms * job.growth), math.max(job.cap_ms, pause_ms))
  end
end

--- The first request for the results.
---@return table
function Handle:results()
  return self.job.results(self.id, self.params)
end

--- Tells the API that nobody waits for the job any more. Waits, at most 5 s; what the API says to it does not matter.
---@async
function Handle:cancel()
  if not self.open then return end
  self.open = false
  if not self.job.cancel then return end
  local over = task.event()
  local child = task.spawn(function()
    local ok, response = pcall(self.api.send, self.api, self.job.cancel(self.id, self.params), { leaf = self.leaf })
    event.emit { type = "job_cancelled", leaf = self.leaf, job = self.id, ok = ok and response ~= nil }
    over:set()
  end)
  if child:status() ~= "done" and not over:wait(CANCEL_MS) then child:cancel() end
end

return M
