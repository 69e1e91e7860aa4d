--- Binding: from a script and the words of the command line to a frozen plan. Sends nothing.
local task = require "quern.core.task"
local errors = require "quern.core.error"
local chunk = require "quern.chunk"
local http = require "quern.http"
local output = require "quern.output"
local param = require "quern.param"
local plugin = require "quern.plugin"
local quarantine = require "quern.quarantine"

local M = {}

local function validate(query, params)
  if not query.validate then return true end
  local ok, result, problem = pcall(query.validate, params)
  if not ok or errors.is(result) then problem = result end
  if problem == nil then return true end
  return nil, errors.new("invalid", ("query '%s': %s"):format(query.name, tostring(problem)), { exit = 5 })
end

-- What the whole run should bring, checked; nil: the query does not say.
local function completeness_of(query, params)
  local wanted = query.completeness and query.completeness(params)
  if not wanted then return nil end
  local expected, accuracy = wanted.expected, wanted.accuracy or 1
  if math.type(expected) ~= "integer" or expected < 0 or type(accuracy) ~= "number" or accuracy < 0 or accuracy > 1 then
    error(errors.new("script", ("completeness of query '%s' must return { expected = a count, accuracy = 0 to 1 } or nil"):format(query.name),
      { exit = 1 }), 0)
  end
  return { expected = expected, accuracy = accuracy }
end

-- A copy of a client's options with `--rate` applied.
local function with_rate(spec, rate)
  local copy = {}
  for key, value in pairs(spec) do copy[key] = value end
  if not rate then return copy end
  local limit = {}
  for key, value in pairs(type(copy.limit) == "table" and copy.limit or {}) do limit[key] = value end
  limit.rate = rate
  copy.limit = limit
  return copy
end

local function client_of(query, params, opts)
  local spec = query.client
  if type(spec) == "function" then spec = spec(params) end
  if type(spec) ~= "table" then
    return nil, errors.new("script", ("client of query '%s' must be a table or a function that returns one"):format(query.name),
      { exit = 1 })
  end
  return http.client(with_rate(spec, opts.rate))
end

--- Binds a query's script: parameters, tree, format, client. Everything that can be refused before a request is refused here.
---@param script quern.Script  its value is a query
---@param opts table  params, format, compress, output, csv_safe, strict, on_error, quarantine, rate, plugins
---@return table? bound
---@return table? err
function M.bind(script, opts)
  local query = script.value
  local bound = { script = script, query = query, now_ms = task.wall() }
  local out, err = output.bind(query, opts)
  if not out then return nil, err end
  bound.format, bound.compression = out.format, out.compression
  bound.csv_safe, bound.strict = opts.csv_safe == true, opts.strict == true
  bound.on_error, err = quarantine.bind(opts)
  if not bound.on_error then return nil, err end
  bound.plugins, err = plugin.load(opts.plugins, query)
  if not bound.plugins then return nil, err end
  bound.params, err = param.bind(query.params, opts.params or {}, {
    now_ms = bound.now_ms, grain = function(p) return chunk.grain(query.chunk, p) end,
  })
  if not bound.params then return nil, err end
  local ok, invalid = validate(query, bound.params)
  if not ok then return nil, invalid end
  bound.completeness = completeness_of(query, bound.params)
  bound.cut, err = chunk.bind(query.chunk, bound.params)
  if not bound.cut then return nil, err end
  bound.client, err = client_of(query, bound.params, opts)
  if not bound.client then return nil, err end
  return bound
end

return M
