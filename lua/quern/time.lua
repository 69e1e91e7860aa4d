--- Times: ISO 8601 texts and milliseconds since 1970-01-01T00:00:00Z.
local core = require "quern.core.time"

local M = {}

--- Milliseconds of an ISO 8601 date (midnight UTC) or instant with a zone.
---@param text string
---@return integer? ms
---@return table? err
function M.parse(text)
  if type(text) ~= "string" then error("time.parse takes a text such as \"2024-01-01T00:00:00Z\"", 2) end
  return core.parse(text)
end

--- ISO 8601 text in UTC.
---@param ms integer
---@param precision? "s"|"ms"  whole seconds, or three decimals (default)
---@return string
function M.format(ms, precision)
  return core.format(ms, precision == "s" and 0 or 3)
end

--- `times` durations later; calendar-aware ("P1M" keeps the day of the month where there is one).
---@param ms integer
---@param duration string  ISO 8601
---@param times? integer  default 1; negative goes back
---@return integer ms
function M.add(ms, duration, times)
  return core.add(ms, duration, times or 1)
end

--- Months, days and milliseconds of an ISO 8601 duration.
---@param text string
---@return { months: integer, days: integer, ms: integer }?
---@return table? err
function M.duration(text)
  return core.duration(text)
end

return M
