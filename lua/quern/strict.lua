--- What `--strict` adds to a transform, so that nothing of one record is kept for another: records are shared out over
--- workers, and where one begins and another ends differs from run to run.
---
--- Setting a global while a record is transformed is an error that names it. What is kept elsewhere (in a local of the script, in a
--- table) cannot be seen, but shows: each record is transformed twice, and the two answers must be the same.
local M = {}

local HINT = "nothing is kept from record to record: use the record's own values, ctx, or what prepare returns"

--- Makes the globals of a script tell when one is set inside a record.
---@param environment table  of the script; stays the same table, as its functions know it
---@param inside fun(): boolean  is a record being transformed?
function M.watch(environment, inside)
  local globals = {}
  for name, value in pairs(environment) do globals[name] = value end
  for name in pairs(globals) do environment[name] = nil end
  setmetatable(environment, {
    __index = globals,
    __newindex = function(_, name, value)
      if inside() then error(("sets the global '%s', and %s"):format(tostring(name), HINT), 2) end
      globals[name] = value
    end,
    __pairs = function() return pairs(globals) end,
    __metatable = "globals",
  })
end

-- The first place where two answers differ, as "n" or "[2].n"; nil: they are the same.
local function difference(a, b, place)
  if type(a) ~= "table" or type(b) ~= "table" or getmetatable(a) or getmetatable(b) then
    local same = a == b or (a ~= a and b ~= b) -- NaN
    return not same and (place == "" and "its answer" or place) or nil
  end
  for key, value in pairs(a) do
    local at = type(key) == "number" and ("%s[%s]"):format(place, key) or (place == "" and "" or place .. ".") .. tostring(key)
    local found = difference(value, rawget(b, key), at)
    if found then return found end
  end
  for key in pairs(b) do
    if rawget(a, key) == nil then return (place == "" and "" or place .. ".") .. tostring(key) end
  end
end

-- A copy of rows: what a transform is given, it may change, and what it answered, too.
local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then return value end
  local result = {}
  for key, item in pairs(value) do result[key] = copy(item) end
  return result
end

--- A transform that runs twice and raises when the answers differ.
---@param apply quern.Apply
---@return quern.Apply
function M.twice(apply)
  return function(record, row, where, number)
    local again = copy(row)
    local first = copy(apply(record, row, where, number))
    local second = apply(record, again, where, number)
    local place = difference(first, second, "")
    if place then
      error(("the same record gave another answer the second time (%s): %s"):format(place, HINT), 0)
    end
    return second
  end
end

return M
