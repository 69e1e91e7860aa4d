--- Parameters of a query: their types, and binding what the command line gave to values.
---
---     params = {
---       from   = quern.param.time { default = "-7d" },
---       queues = quern.param.list { summary = "queue ids; all queues when absent" },
---     }
---
--- Every constructor takes `default` (written as on the command line), `summary` (one line of help), `alias` (a second name
--- for the command line) and `required` (true: no default, must be given). A parameter without default that is not given is nil.
local core_time = require "quern.core.time"
local json = require "quern.core.json"
local errors = require "quern.core.error"
local instant = require "quern.instant"
local time = require "quern.time"
local options = require "quern.options"

local M = {}

---@class quern.Param  opaque: what the functions of quern.param give
---@field kind string
---@field default any
---@field summary? string
---@field required? boolean
---@field alias? string
---@field values? string[]  enum only
---@field min? number  integer and number only
---@field max? number  integer and number only
local meta = { __name = "quern.param" }

---@class quern.ParamOptions
---@field default? any  as on the command line; lists and tables also as a table
---@field summary? string  one line of help
---@field required? boolean  true: it must be given
---@field alias? string  a second name for the command line

---@class quern.TimeOptions
---@field default? any  as on the command line
---@field summary? string  one line of help
---@field required? boolean  true: it must be given
---@field alias? string  a second name for the command line
---@field zone? string  IANA time zone: what a text without an offset means, and when today begins

---@class quern.NumberOptions: quern.ParamOptions
---@field default? any  as on the command line
---@field summary? string  one line of help
---@field required? boolean  true: it must be given
---@field alias? string  a second name for the command line
---@field min? number  the least value
---@field max? number  the greatest value

---@class quern.EnumOptions: quern.ParamOptions
---@field default? any  one of the values
---@field summary? string  one line of help
---@field required? boolean  true: it must be given
---@field alias? string  a second name for the command line
---@field values string[]  what it may be

local COMMON = { default = "any", summary = "string", required = "boolean", alias = "string" }

local function constructor(kind, extra)
  local spec = options.extend(COMMON, extra)
  return function(given)
    given = options.check("quern.param." .. kind, given or {}, spec, 3)
    given.kind = kind
    return setmetatable(given, meta)
  end
end

--- ISO 8601 date or instant, `now`, `today`, `-7d`. Binds to a quern.Instant. With `zone`, a text without an offset is local time.
---@param opts? quern.TimeOptions
---@return quern.Param
M.time = constructor("time", { zone = "string" })
--- ISO 8601 duration ("P30D") or a short form ("500ms", "30s", "15m", "2h", "7d"). Binds to its text.
---@param opts? quern.ParamOptions
---@return quern.Param
M.duration = constructor("duration")
--- Any text. Binds to the text.
---@param opts? quern.ParamOptions
---@return quern.Param
M.string = constructor("string")
--- A whole number. Binds to an integer.
---@param opts? quern.NumberOptions
---@return quern.Param
M.integer = constructor("integer", { min = "number", max = "number" })
--- A number. Binds to a number.
---@param opts? quern.NumberOptions
---@return quern.Param
M.number = constructor("number", { min = "number", max = "number" })
--- `true`, `false`, `yes`, `no`, `1`, `0`. Binds to a boolean.
---@param opts? quern.ParamOptions
---@return quern.Param
M.bool = constructor("bool")
--- Comma-separated words, or a JSON array. Binds to a list of strings.
---@param opts? quern.ParamOptions
---@return quern.Param
M.list = constructor("list")
--- One word of `values`. Binds to the text.
---@param opts quern.EnumOptions
---@return quern.Param
M.enum = constructor("enum", { values = "table" })
--- A JSON object or array, for filters and the like. Binds to a table.
---@param opts? quern.ParamOptions
---@return quern.Param
M.table = constructor("table")

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

local SHORT = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

--- Milliseconds of a fixed duration text (ISO 8601 without months, or "500ms", "30s", "2h"); nil if it is neither.
---@param text string
---@return integer?
function M.duration_ms(text)
  local count, unit = text:match "^(%d+)(%a+)$"
  if count and SHORT[unit] then return tonumber(count) * SHORT[unit] end
  return core_time.fixed_ms(text)
end

local BOOLEAN = { ["true"] = true, yes = true, ["1"] = true, ["false"] = false, no = false, ["0"] = false }

local function bounded(param, value)
  if param.min and value < param.min then return nil, ("is below %s"):format(param.min) end
  if param.max and value > param.max then return nil, ("is above %s"):format(param.max) end
  return value
end

