--- Tables that can be read like others and not be changed: a transform's `ctx` and all that is in it, so that no record sees what another
--- left there.
local view = require "quern.core.view"

local M = {}

local NAME = "quern.frozen"

local function refuse()
  error("ctx cannot be changed; a transform keeps nothing from record to record", 2)
end

-- The data behind a frozen table; nil: the value is something else.
local function data_of(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and meta.__name == NAME and meta.__data or nil
end

local function holds_tables(data)
  for _, item in next, data do
    if type(item) == "table" then return true end
  end
  return false
end

--- The value, frozen. Its tables belong to it from now on. What is in them is frozen when it is first reached: `prepare` may bring much of
--- which a page needs little.
---@generic T
---@param value T
---@return T
function M.new(value)
  if type(value) ~= "table" or data_of(value) then return value end
  local data = value
  local function at(key)
    local item = data[key]
    if type(item) == "table" and not data_of(item) then
      item = M.new(item)
      data[key] = item
    end
    return item
  end
  local function step(_, key)
    key = next(data, key)
    if key ~= nil then return key, at(key) end
  end
  return setmetatable({}, {
    __index = holds_tables(data) and function(_, key) return at(key) end or data,
    __newindex = refuse,
    __pairs = function(self) return step, self, nil end,
    __len = function() return #data end,
    __data = data, -- what is written when it stands in a row (core/lua/json_encode.c)
    __name = NAME,
  })
end

--- A record or a frozen table as a table that one may look into by next, and change; any other value as it is.
---@param value any
---@return any
function M.plain(value)
  if view.is_view(value) then return view.table(value) end
  local data = data_of(value)
  if not data then return value end
  local copy = {}
  for key, item in pairs(data) do copy[key] = item end
  return copy
end

return M
