--- What runs in the Lua state of a worker thread: the script is loaded again, and its transform is applied to record
--- after record. A transform sees the same whatever the worker and the order: frozen parameters, the run's `now`, and
--- random numbers that are seeded by chunk, page and record.
local json = require "quern.core.json"
local sandbox = require "quern.core.sandbox"
local chain = require "quern.chain"
local frozen = require "quern.frozen"
local strict = require "quern.strict"

local M = {}

--- Records, and what stands in ctx, may be rows: as they are, or in a list. The core asks for each that is no plain table.
---@type fun(value: any): any
M.plain = frozen.plain

---@alias quern.Apply fun(record: any, row: table|nil, where: table, number: integer): any

---@class quern.TransformContext
---@field params table<string, any>  bound parameters: instants as ISO 8601 text; no secrets. Read only
---@field shared any  what `prepare` returned. Read only
---@field chunk table  id, and by time: from, to (ISO 8601 text), interval. Read only
---@field columns boolean  the query has columns: the row holds their values, if any
---@field page integer  number of the page in its leaf, from 1
---@field record integer  number of the record in its page, from 1

-- An `os` in which time stands still: time() and date() tell the run's `now`, clock() tells 0.
local function still_os(now_ms)
  local now = now_ms // 1000
  return {
    time = function(fields)
      if fields == nil then return now end
      return os.time(fields)
    end,
    date = function(format, seconds) return os.date(format or "!%Y-%m-%dT%H:%M:%SZ", seconds or now) end,
    clock = function() return 0.0 end,
  }
end

-- The main state has loaded these bytes before and seen that loading is pure.
local function load_transform(script, now_ms, what, watch)
  local environment = sandbox.environment(script.dir)
  environment.os = still_os(now_ms)
  if watch then watch(environment) end
  local fn, err = load(script.source, script.chunk or script.name, "t", environment)
  if not fn then error(err, 0) end
  local made = fn()
  local transform = type(made) == "table" and made.transform
  if type(transform) ~= "function" then
    error(("%s does not return %s with a transform when it is loaded again"):format(script.path, what), 0)
  end
  return transform, made.columns ~= nil
end

-- What takes much memory there is what `prepare` returned.
local function read(context_json)
  local ok, context, err = pcall(json.decode, context_json)
  if ok and context then return context end
  if ok then error(err, 0) end
  error(("%s for what prepare returned, which is %d MB as JSON: it should return only what transforms need"):format(tostring(context),
    (#context_json >> 20) + 1), 0)
end

-- What a function does not name it cannot see, and need not be made.
local function parameters(fn)
  local about = debug.getinfo(fn, "u")
  return about.isvararg and math.huge or about.nparams
end

--- Loads a script for a worker. Raises what is wrong with it.
---@param script { name: string, path: string, source: string, dir: string }
---@param context_json string  { params, shared, now_ms, strict }; with plugins { transform, columns, plugins }, too
---@return quern.Apply apply  gives the transform's answer: nil, a row or a list of rows
---@return boolean wants_row  whether anybody looks at the row of the columns
function M.open(script, context_json)
  local context = read(context_json)
  local seed_random = math.randomseed
  seed_random(0)
  local now_ms = math.tointeger(context.now_ms) or 0
  local inside = false
  local watch = context.strict and function(environment) strict.watch(environment, function() return inside end) end or nil
  local transform, has_columns = nil, true
  if context.transform ~= false then transform, has_columns = load_transform(script, now_ms, "a query", watch) end
  local chained
  if context.plugins then
    chained = chain.new(transform, context, script, function(plugin) return load_transform(plugin, now_ms, "a plugin", watch) end)
  end
  local params, shared = frozen.new(context.params), frozen.new(context.shared)
  local chunk_text, chunk
  local takes = chained and math.huge or parameters(transform)

  local function apply(record, row, where, number)
    if where.chunk ~= chunk_text then
      chunk_text, chunk = where.chunk, frozen.new(assert(json.decode(where.chunk)))
    end
    seed_random(where.seed, where.page << 32 | number)
    if takes < 3 then return transform(record, row) end
    local ctx = { params = params, shared = shared, chunk = chunk, columns = has_columns, page = where.page, record = number }
    if chained then return chained(record, row, ctx, where) end
    return transform(record, row, ctx)
  end
  inside = true
  return context.strict and strict.twice(apply) or apply, takes >= 2
end

return M
