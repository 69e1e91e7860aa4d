--- The audit file (`--audit FILE`): one JSON line for what was asked of the API and what came of it, added to the end of the file.
---
--- It reads the event stream and decides nothing, but one thing: when a line cannot be written the run fails, because what has
--- happened must not go unrecorded. Secrets are redacted by the file.
local errors = require "quern.core.error"
local files = require "quern.core.files"
local json = require "quern.core.json"
local task = require "quern.core.task"
local events = require "quern.events"

local M = {}

---@class quern.Audit
local Audit = {}
Audit.__index = Audit
Audit.__name = "quern.audit"

-- "http_503" where the API answered, else the kind of the error.
local function failure_status(event)
  return event.status and ("http_%d"):format(event.status) or event.kind or "failed"
end

local function submitted(audit, event)
  audit.submitted[event.leaf or ""] = task.now()
  return { event = "query_submitted", status = "submitted", job = event.job }
end

-- Milliseconds since a leaf was submitted, which ends here.
local function latency(audit, event)
  local since = audit.submitted[event.leaf or ""]
  audit.submitted[event.leaf or ""] = nil
  return since and task.now() - since
end

-- What each event of the run is in the audit; nothing: it is not part of it.
local LINES = {
  run_started = function(audit, event) -- of a query inside a program: its leaves begin with the tag
    if event.tag then audit.inner[event.tag] = { run = event.run, query = event.query } end
  end,
  leaf_started = function(audit, event)
    audit.hashes[event.leaf], audit.correlations[event.leaf] = event.hash, nil
    if not event.job then return submitted(audit, event) end -- else its job is what is submitted
  end,
  job_submitted = submitted,
  leaf_whole = function(audit, event)
    return { event = "query_completed", status = event.reason and "incomplete" or "success", latency_ms = latency(audit, event),
             result_count = event.records, message = event.reason, pages = event.pages }
  end,
  leaf_failed = function(audit, event)
    return { event = "query_failed", status = failure_status(event), latency_ms = latency(audit, event), kind = event.kind,
             message = event.message }
  end,
  split = function(audit, event)
    return { event = "query_split", status = "split", latency_ms = latency(audit, event), into = event.into, message = event.reason }
  end,
  restart = function(_, event)
    return { event = "query_restarted", status = "restarted", message = event.reason }
  end,
  job_failed = function(audit, event)
    local since = audit.submitted[event.leaf or ""]
    return { event = "query_job_failed", status = "failed", latency_ms = since and task.now() - since, job = event.job,
             message = event.message }
  end,
  request = function(audit, event)
    if event.leaf then audit.correlations[event.leaf] = event.correlation end
    return { event = "request", status = event.status or event.kind, latency_ms = event.ms, result_count = event.records,
             method = event.method, url = event.url, attempt = event.attempt, bytes = event.bytes, message = event.error,
             correlation_id = event.correlation }
  end,
}

local TYPES = {}
for name in pairs(LINES) do TYPES[#TYPES + 1] = name end

local ENDS = { leaf_whole = true, leaf_failed = true, split = true } -- nothing of the leaf is needed any more

-- Members that each line has; null where there is nothing to say.
local ALWAYS = { "run", "query", "leaf", "status", "latency_ms", "result_count", "correlation_id", "query_hash" }

local function line_of(audit, event)
  local line = LINES[event.type](audit, event)
  if not line then return nil end
  local of = event.leaf and audit.inner[event.leaf:match "^(.-#%d+) "] or audit
  line.timestamp, line.run, line.query, line.leaf = event.time, of.run, of.query, event.leaf
  line.query_hash = event.leaf and audit.hashes[event.leaf]
  line.correlation_id = line.correlation_id or event.leaf and audit.correlations[event.leaf]
  for _, name in ipairs(ALWAYS) do
    if line[name] == nil then line[name] = json.null end
  end
  if ENDS[event.type] then audit.hashes[event.leaf], audit.correlations[event.leaf] = nil, nil end
  return json.encode(line)
end

local function write(audit, event)
  if audit.failure then return end
  local made, line = pcall(line_of, audit, event)
  local ok, problem = made, line
  if made and line then ok, problem = audit.lines:write(line) end
  if not ok then audit:fail(problem) end
end

--- Opens the file and begins to write, until the Lua state is closed: what is cancelled at the very end is recorded, too. A new file
--- can be read by its owner only.
---@param path string
---@param about { run: string, query: string? }  what each line says of the run
---@return quern.Audit? audit
---@return table? err  kind "usage", exit 2: the file cannot be opened
function M.open(path, about)
  local lines, problem = files.append(path)
  if not lines then return nil, errors.new("usage", ("--audit %s: %s"):format(path, tostring(problem)), { exit = 2 }) end
  local audit = setmetatable({ path = path, lines = lines, run = about.run, query = about.query,
                               inner = {}, submitted = {}, hashes = {}, correlations = {} }, Audit)
  events.subscribe(function(event) write(audit, event) end, { type = TYPES })
  return audit
end

function Audit:fail(problem)
  if self.failure then return end
  self.failure = errors.new("output", ("the audit cannot be written to %s: %s"):format(self.path, tostring(problem)), { exit = 1 })
  if self.on_failure then self.on_failure(self.failure) end
end

--- Makes sure that what was written is on the disk; the error of the first line that could not be written.
---@return table? failure
function Audit:settle()
  local ok, problem = self.lines:sync()
  if not ok then self:fail(problem) end
  return self.failure
end

return M
