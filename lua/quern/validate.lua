--- Checks for a query's `validate(p)`: each answers nil when all is well, else an error that says what is wrong. The first
--- problem is that of the query:
---
---     validate = function(p)
---       return validate.range(p.from, p.to, { max = "P365D" })
---         or validate.list(p.queues, { name = "queues", max = 50 })
---     end
local core_time = require "quern.core.time"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local instant = require "quern.instant"
local options = require "quern.options"

local M = {}

local function invalid(format, ...)
  return errors.new("invalid", format:format(...), { exit = 5 })
end

-- A value for a message; what is absent reads as nothing.
local function shown(value)
  if value == nil then return "nothing" end
  return json.encode(value)
end

local function bounds(what, value, opts)
  if opts.min and value < opts.min then return invalid("%s: %s is below %s", opts.name, what, opts.min) end
  if opts.max and value > opts.max then return invalid("%s: %s is above %s", opts.name, what, opts.max) end
end

--- `from` is before `to`, and the range is no longer than `max`.
---@param from quern.Instant
---@param to quern.Instant
---@param opts? { max?: string, name?: string }  `max`: ISO duration, calendar-aware; `name`: for the message (default "the range")
---@return quern.Error? problem
function M.range(from, to, opts)
  opts = options.check("quern.validate.range", opts, { max = "string", name = { type = "string", default = "the range" } })
  if not instant.is(from) or not instant.is(to) then error("quern.validate.range takes two time values, such as p.from and p.to", 2) end
  if from >= to then return invalid("%s is empty: %s is not before %s", opts.name, from:iso("s"), to:iso("s")) end
  if opts.max and to > from:add(opts.max) then
    return invalid("%s from %s to %s is longer than %s; ask for less at a time", opts.name, from:iso("s"), to:iso("s"), opts.max)
  end
end

--- A text that is an ISO 8601 date, or an instant with a zone.
---@param text any
---@param name? string  for the message
---@return quern.Error? problem
function M.instant(text, name)
  if type(text) == "string" and core_time.parse(text) then return nil end
  return invalid("%s: %s is not an instant such as 2024-01-01T00:00:00Z", name or "time", shown(text))
end

--- A text that is an ISO 8601 duration.
---@param text any
---@param opts? { name?: string, among?: string[] }  `name`: for the message; `among`: the only ones allowed
---@return quern.Error? problem
function M.duration(text, opts)
  opts = options.check("quern.validate.duration", opts, { name = { type = "string", default = "duration" }, among = "table" })
  if opts.among then return M.enum(text, opts.among, opts.name) end
  if type(text) == "string" and core_time.duration(text) then return nil end
  return invalid("%s: %s is not an ISO 8601 duration such as PT15M", opts.name, shown(text))
end

--- A text "from/to" of two instants, the first before the second.
---@param text any
---@param name? string  for the message
---@return quern.Error? problem
function M.interval(text, name)
  local from, to = tostring(text):match "^([^/]+)/([^/]+)$"
  local from_ms, to_ms = from and core_time.parse(from), to and core_time.parse(to)
  if not from_ms or not to_ms then
    return invalid("%s: %s is not an interval such as 2024-01-01T00:00:00Z/2024-01-02T00:00:00Z", name or "interval", shown(text))
  end
  if from_ms >= to_ms then return invalid("%s: %s is empty", name or "interval", shown(text)) end
end

--- One of a list of values.
---@param value any
---@param list any[]
---@param name? string  for the message
---@return quern.Error? problem
function M.enum(value, list, name)
  local names, known = {}, {}
  for index, allowed in ipairs(list) do
    if value == allowed then return nil end
    names[index] = tostring(allowed)
    known[names[index]] = true
  end
  local near = type(value) == "string" and options.nearest(value, known)
  return invalid("%s: %s is not one of %s%s", name or "value", shown(value), table.concat(names, ", "),
    near and ("; did you mean '%s'?"):format(near) or "")
end

--- A whole number within bounds.
---@param value any
---@param opts? { name?: string, min?: integer, max?: integer }  `name`: for the message; `min`, `max`: the bounds, included
---@return quern.Error? problem
function M.integer(value, opts)
  opts = options.check("quern.validate.integer", opts, { name = { type = "string", default = "value" }, min = "integer", max = "integer" })
  if math.type(value) ~= "integer" then return invalid("%s: %s is not a whole number", opts.name, shown(value)) end
  return bounds(tostring(value), value, opts)
end

-- A list, as against a table with names. An empty table may be either.
local function is_list(value)
  return type(value) == "table" and (json.is_array(value) or #value > 0 or next(value) == nil)
end

--- A list of a length within bounds, each item of which is right.
---@param list any
---@param opts? { name?: string, min?: integer, max?: integer, of?: fun(item: any): any }  `name`: for the message; `min`,
---  `max`: how many items; `of`: the check of an item
---@return quern.Error? problem
function M.list(list, opts)
  opts = options.check("quern.validate.list", opts, {
    name = { type = "string", default = "list" }, min = "integer", max = "integer", of = "function",
  })
  if not is_list(list) then return invalid("%s must be a list", opts.name) end
  local problem = bounds(("its length %d"):format(#list), #list, opts)
  if problem then return problem end
  for index, item in ipairs(opts.of and list or {}) do
    problem = opts.of(item)
    if problem then return invalid("%s[%d]: %s", opts.name, index, tostring(problem)) end
  end
end

--- A tree of expressions: a list of expressions, of which some hold lists again under one of the names in `branches`.
---@param tree any
---@param opts? { name?: string, depth?: integer, count?: integer, branches?: string[] }  `name`: for the message; `depth`: lists within
---  lists, the outermost is 1; `count`: expressions a list; `branches`: default and, or, not
---@return quern.Error? problem
function M.expression(tree, opts)
  opts = options.check("quern.validate.expression", opts, {
    name = { type = "string", default = "expression" }, depth = "integer", count = "integer",
    branches = { type = "table", default = { "and", "or", "not" } },
  })
  local function level(list, place, depth)
    if not is_list(list) then return invalid("%s must be a list of expressions", place) end
    if opts.depth and depth > opts.depth then return invalid("%s is nested deeper than %d levels", place, opts.depth) end
    if opts.count and #list > opts.count then return invalid("%s holds %d expressions, more than %d", place, #list, opts.count) end
    for index, expression in ipairs(list) do
      local here = ("%s[%d]"):format(place, index)
      if type(expression) ~= "table" then return invalid("%s is no expression: %s", here, shown(expression)) end
      for _, branch in ipairs(opts.branches) do
        if expression[branch] ~= nil then
          local problem = level(expression[branch], here .. "." .. branch, depth + 1)
          if problem then return problem end
        end
      end
    end
  end
  return level(tree, opts.name, 1)
end

return options.strict("quern.validate", M, {})
