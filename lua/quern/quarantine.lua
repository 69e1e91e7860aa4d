--- Records that no column can convert, or whose transform raises: what `--on-error` makes of them, and who hears of it.
local core_run = require "quern.core.run"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local json = require "quern.core.json"

local M = {}

local MODES = { stop = true, skip = true, quarantine = true }
local SUFFIX = ".quarantine.ndjson"

local function usage(format, ...)
  return nil, errors.new("usage", format:format(...), { exit = 2 })
end

local function same_file(path)
  return usage("--quarantine %s: the rows go there; name another file", path)
end

local function default_path(output)
  if output == nil or output == "" or output == "-" then
    return usage "--on-error quarantine: the rows go to stdout; say with --quarantine FILE where the records that fail go"
  end
  return output .. SUFFIX
end

--- What becomes of a record that fails. The path is that of the quarantine; nil in the other modes.
---@param opts { on_error: string?, quarantine: string?, output: string? }
---@return { mode: "stop"|"skip"|"quarantine", path: string?, named: boolean? }? on_error  `named`: the user chose the path
---@return table? err  kind "usage", exit 2
function M.bind(opts)
  local mode, path = opts.on_error or "stop", opts.quarantine
  if not MODES[mode] then return usage("--on-error '%s' is not one of quarantine, skip, stop", tostring(mode)) end
  if mode ~= "quarantine" then
    if path then return usage("--quarantine %s: it goes with --on-error quarantine", path) end
    return { mode = mode }
  end
  if path == "-" or path == "" then return usage "--quarantine must be a file: stdout is for rows" end
  local named = path ~= nil
  if not named then
    local default, err = default_path(opts.output)
    if not default then return nil, err end
    path = default
  end
  if path == opts.output then return same_file(path) end
  return { mode = mode, path = path, named = named }
end

--- The sink of the quarantine; nil without one. Where nothing failed, a file that the user named is empty, and one of our naming is not there.
---@param on_error { mode: string, path: string?, named: boolean? }?
---@param run_id string
---@return quern.core.Sink? sink
---@return table? err
function M.open(on_error, run_id)
  if not on_error or not on_error.path then return nil end
  local sink, err = core_run.sink { path = on_error.path, format = "ndjson", run = run_id, optional = not on_error.named }
  if err and err.kind == "exists" then return same_file(on_error.path) end -- nobody else has the run's id
  return sink, err
end

--- Tells of records whose leaf has committed; of the first of a run only.
---@param failed string[]  JSON texts, as the sequencer's advance gives them
function M.tell(failed)
  for _, text in ipairs(failed) do
    local record = assert(json.decode(text))
    record.type = "record_failed"
    event.emit(record)
  end
end

--- The end of a run: how many there were.
---@param report table  the summary
---@param told integer  how many of them were told one by one
function M.total(report, told)
  if report.failed == 0 then return end
  event.emit { type = "records_failed", failed = report.failed, told = told, quarantine = report.quarantine }
end

return M
