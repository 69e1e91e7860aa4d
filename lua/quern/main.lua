--- The commands of the command line, as functions from an option table to a result table. The core calls them.
---
--- Each answers `{ exit = STATUS, message = TEXT?, ... }`; a message is one line that says what, where and what to do.
local env = require "quern.core.env"
local errors = require "quern.core.error"
local task = require "quern.core.task"
local alert = require "quern.alert"
local audit = require "quern.audit"
local bind = require "quern.bind"
local farewell = require "quern.farewell"
local grant = require "quern.grant"
local patience = require "quern.patience"
local plan = require "quern.plan"
local run = require "quern.run"
local scripts = require "quern.script"
local serve = require "quern.serve"

local M = {}

local function failed(err)
  if not errors.is(err) then return { exit = 1, message = tostring(err) } end
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

local run_script = guarded(function(opts)
  local ok, err = load_env_file(opts)
  if not ok then return nil, err end
  local bound, bind_err = bind.bind(opts)
  if not bound then return nil, bind_err end
  local trail, audit_err
  if opts.audit then
    trail, audit_err = audit.open(opts.audit, { run = opts.run_id, query = bound.query.name })
    if not trail then return nil, audit_err end
  end
  return run.execute(bound, {
    run_id = opts.run_id, output = opts.output, concurrency = opts.concurrency, workers = opts.workers,
    accept_incomplete = opts.accept_incomplete, spool_dir = opts.spool_dir, listen = opts.listen, audit = trail,
  })
end)

--- `quern run`: options script, params, output, format, concurrency, workers, env_file, accept_incomplete, csv_safe, rate, plugins,
--- listen, audit, alert_url, wait.
function M.run(opts)
  opts.run_id = opts.run_id or run_id()
  patience.wanted = opts.wait == true
  if not opts.alert_url then return run_script(opts) end
  local alerts, err = alert.start(opts)
  if not alerts then return failed(err) end
  local result = run_script(opts)
  pcall(alerts.finish, alerts, result) -- interrupted there: the run has ended all the same
  return result
end

--- `quern plan`: what would run; sends nothing. The result's `text` is for people.
M.plan = guarded(function(opts)
  local ok, err = load_env_file(opts)
  if not ok then return nil, err end
  grant.describing = true
  local bound, bind_err = bind.bind(opts)
  if not bound then return nil, bind_err end
  return plan.describe(bound)
end)

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
  return serve.run(opts)
end)

return M
