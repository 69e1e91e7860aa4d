--- Programs: scripts that return a function, which asks the API as it likes and emits rows.
---
--- What a query's run does for its rows holds here, too: they go into a partial file, which gets its name when the function has returned;
--- an error or an interrupt leaves nothing.
local convert = require "quern.core.convert"
local core_run = require "quern.core.run"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local json = require "quern.core.json"
local task = require "quern.core.task"
local emit = require "quern.emit"
local events = require "quern.events"
local options = require "quern.options"
local output_of = require "quern.output"
local raised = require "quern.raised"

local M = {}

local FLUSH_MS = 250 -- rows are handed to the operating system at least so often
local PIPE_CLOSED = 141

-- ---- the output ----

---@class quern.ProgramOutput
local Output = {}
Output.__index = Output

-- The writer, once the names of the columns are known.
function Output:fix(names)
  if self.writer then return nil, "the names are fixed already, by quern.fields or by the first row" end
  local columns = {}
  for index, name in ipairs(names) do columns[index] = { name = name } end
  local plan = convert.plan { records = { "$" }, columns = columns, transform = true, format = self.format, csv_safe = self.csv_safe }
  local err
  self.writer, err = core_run.writer { plan = plan, sink = self.sink }
  if not self.writer then return nil, err end
  return true
end

local OF_THE_ROW = { script = true, invalid = true } -- kinds of errors of quern.core's writer that are the caller's

function Output:row(row)
  if not self.writer then
    for name in pairs(row) do
      if type(name) ~= "string" then return nil, ("a row's keys are names, not a %s"):format(type(name)) end
    end
    if next(row) == nil then return nil, "the first row has no value; give the names with quern.fields" end
    local ok, err = self:fix(options.names(row))
    if not ok then return nil, err end
  end
  local ok, err = self.writer:row(row)
  if not ok then return nil, OF_THE_ROW[err.kind] and tostring(err.message) or err end
  self.rows = self.rows + 1
  if not self.dirty then
    self.dirty = true
    self.changed:set()
  end
  return true
end

function Output:flush()
  self.dirty = false
  if not self.writer then return true end
  return self.writer:flush()
end

-- Hands over what was emitted while the program waits.
function Output:keep_flushed()
  while true do
    while not self.dirty do self.changed:wait() end
    task.sleep(FLUSH_MS)
    local ok, err = self:flush()
    if not ok then return self:on_failure(err) end
  end
end

-- ---- the run ----

local NOT_FOR_PROGRAMS = { plugins = "--plugin", listen = "--listen", rate = "--rate", accept_incomplete = "--accept-incomplete",
                           on_error = "--on-error", quarantine = "--quarantine", strict = "--strict" }

--- Checks what can be checked before the function is called.
---@param script quern.Script  its value is a function
---@param opts table  params, format, compress, output
---@return table? bound  name, script, args, format, compression
---@return table? err
function M.bind(script, opts)
  for _, name in ipairs(options.names(NOT_FOR_PROGRAMS)) do
    if opts[name] then
      return nil, errors.new("usage", ("%s is for queries; %s is a program (it returns a function)"):format(NOT_FOR_PROGRAMS[name], script.path),
        { exit = 2 })
    end
  end
  local name = script.path:match "([^/]+)$":gsub("%.lua$", "")
  local out, err = output_of.bind({ name = name }, opts)
  if not out then return nil, err end
  local args = {}
  for key, text in pairs(opts.params or {}) do args[key] = text end
  return { name = name, script = script, args = args, format = out.format, compression = out.compression, csv_safe = opts.csv_safe == true }
end

