--- interaction_search: a job. POST details/query with `x-genesys-async: true` submits it, GET .../jobs/ID looks at it, GET
--- .../results/ID reads what it found, page by page with a cursor, DELETE .../jobs/ID drops it. A webhook is called at its end.
local http = require "quern.http"
local log = require "quern.log"
local task = require "quern.task"
local validate = require "quern.validate"
local criteria = require "genesys.criteria"
local page = require "genesys.page"

local LONGEST_MS = 365 * 86400000
local SIZES = { name = "pageSize", min = 1, max = 10000 }
local LOOPBACK = { ["127.0.0.1"] = true, localhost = true, ["[::1]"] = true }

local M = {}

-- ---- the job's life

-- Only this machine is called: whoever may ask the emulator shall not make it ask others.
local function call(url, job)
  if not LOOPBACK[url:match "^http://([^/:%[]+)" or url:match "^http://(%[[%x:]+%])"] then
    return log.warn(("webhook %s is not called: the emulator calls this machine only"):format(url))
  end
  local client, err = http.client { base_url = url, retry = { attempts = 3, max_elapsed = "30s" } }
  local answer = client
  if client then answer, err = client:send { method = "POST", json = { jobId = job.id, status = job.status } } end
  if not answer then log.warn(("webhook %s: %s"):format(url, tostring(err))) end
end

-- What becomes of a job once it has been submitted.
local function work(job, job_ms)
  if job.stuck then return end
  task.sleep(job_ms / 1000)
  if job.status ~= "running" then return end
  job.status = job.failure and "failed" or "complete"
  if job.webhook then call(job.webhook, job) end
end

local function checked(ask)
  local headers, body = ask.request.headers, ask:json()
  if headers["x-genesys-async"] ~= "true" then ask:refuse(400, "the header x-genesys-async: true is missing") end
  if (headers["x-genesys-org-id"] or "") == "" then ask:refuse(400, "the header x-genesys-org-id is missing") end
  local from, to = ask:dates(body)
  if to - from > LONGEST_MS then ask:refuse(400, "the range is longer than 365 days") end
  ask:valid(validate.list(body.filterBy, { name = "filterBy" }) or validate.list(body.groupBy, { name = "groupBy", min = 1, max = 3 })
    or validate.integer(body.pageSize, SIZES))
  if body.webhookUrl ~= nil and type(body.webhookUrl) ~= "string" then ask:refuse(400, "webhookUrl must be a text") end
  return { from = from, to = to, wanted = criteria.all(ask, body.filterBy), webhook = body.webhookUrl }
end

--- POST details/query: 202 with the job's id.
function M.submit(ask)
  ask:token_by "form"
  local api, job = ask.api, checked(ask)
  api.jobs_made = api.jobs_made + 1
  job.id = ("job-%d-%d"):format(api.p.seed, api.jobs_made)
  job.status, job.generation = "running", 1
  job.stuck = ask:meets "job_stuck" ~= nil
  job.failure = ask:meets "job_failed"
  api.jobs:put(job.id, job)
  return { status = 202, json = { jobId = job.id }, afterwards = function() work(job, api.p.job_ms) end }
end

local function job_of(ask)
  ask:token_by "form"
  local job = ask.api.jobs:get(ask.path:match "/([^/]+)$")
  if not job or job.status == "cancelled" then ask:refuse(404, "there is no such job") end
  return job
end

--- GET jobs/ID.
function M.poll(ask)
  local job = job_of(ask)
  local message = job.status == "failed" and (job.failure.message or "the job failed on demand") or nil
  return { status = 200, json = { jobId = job.id, status = job.status, message = message } }
end

--- DELETE jobs/ID.
function M.cancel(ask)
  job_of(ask).status = "cancelled"
  return { status = 204 }
end

-- ---- its results

-- Opaque to clients, and full of what a url query must encode.
local function cursor_text(job, at)
  return ("%d/%d+%s=&%%=="):format(job.generation, at, job.id)
end

-- How many records come before the page that a cursor leads to.
local function position(ask, job)
  local cursor = ask.query.nextPageCursor
  if not cursor then return 0 end
  if ask:meets "cursor_expired" then job.generation = job.generation + 1 end
  local generation, at = cursor:match "^(%d+)/(%d+)%+"
  at = math.tointeger(tonumber(at))
  if not at then ask:refuse(400, "nextPageCursor is not one of this job: was it encoded?") end
  if tonumber(generation) < job.generation then ask:refuse(400, "the cursor has expired") end
  if cursor ~= cursor_text(job, at) then ask:refuse(400, "nextPageCursor is not one of this job: was it encoded?") end
  return at
end

--- GET results/ID.
function M.results(ask)
  local job, data = job_of(ask), ask.api.data
  if job.status ~= "complete" then ask:refuse(400, "the job is %s; it has no results", job.status) end
  if not ask.query.pageSize then ask:refuse(400, "the url query lacks pageSize") end
  local size, at = ask:number("pageSize", nil, SIZES), position(ask, job)
  job.found = job.found or data:select(job.from, job.to, false, job.wanted)
  local last = math.min(at + size, #job.found)
  if last < #job.found and size > 1 then
    local short = ask:meets "short"
    if short then last = last - math.min(short.by or size // 2, size - 1) end
  end
  local items = {}
  for index = at + 1, last do items[#items + 1] = data:entity(job.found[index]) end
  return page.answer {
    list = "conversations", items = items, before = at > 0 and data:entity(job.found[at]) or nil,
    rest = { nextPageCursor = last < #job.found and cursor_text(job, last) or nil },
  }
end

return M
