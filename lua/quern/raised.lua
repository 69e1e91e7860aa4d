--- What was raised, as an error with a message: a script may raise anything.
local errors = require "quern.core.error"

local M = {}

local MEMORY = "not enough memory" -- Lua's own words, and all that it says

---@param value any
---@return string
function M.text(value)
  if errors.is(value) then return tostring(value.message) end
  if value == MEMORY then return MEMORY .. "; what a script keeps may take 256 MB" end
  local meta = getmetatable(value)
  local plain = type(value) == "string" or type(value) == "number" or type(meta) == "table" and meta.__tostring
  return plain and tostring(value) or "an error without a text"
end

--- The value itself if it is an error, else one of kind "script" (1).
---@param value any
---@return table err
function M.error(value)
  return errors.is(value) and value or errors.new("script", M.text(value), { exit = 1 })
end

return M