--- `quern plan` of a program.
---@param bound table
---@return table result
function M.describe(bound)
  local lines = { ("%s is a program: what it asks for is known when it runs"):format(bound.script.path) }
  for _, name in ipairs(options.names(bound.args)) do lines[#lines + 1] = ("  %s = %s"):format(name, tostring(bound.args[name])) end
  lines[#lines + 1] = ("rows as %s"):format(bound.format)
  return { exit = 0, text = table.concat(lines, "\n"), program = true }
end

-- Counts what the program's clients do, whichever they are.
local function count_requests()
  local counts = { requests = 0, retries = 0 }
  local subscription = events.subscribe(function(one)
    local name = one.type == "request" and "requests" or "retries"
    counts[name] = counts[name] + 1
  end, { type = { "request", "retry" } })
  return counts, subscription
end

-- Calls the function, and waits until it and its tasks have ended. Raises what ended it.
local function drive(bound, output, broken)
  local flusher = task.spawn(output.keep_flushed, output)
  local child = task.spawn(pcall, bound.script.value, bound.args)
  broken.end_program = function(err) child:cancel(err) end
  local joined, ok, value, problem = child:join()
  flusher:cancel()
  if broken.err then error(broken.err, 0) end
  if not joined then error(ok, 0) end
  if not ok then error(value, 0) end
  if value == nil and problem ~= nil then error(problem, 0) end
end

-- The end: exit status and message; the output is published, or nothing of it stays.
local function settle(output, failure)
  local ok, err = true, nil
  if not failure then ok, err = output:flush() end
  if not ok then failure = err end
  if failure then
    output.sink:close "discard"
  else
    ok, err = output.sink:close "publish"
    if not ok then failure = err end
  end
  if not failure then return 0 end
  if failure.kind == "interrupted" then return 130, "interrupted; run again to start over", failure end
  if failure.kind == "pipe" then return PIPE_CLOSED, nil, failure end
  if failure.kind == "deferred" then return 75, ("deferred: %s; run again later"):format(tostring(failure.message)), failure end
  return failure.exit or 1, tostring(failure.message), failure
end

local function params_text(args)
  local list = {}
  for name, value in pairs(args) do list[name] = tostring(value) end
  return list
end

--- Calls the function, with its output open. Waits. Nothing stands under the output's name unless it returned.
---@async
---@param bound table  from bind
---@param opts { run_id: string, output: string?, audit: quern.Audit? }
---@return table? summary
---@return table? err  the run could not begin
function M.execute(bound, opts)
  local sink, err = core_run.sink { path = opts.output, format = bound.format, compression = bound.compression, threads = opts.workers,
                                     run = opts.run_id }
  if not sink then return nil, err end
  local broken = { end_program = function() end }
  local output = setmetatable({ sink = sink, format = bound.format, csv_safe = bound.csv_safe, rows = 0, dirty = false, changed = task.event() }, Output)
  output.context = { run_id = opts.run_id, dir = bound.script.dir, scripts_dir = opts.scripts_dir, workers = opts.workers,
                     concurrency = opts.concurrency, memory = opts.memory, spool_dir = opts.spool_dir, nested = 0 }
  function output:on_failure(problem)
    broken.err = broken.err or raised.error(problem)
    broken.end_program(broken.err)
  end
  if opts.audit then opts.audit.on_failure = function(problem) output:on_failure(problem) end end
  local started_ms = task.now()
  local counts, subscription = count_requests()
  event.emit { type = "run_started", run = opts.run_id, query = bound.name, output = opts.output or "-", format = bound.format,
               compression = bound.compression }
  emit.output = output
  local ok, failure = pcall(drive, bound, output, broken)
  emit.output = nil
  failure = not ok and raised.error(failure) or nil
  subscription:close()
  if opts.audit then failure = opts.audit:settle() or failure end
  local exit, message, problem = settle(output, failure)
  local row_bytes, output_bytes = sink:bytes()
  local report = {
    run = opts.run_id, query = bound.name, program = true, exit = exit, message = message, verdict = exit == 0 and "complete" or "failed",
    error = problem and problem.kind, params = params_text(bound.args), rows = exit == 0 and output.rows or 0, requests = counts.requests,
    retries = counts.retries, holes = json.array {}, output = opts.output or "-", format = bound.format, compression = bound.compression,
    row_bytes = row_bytes, output_bytes = output_bytes, elapsed_ms = task.now() - started_ms,
  }
  event.emit { type = "run_finished", summary = report }
  return report
end

return M
