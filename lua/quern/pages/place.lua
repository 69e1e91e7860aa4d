--- Where a pager puts its values in a request: the url query, or a member of the JSON body.
local json = require "quern.core.json"

local M = {}

--- A copy of a request, or of a value in it, that a pager may change.
---@param value any
---@return any
function M.copy(value)
  if type(value) ~= "table" or (getmetatable(value) and not json.is_array(value)) then return value end
  local result = json.is_array(value) and json.array {} or {}
  for key, item in pairs(value) do result[key] = M.copy(item) end
  return result
end

--- An option that may be a function of the parameters.
---@param value any
---@param p table
---@return any
function M.resolved(value, p)
  if type(value) == "function" then return value(p) end
  return value
end

--- The option `size`: a whole number from 1.
---@param value any
---@param p table
---@param where string  the function's name, for messages
---@return integer
function M.size(value, p, where)
  local size = M.resolved(value, p)
  if math.type(size) ~= "integer" or size < 1 then
    error(("%s: the option 'size' must be a whole number from 1, not %s"):format(where, tostring(size)), 0)
  end
  return size
end

-- The table in the JSON body that a place names, made where it is missing.
local function in_body(where, body, place)
  if type(body) ~= "table" then
    error(("%s: the option 'body' needs a request with a json body"):format(where), 0)
  end
  for name in (place == true and "" or place):gmatch "[^.]+" do
    if body[name] == nil then body[name] = {} end
    body = body[name]
    if type(body) ~= "table" then
      error(("%s: body = '%s', but '%s' is no object in the request's body"):format(where, place, name), 0)
    end
  end
  return body
end

--- Puts values into a request.
---@param request quern.Request  changed
---@param place? string|boolean  the body's member ("a.b" is one within another), or true: the body itself; else the url query
---@param values table<string, any>
---@param where string  the function's name, for messages
function M.put(request, place, values, where)
  local target
  if place then
    target = in_body(where, request.json, place)
  else
    request.query = request.query or {}
    target = request.query
  end
  for name, value in pairs(values) do target[name] = value end
end

return M