local function to_list(text)
  if text:match "^%s*%[" then
    local list, err = json.decode(text)
    if not list then return nil, "is not a JSON array: " .. tostring(err) end
    for index, item in ipairs(list) do
      if type(item) ~= "string" then return nil, ("holds a %s at position %d; strings are expected"):format(type(item), index) end
    end
    return list
  end
  local list = {}
  for item in text:gmatch "[^,]+" do
    local word = item:match "^%s*(.-)%s*$"
    if word ~= "" then list[#list + 1] = word end
  end
  return list
end

-- What a zone changes: the day of "today", and texts without an offset.
local function in_zone(text, now_ms, zone)
  if text:match "^%s*today%s*$" then return time.floor(now_ms, "P1D", zone), false end
  local ms = time.parse(text, zone)
  return ms, ms and true
end

-- Readers take the parameter, the text and the binding context; they give the value, or nil and what is wrong.
local readers = {
  string = function(_, text) return text end,
  time = function(param, text, context)
    local ms, explicit
    if param.zone then
      local known, err = core_time.zone(param.zone)
      if not known then return nil, "cannot be read: " .. tostring(err) end
      ms, explicit = in_zone(text, context.now_ms, param.zone)
    end
    if not ms then ms, explicit = core_time.resolve(text, context.now_ms) end
    if not ms then return nil, tostring(explicit) end
    local grain = context.grain_ms
    if grain and ms % grain ~= 0 then
      if explicit then return nil, ("is not on the grain %s of this query"):format(context.grain) end
      ms = ms - ms % grain
    end
    return instant.new(ms)
  end,
  duration = function(_, text)
    if M.duration_ms(text) or core_time.duration(text) then return text end
    return nil, 'is not a duration such as "P30D", "PT15M", "500ms" or "2h"'
  end,
  integer = function(param, text)
    local value = math.tointeger(tonumber(text))
    if not value then return nil, "is not a whole number" end
    return bounded(param, value)
  end,
  number = function(param, text)
    local value = tonumber(text)
    if not value or value ~= value or value == math.huge or value == -math.huge then return nil, "is not a number" end
    return bounded(param, value)
  end,
  bool = function(_, text)
    local value = BOOLEAN[text:lower()]
    if value == nil then return nil, "is neither true nor false" end
    return value
  end,
  list = function(_, text) return to_list(text) end,
  enum = function(param, text)
    for _, value in ipairs(param.values or {}) do
      if value == text then return value end
    end
    return nil, "is not one of " .. table.concat(param.values or {}, ", ")
  end,
  table = function(_, text)
    local value, err = json.decode(text)
    if type(value) ~= "table" then
      return nil, err and "is " .. tostring(err) or "is not a JSON object or array"
    end
    return value
  end,
}

--- A bound value for people: lists and tables as JSON.
---@param value any
---@return string
function M.text(value)
  if type(value) == "table" and not instant.is(value) then return json.encode(value) end
  return tostring(value)
end

local function usage(message)
  return nil, errors.new("usage", message, { exit = 2 })
end

local function bind_one(name, param, given, context)
  local text = given
  if text == nil then text = param.default end
  if text == nil then
    if param.required then
      return usage(("parameter '%s' is required (a %s); give it with -p %s=VALUE"):format(name, param.kind, name))
    end
    return nil
  end
  if type(text) == "table" and (param.kind == "list" or param.kind == "table") then return text end
  local value, problem = readers[param.kind](param, tostring(text), context)
  if value == nil then
    return usage(("parameter '%s': %q %s"):format(name, tostring(text), problem))
  end
  return value
end

-- What was given under an alias stands under the parameter's name. Both names at once are an error.
local function by_name(params, given)
  local names, copy = {}, {}
  for name, param in pairs(params) do
    if param.alias then names[param.alias] = name end
  end
  for name, value in pairs(given) do
    if names[name] and given[names[name]] then
      return nil, errors.new("usage", ("parameter '%s' is another name of '%s'; give one of them"):format(name, names[name]), { exit = 2 })
    end
    copy[names[name] or name] = value
  end
  return copy
end

--- Binds what was given to the declared parameters. Reads no clock: `context.now_ms` is the run's frozen now.
---@param params table<string, quern.Param>
---@param given table<string, string>
---@param context { now_ms: integer, grain: (fun(bound: table): string?, integer?)? }  `grain`: told all but the times, the
---  grain on which times must lie, as a text and in milliseconds
---@return table? bound
---@return table? err  kind "usage", exit 2
function M.bind(params, given, context)
  local alias_err
  given, alias_err = by_name(params, given)
  if not given then return nil, alias_err end
  for name in pairs(given) do
    if not params[name] then
      local near = options.nearest(name, params)
      local names = options.names(params)
      return usage(("unknown parameter '%s'%s; this query takes %s"):format(
        name, near and ("; did you mean '%s'?"):format(near) or "",
        #names > 0 and table.concat(names, ", ") or "no parameters"))
    end
  end
  local bound = {}
  local function bind_kind(is_time)
    for _, name in ipairs(options.names(params)) do
      local err
      if (params[name].kind == "time") == is_time then bound[name], err = bind_one(name, params[name], given[name], context) end
      if err then return err end
    end
  end
  local err = bind_kind(false)
  if err then return nil, err end
  local times = { now_ms = context.now_ms }
  if context.grain then times.grain, times.grain_ms = context.grain(bound) end
  context = times
  err = bind_kind(true)
  if err then return nil, err end
  return bound
end

return options.strict("quern.param", M, { is = true, bind = true, duration_ms = true, text = true })
