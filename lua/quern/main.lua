--- The commands of the command line, as functions from an option table to a result table. The core calls them.
---
--- What only some commands need is loaded by those, as loading is most of the time to the first request.
--- Each answers `{ exit = STATUS, message = TEXT?, ... }`; a message is one line that says what, where and what to do.
local env = require "quern.core.env"
local errors = require "quern.core.error"
local task = require "quern.core.task"
local bind = require "quern.bind"
local farewell = require "quern.farewell"
local grant = require "quern.grant"
local kind = require "quern.kind"
local patience = require "quern.patience"
local raised = require "quern.raised"
local run = require "quern.run"
local scripts = require "quern.script"
local window = require "quern.window"

local M = {}

local function failed(err)
  if not errors.is(err) then return { exit = 1, message = raised.text(err) } end
  if err.kind == "interrupted" then return { exit = 130, message = "interrupted; run again to start over" } end
  return { exit = err.exit or 1, message = tostring(err.message), kind = err.kind }
end

-- Every command answers a table; what it raises becomes a message. It runs in a task of its own, which an interrupt cancels; what is
-- to be told to others comes after it.
local function guarded(command)
  return function(opts)
    local child = task.spawn(pcall, command, opts)
    task.interruptible(child)
    local joined, ok, result, err = child:join()
    farewell.run()
    if not joined then return failed(ok) end
    if not ok then return failed(result) end
    return result or failed(err)
  end
end

local function run_id()
  local id = {}
  for index = 1, 8 do id[index] = ("%x"):format(math.floor(task.random() * 16)) end
  return table.concat(id)
end

local function load_env_file(opts)
  if not opts.env_file then return true end
  local ok, err = env.load(opts.env_file)
  if ok then return true end
  return nil, errors.new("usage", ("--env-file %s: %s"):format(opts.env_file, tostring(err)), { exit = 2 })
end

local EXPECTED = "what runs returns quern.query { ... } or a function"

-- Loads what the command line named, and calls what is for its kind.
local function with_script(opts, for_query, for_program)
  local ok, err = load_env_file(opts)
  if not ok then return nil, err end
  local script, load_err = scripts.load(opts.script, opts.scripts_dir)
  if not script then return nil, load_err end
  local is = kind.of(script.value)
  if is == "query" then return for_query(script, opts) end
  if is == "program" then return for_program(script, opts) end
  return nil, kind.refusal(script.path, script.value, EXPECTED)
end

-- The options of a run that stay as they are; the audit is open, its lines name the run and what it runs.
local function run_options(opts, name)
  local trail, err
  if opts.audit then
    trail, err = require("quern.audit").open(opts.audit, { run = opts.run_id, query = name })
    if not trail then return nil, err end
  end
  return {
    run_id = opts.run_id, output = opts.output, memory = opts.memory, concurrency = opts.concurrency, workers = opts.workers, scripts_dir = opts.scripts_dir,
    accept_incomplete = opts.accept_incomplete, spool_dir = opts.spool_dir, listen = opts.listen, audit = trail,
  }
end

local function run_query(script, opts)
  local bound, err = bind.bind(script, opts)
  if not bound then return nil, err end
  local how, audit_err = run_options(opts, bound.query.name)
  if not how then return nil, audit_err end
  return run.execute(bound, how)
end

local function run_program(script, opts)
  local bound, err = require("quern.program").bind(script, opts)
  if not bound then return nil, err end
  local how, audit_err = run_options(opts, bound.name)
  if not how then return nil, audit_err end
  return require("quern.program").execute(bound, how)
end

local run_script = guarded(function(opts) return with_script(opts, run_query, run_program) end)

--- `quern run`: options script, params, output, format, compress, concurrency, workers, memory, env_file, accept_incomplete, csv_safe,
--- on_error, quarantine, rate, plugins, listen, audit, alert_url, wait, strict.
function M.run(opts)
  opts.run_id = opts.run_id or run_id()
  patience.wanted = opts.wait == true
  local err
  opts.memory, err = window.size(opts.memory)
  if err then return failed(err) end
  if not opts.alert_url then return run_script(opts) end
  local alerts
  alerts, err = require("quern.alert").start(opts)
  if not alerts then return failed(err) end
  local result = run_script(opts)
  pcall(alerts.finish, alerts, result) -- interrupted there: the run has ended all the same
  return result
end

local function plan_query(script, opts)
  grant.describing = true
  local bound, err = bind.bind(script, opts)
  if not bound then return nil, err end
  return require("quern.plan").describe(bound)
end

local function plan_program(script, opts)
  local bound, err = require("quern.program").bind(script, opts)
  if not bound then return nil, err end
  return require("quern.program").describe(bound)
end

--- `quern plan`: what would run; sends nothing. The result's `text` is for people.
M.plan = guarded(function(opts) return with_script(opts, plan_query, plan_program) end)

--- `quern run` alone: the scripts that ship, with their summaries.
M.list = guarded(function(opts)
  local list = {}
  for name in pairs(scripts.shipped(opts.scripts_dir)) do
    local script = scripts.load(name, opts.scripts_dir)
    local value = script and script.value
    if type(value) == "table" and value.request then
      list[#list + 1] = { name = name, summary = value.summary or "" }
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return { exit = 0, scripts = list }
end)

--- `quern emulate`: runs a serving script until it is interrupted.
M.serve = guarded(function(opts)
  return require("quern.serve").run(opts)
end)

return M
