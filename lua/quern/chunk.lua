--- Chunk policies: how a query is cut into leaves, and what may be cut again when the API refuses one.
---
---     chunk = quern.chunk.by_time { size = "P30D", floor = "PT15M", grain = "PT1S" }
---     chunk = quern.chunk.by_time { size = "P1M", zone = "Europe/Berlin", aligned = true }
---     chunk = quern.chunk.by_list { param = "queues", size = 50 }
---     chunk = quern.chunk.whole {}
---
--- What `request(p, chunk)` gets as `chunk`: `id`; by time also `from` and `to` (quern.Instant, `to` exclusive) and
--- `interval` ("from/to" with three decimals); by list `items`; with a custom policy what its `plan` made.
local core_time = require "quern.core.time"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local instant = require "quern.instant"
local options = require "quern.options"
local param = require "quern.param"
local time = require "quern.time"

local M = {}

---@class quern.Chunk
---@field id string  stable name of the chunk in messages
---@field from? quern.Instant  first instant of the chunk
---@field to? quern.Instant  first instant after it
---@field interval? string  "from/to" as ISO 8601 with milliseconds
---@field items? any[]  by list: the items of the chunk

---@class quern.ChunkPolicy  opaque: what the functions of quern.chunk give
---@field kind "by_time"|"by_list"|"whole"|"custom"
---@field grain? string|function  ISO duration on which all edges lie
local meta = { __name = "quern.chunk" }

---@class quern.ByTime
---@field size? string|fun(p: table): string  ISO duration of the first cut, calendar-aware; absent: one chunk
---@field floor? string|fun(p: table): string  no split below it; a fixed duration
---@field grain? string|fun(p: table): string  all edges are multiples of it; a fixed duration. A function of the parameters gets all but the times
---@field split? { align?: string|fun(p: table): string }|boolean  false: a chunk is never split; `align`: splits lie on multiples of it, such as
---  the bucket of an aggregate
---@field zone? string|fun(p: table): string  IANA time zone: days and months of `size` are counted on its calendar
---@field aligned? boolean  the first chunk ends where the next day, month, ... begins
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
    split = { type = "boolean|table", default = true },
    zone = OR_FUNCTION,
    aligned = "boolean",
    from = { type = "string", default = "from" },
    to = { type = "string", default = "to" },
  })
  if type(policy.split) == "table" then
    policy.align = options.check("quern.chunk.by_time split", policy.split, { align = OR_FUNCTION }).align
    policy.split = true
  end
  if type(policy.grain) == "string" and not core_time.fixed_ms(policy.grain) then
    error(("quern.chunk.by_time: grain '%s' is not a fixed ISO 8601 duration such as PT1S"):format(policy.grain), 2)
  end
  policy.kind = "by_time"
  return setmetatable(policy, meta)
end

---@class quern.ByList
---@field items? any[]|fun(p: table): any[]  the items: texts or numbers; repeats count once
---@field param? string  or the name of the list parameter that holds them
---@field size? integer|fun(p: table): integer  items a chunk; absent: all in one
---@field split? boolean  false: a chunk is never split; else it is halved, down to one item

--- Chunks of the items of a list, such as queue ids.
---@param opts quern.ByList
---@return quern.ChunkPolicy
function M.by_list(opts)
  local policy = options.check("quern.chunk.by_list", opts, {
    items = "table|function", param = "string", size = "integer|function", split = { type = "boolean", default = true },
  })
  if (policy.items == nil) == (policy.param == nil) then error("quern.chunk.by_list takes one of items and param", 2) end
  policy.kind = "by_list"
  return setmetatable(policy, meta)
end

---@class quern.CustomChunks
---@field plan fun(p: table): quern.Chunk[]  the chunks in plan order: tables with an `id`, unique, and what `request` needs of them
---@field split? fun(chunk: quern.Chunk): quern.Chunk?, quern.Chunk?  two parts of a chunk that was refused as too large; nil: it cannot be cut

--- Chunks of the script's own making.
---@param opts quern.CustomChunks
---@return quern.ChunkPolicy
function M.custom(opts)
  local policy = options.check("quern.chunk.custom", opts, { plan = { type = "function", required = true }, split = "function" })
  policy.kind = "custom"
  return setmetatable(policy, meta)
end

--- One chunk that is never split: for APIs without a range.
---@param opts? {}
---@return quern.ChunkPolicy
function M.whole(opts)
  options.check("quern.chunk.whole", opts, {})
  return setmetatable({ kind = "whole" }, meta)
end

--- Was it made by quern.chunk?
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

---@class quern.Cut  a policy with its parameters
---@field tree table  options of quern.core.run.tree
---@field view fun(from?: integer, to?: integer): quern.Chunk  what the script sees of a leaf
---@field split? fun(tree: any, leaf: integer, chunk: quern.Chunk): integer?, any  as tree:split, for a policy that splits by itself
---@field smallest string  why a leaf may not be split further

-- ---- by time ----

local function range_view(from_ms, to_ms)
  local from, to = instant.new(from_ms), instant.new(to_ms)
  local precision = (from_ms % 1000 == 0 and to_ms % 1000 == 0) and "s" or "ms"
  return {
    id = from:iso(precision) .. "/" .. to:iso(precision),
    from = from,
    to = to,
    interval = from:iso("ms") .. "/" .. to:iso("ms"),
  }
end

local function zone_of(policy, p)
  local zone = policy.zone
  if type(zone) == "function" then zone = zone(p) end
  if zone == nil then return nil end
  local known, err = core_time.zone(zone)
  if not known then return usage("chunk: " .. tostring(err)) end
  return zone
