--- The end of a run: what becomes of the output, the verdict, and the exit status.
local task = require "quern.core.task"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local options = require "quern.options"
local param = require "quern.param"
local plugin = require "quern.plugin"

local M = {}

local PIPE_CLOSED = 141

local function append(list, items)
  for _, item in ipairs(items) do list[#list + 1] = item end
  return list
end

local function hole_text(hole)
  return ("%s: %s"):format(hole.leaf, hole.reason)
end

-- Nothing of the run ever succeeded: then it has failed, and why decides the status.
local function nothing_succeeded(run)
  local err = run.first_failure
  local refused = err.kind == "status" and (err.status or 0) >= 400 and err.status < 500 or err.kind == "too_large"
  return refused and 5 or 1, tostring(err.message)
end

local function incomplete(holes)
  local shown = {}
  for index = 1, math.min(#holes, 3) do shown[index] = hole_text(holes[index]) end
  local more = #holes > 3 and (" and %d more"):format(#holes - 3) or ""
  local rest = #holes > 0 and ("; %d hole%s: %s%s"):format(#holes, #holes == 1 and "" or "s", table.concat(shown, "; "), more)
    or "; the leaves do not cover the range"
  return 3, "incomplete" .. rest
end

-- What the query says that the run should have brought, and whether it did.
local function shortfall(run)
  local wanted = run.completeness
  if not wanted then return nil end
  local facts = run.sequencer:facts()
  local got = facts.records - facts.duplicates - facts.disowned - facts.outside
  local share = wanted.expected > 0 and got / wanted.expected or 1
  run.accuracy = share
  if share >= wanted.accuracy then return nil end
  return ("incomplete: %d of %d expected records came (%.1f %%), fewer than the accuracy %g asks for"):format(got, wanted.expected,
    share * 100, wanted.accuracy)
end

-- Exit status, message and what to do with the output.
local function verdict(run, failure, holes)
  if failure then
    if failure.kind == "interrupted" then return 130, "interrupted; run again to start over", "discard" end
    if failure.kind == "pipe" then return PIPE_CLOSED, nil, "discard" end
    return failure.exit or 1, tostring(failure.message), "discard"
  end
  if run.deferred then
    return 75, ("deferred: %s; run again later"):format(tostring(run.deferred.message)), "discard"
  end
  if run.first_failure and not run.succeeded then
    local exit, message = nothing_succeeded(run)
    return exit, message, "discard"
  end
  if #holes > 0 or not run.tree:tiled() then
    local exit, message = incomplete(holes)
    return exit, message, "keep"
  end
  local short = shortfall(run)
  if short then return 3, short, "keep" end
  return 0, nil, "publish"
end

local function counted(run, holes)
  if run.counted.no or #holes > 0 then return "no" end
  if run.counted["not promised"] or not run.counted.yes then return "not promised" end
  return "yes"
end

-- Holes of the sequencer (a record its owner never delivered) stand beside those of failed leaves, each leaf once.
local function all_holes(run)
  local holes, seen = append({}, run.holes), {}
  for _, hole in ipairs(holes) do seen[hole.leaf] = true end
  for _, hole in ipairs(run.sequencer:holes()) do
    local label = run:label(hole.leaf)
    if not seen[label] then holes[#holes + 1] = { leaf = label, reason = hole.reason } end
  end
  return holes
end

-- How many threads made rows, and how often a page's rows arrived before those of an earlier place in the plan.
local function converted(run)
  return { threads = run.workers and run.workers:facts() or 0, overtakes = run.counts.overtakes }
end

-- How pages waited for memory; nil: they did not.
local function throttled(run)
  local window = run.window
  if not window or window.waits == 0 then return nil end
  return { limit = window.memory, waits = window.waits, wait_ms = window.wait_ms }
end

local function params_text(run)
  local list = {}
  for _, name in ipairs(options.names(run.params)) do list[name] = param.text(run.params[name]) end
  return list
end

-- Ends the output and the quarantine. Where the partial file of the output stays, and where the failed records are; "" is nowhere.
local function close(run, fate)
  local partial, aside = run.sequencer:close(fate)
  if not partial then return nil, nil, aside end
  local published = fate == "publish" and run.sequencer:facts().failed > 0
  return partial, published and run.on_error.path or aside
end

--- Publishes, keeps or discards the output and tells what the run was.
---@param run table
---@param failure table?  the error that ended the run
---@param opts { output: string?, accept_incomplete: boolean? }
---@return table summary
function M.close(run, failure, opts)
  local holes = all_holes(run)
  local exit, message, fate = verdict(run, failure, holes)
  if fate == "keep" and opts.accept_incomplete then fate = "publish" end
  local facts = run.sequencer:facts()
  local partial, aside, close_err = close(run, fate)
  if close_err then
    exit, message = close_err.kind == "pipe" and PIPE_CLOSED or 1, tostring(close_err.message)
    partial, aside = nil, nil
  end
  if fate == "keep" and partial and partial ~= "" then
    local failed = aside ~= "" and (", records that failed in %s"):format(aside) or ""
    message = ("%s; what was done is in %s%s; run again"):format(message, partial, failed)
  end
  local row_bytes, output_bytes = run.sink:bytes()
  local counts, net = run.counts, run.client.counts or {}
  return {
    run = run.id, query = run.query.name, exit = exit, message = message, params = params_text(run),
    verdict = exit == 0 and "complete" or exit == 3 and "incomplete" or "failed",
    accuracy = run.accuracy, tiled = run.tree:tiled(), counted = counted(run, holes), holes = json.array(holes),
    rows = facts.rows, failed = facts.failed, quarantine = aside ~= "" and aside or nil,
    records = facts.records, duplicates = facts.duplicates, disowned = facts.disowned, outside = facts.outside,
    no_key = facts.no_key, no_owner = facts.no_owner,
    leaves = counts.leaves, splits = counts.splits, restarts = counts.restarts, refetches = counts.refetches,
    pages = counts.pages, bytes = counts.bytes, requests = net.requests, retries = net.retries, causes = net.causes,
    converted = converted(run), plugins = #run.plugins > 0 and plugin.facts(run.plugins) or nil,
    output = not run.inner and (opts.output or "-") or nil, format = run.format, compression = run.compression,
    row_bytes = row_bytes, output_bytes = not run.inner and output_bytes or nil, partial = partial ~= "" and partial or nil,
    memory = throttled(run), elapsed_ms = task.now() - run.started_ms,
    error = errors.is(failure) and failure.kind or nil,
  }
end

return M
