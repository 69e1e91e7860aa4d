--- Chunk policies: how a query is cut into leaves, and what may be cut again when the API refuses one.
---
---     chunk = quern.chunk.by_time { size = "P30D", floor = "PT15M", grain = "PT1S" }
---     chunk = quern.chunk.whole {}
---
--- What `request(p, chunk)` gets as `chunk`: `id`; by time also `from` and `to` (quern.Instant, `to` exclusive) and
--- `interval` ("from/to" with three decimals).
local core_time = require "quern.core.time"
local errors = require "quern.core.error"
local instant = require "quern.instant"
local options = require "quern.options"
local param = require "quern.param"

local M = {}

---@class quern.Chunk
---@field id string  stable name of the chunk in messages
---@field from? quern.Instant  first instant of the chunk
---@field to? quern.Instant  first instant after it
---@field interval? string  "from/to" as ISO 8601 with milliseconds

---@class quern.ChunkPolicy  opaque: what the functions of quern.chunk give
---@field kind "by_time"|"whole"
---@field grain? string|function  ISO duration on which all edges lie
local meta = { __name = "quern.chunk" }

---@class quern.ByTime
---@field size? string|fun(p: table): string  ISO duration of the first cut, calendar-aware; absent: one chunk
---@field floor? string|fun(p: table): string  no split below it; a fixed duration
---@field grain? string|fun(p: table): string  all edges are multiples of it; a fixed duration. A function of the parameters gets all but the times
---@field split? boolean  false: a chunk is never split
---@field from? string  the name of the time parameter where the range begins
---@field to? string  the name of the time parameter where it ends

local OR_FUNCTION = "string|function"

--- Half-open time ranges that cover [from, to).
---@param opts quern.ByTime
---@return quern.ChunkPolicy
function M.by_time(opts)
  local policy = options.check("quern.chunk.by_time", opts, {
    size = OR_FUNCTION,
    floor = { type = OR_FUNCTION, default = "PT1M" },
    grain = { type = OR_FUNCTION, default = "PT1S" },
    split = { type = "boolean", default = true },
    from = { type = "string", default = "from" },
    to = { type = "string", default = "to" },
  })
  if type(policy.grain) == "string" and not core_time.fixed_ms(policy.grain) then
    error(("quern.chunk.by_time: grain '%s' is not a fixed ISO 8601 duration such as PT1S"):format(policy.grain), 2)
  end
  policy.kind = "by_time"
  return setmetatable(policy, meta)
end

--- One chunk that is never split: for APIs without a range.
---@param opts? {}
---@return quern.ChunkPolicy
function M.whole(opts)
  options.check("quern.chunk.whole", opts, {})
  return setmetatable({ kind = "whole" }, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

local function usage(message)
  return nil, errors.new("usage", message, { exit = 2 })
end

local function duration_of(policy, field, p)
  local text = policy[field]
  if type(text) == "function" then text = text(p) end
  if text == nil then return nil end
  if core_time.duration(text) then return text end
  local ms = param.duration_ms(tostring(text))
  if ms and ms % 1000 == 0 and ms > 0 then return ("PT%dS"):format(ms // 1000) end
  return usage(("chunk: %s '%s' is not an ISO 8601 duration such as P30D or PT15M"):format(field, tostring(text)))
end

--- The grain of a policy for parameters of which the times are not bound yet: its text and milliseconds; nothing for chunks that are no
--- ranges. Raises for a function that answers no fixed duration.
---@param policy quern.ChunkPolicy
---@param p table
---@return string? grain
---@return integer? ms
function M.grain(policy, p)
  local grain = policy.grain
  if type(grain) == "function" then grain = grain(p) end
  if not grain then return nil end
  local ms = core_time.fixed_ms(grain)
  if not ms then
    error(errors.new("script", ("chunk: grain '%s' is not a fixed ISO 8601 duration such as PT1S"):format(tostring(grain)), { exit = 1 }), 0)
  end
  return grain, ms
end

--- The chunk tree's options for bound parameters: what quern.core.run.tree takes.
---@param policy quern.ChunkPolicy
---@param p table
---@return table? tree_options
---@return table? err
function M.bind(policy, p)
  if policy.kind == "whole" then return { count = 1 } end
  local from, to = p[policy.from], p[policy.to]
  for _, name in ipairs { policy.from, policy.to } do
    if not instant.is(p[name]) then
      return usage(("this query is cut by time and needs '%s': give it with -p %s=2024-01-01 (in the script: params = { %s = quern.param.time {} })"):format(
        name, name, name))
    end
  end
  if from >= to then
    return usage(("the range is empty: '%s' (%s) is not before '%s' (%s)"):format(
      policy.from, from:iso("s"), policy.to, to:iso("s")))
  end
  local size, size_err = duration_of(policy, "size", p)
  if size_err then return nil, size_err end
  local floor, floor_err = duration_of(policy, "floor", p)
  if floor_err then return nil, floor_err end
  if core_time.fixed_ms(floor) == nil then
    return usage(("chunk: floor '%s' must be a fixed duration, without months or years"):format(floor))
  end
  return { from = from.ms, to = to.ms, size = size, floor = floor, grain = M.grain(policy, p), split = policy.split }
end

--- What the script sees of a leaf.
---@param from_ms? integer
---@param to_ms? integer
---@return quern.Chunk
function M.view(from_ms, to_ms)
  if not from_ms then return { id = "whole" } end
  local from, to = instant.new(from_ms), instant.new(to_ms)
  local precision = (from_ms % 1000 == 0 and to_ms % 1000 == 0) and "s" or "ms"
  return {
    id = from:iso(precision) .. "/" .. to:iso(precision),
    from = from,
    to = to,
    interval = from:iso("ms") .. "/" .. to:iso("ms"),
  }
end

return options.strict("quern.chunk", M, { is = true, bind = true, grain = true, view = true })