end

-- Edges between the chunks, where the calendar that cuts them is not that of UTC from the range's beginning on.
local function edges_of(policy, from, to, size, zone)
  if not size or not (zone or policy.aligned) then return nil end
  local step = core_time.duration(size)
  if policy.aligned and step.months ~= 0 and (step.days ~= 0 or step.ms ~= 0) then
    return usage(("chunk: size '%s' has months and other parts, so that no chunk can be aligned to it"):format(size))
  end
  local edges = {}
  for _, range in ipairs(time.ranges(from, to, size, { zone = zone, aligned = policy.aligned })) do edges[#edges + 1] = range[2] end
  edges[#edges] = nil -- the end of the range
  return edges
end

local function cut_by_time(policy, p)
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
  local tree = { from = from.ms, to = to.ms, grain = M.grain(policy, p), split = policy.split }
  for _, field in ipairs { "size", "floor", "align" } do
    local text, err = duration_of(policy, field, p)
    if err then return nil, err end
    tree[field] = text
  end
  if core_time.fixed_ms(tree.floor) == nil then
    return usage(("chunk: floor '%s' must be a fixed duration, without months or years"):format(tree.floor))
  end
  local zone, zone_err = zone_of(policy, p)
  if zone_err then return nil, zone_err end
  local edges_err
  tree.edges, edges_err = edges_of(policy, from.ms, to.ms, tree.size, zone)
  if edges_err then return nil, edges_err end
  return { tree = tree, view = range_view, smallest = "half of the chunk would be below the floor" }
end

-- ---- by list: positions in the tree are items, from 0 ----

local UNIT = "PT0.001S" -- one position

local function items_of(policy, p)
  local given = policy.param and p[policy.param] or policy.items
  if type(given) == "function" then given = given(p) end
  local list, seen = {}, {}
  if type(given) ~= "table" then return list end
  for _, item in ipairs(given) do
    if type(item) ~= "string" and (type(item) ~= "number" or item ~= item) then
      error(errors.new("script", ("chunk: items are texts or numbers, not a %s"):format(item ~= item and "NaN" or type(item)), { exit = 1 }), 0)
    end
    if not seen[item] then list[#list + 1] = item end
    seen[item] = true
  end
  return list
end

local function list_view(items)
  return function(from, to)
    local part = table.move(items, from + 1, to, 1, json.array {})
    local id = #part == 1 and tostring(part[1]) or ("%s .. %s (%d items)"):format(part[1], part[#part], #part)
    return { id = id, items = part }
  end
end

local function cut_by_list(policy, p)
  local items = items_of(policy, p)
  if #items == 0 then
    return usage(("there is nothing to fetch: %s is empty"):format(policy.param and ("parameter '%s'"):format(policy.param) or "the list of items"))
  end
  local size = policy.size or #items
  if type(size) == "function" then size = size(p) end
  if math.type(size) ~= "integer" or size < 1 then return usage("chunk: size must be at least 1 item") end
  local edges = {}
  for edge = size, #items - 1, size do edges[#edges + 1] = edge end
  return { tree = { from = 0, to = #items, edges = edges, grain = UNIT, floor = UNIT, split = policy.split }, view = list_view(items),
           smallest = "a single item is as small as it gets" }
end

-- ---- custom: each planned chunk has WIDTH positions, so that it can be halved as often as will ever be asked ----

local WIDTH = 1 << 32

local function check_chunk(chunk, seen)
  if type(chunk) ~= "table" or type(chunk.id) ~= "string" then
    error(errors.new("script", "chunk: plan and split give tables with an id, a text", { exit = 1 }), 0)
  end
  if seen[chunk.id] then error(errors.new("script", ("chunk: the id '%s' is used twice"):format(chunk.id), { exit = 1 }), 0) end
  seen[chunk.id] = true
  return chunk
end

local function cut_custom(policy, p)
  local planned = policy.plan(p)
  if type(planned) ~= "table" or #planned == 0 then return usage("there is nothing to fetch: the plan holds no chunk") end
  local at, seen, edges = {}, {}, {} -- chunks by their first position and width
  local function put(from, to, chunk) at[from .. ":" .. to] = check_chunk(chunk, seen) end
  for index, chunk in ipairs(planned) do
    put((index - 1) * WIDTH, index * WIDTH, chunk)
    if index > 1 then edges[#edges + 1] = (index - 1) * WIDTH end
  end
  local function split(tree, leaf, chunk)
    local first, second = policy.split(chunk)
    if not first or not second then return nil, "floor" end
    local a, b = tree:split(leaf)
    if not a then return a, b end
    local from, middle = tree:range(a)
    local _, to = tree:range(b)
    put(from, middle, first)
    put(middle, to, second)
    return a, b
  end
  return { tree = { from = 0, to = #planned * WIDTH, edges = edges, grain = UNIT, floor = UNIT, split = policy.split ~= nil },
           view = function(from, to) return at[from .. ":" .. to] end, split = policy.split and split,
           smallest = "the script splits it no further" }
end

local cutters = {
  by_time = cut_by_time, by_list = cut_by_list, custom = cut_custom,
  whole = function()
    return { tree = { count = 1 }, view = function() return { id = "whole" } end }
  end,
}

--- A policy with bound parameters.
---@param policy quern.ChunkPolicy
---@param p table
---@return quern.Cut?
---@return table? err
function M.bind(policy, p)
  return cutters[policy.kind](policy, p)
end

return options.strict("quern.chunk", M, { is = true, bind = true, grain = true })
