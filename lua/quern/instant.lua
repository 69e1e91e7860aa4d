--- Time values: what `p.from`, `chunk.from` and `chunk.to` are. Immutable, comparable, printable.
---
---     p.from:iso("s")    --> "2024-01-01T00:00:00Z"
---     p.from:iso("ms")   --> "2024-01-01T00:00:00.000Z"
---     p.from < p.to, p.from.ms
local time = require "quern.core.time"

local M = {}

---@class quern.Instant  a time value: compares (<, ==), prints as ISO 8601, concatenates with texts, never changes
---@field ms integer  milliseconds since 1970-01-01T00:00:00Z
local methods = {}
local DIGITS = { s = 0, ms = 3 }

--- ISO 8601 text in UTC, or with a zone in its local time and with its offset.
---@param self quern.Instant
---@param precision? "s"|"ms"  whole seconds, or three decimals (default)
---@param zone? string  such as "Europe/Berlin"
---@return string
function methods.iso(self, precision, zone)
  local digits = DIGITS[precision or "ms"]
  if not digits then
    error(('iso: precision is "s" or "ms", not %q'):format(tostring(precision)), 2)
  end
  return time.format(self.ms, digits, zone)
end

--- The instant a calendar-aware ISO 8601 duration later (`times` of them; negative goes back).
---@param self quern.Instant
---@param duration string  such as "P1M" or "PT15M"
---@param times? integer  default 1
---@param zone? string  months and days are counted on its calendar
---@return quern.Instant
function methods.add(self, duration, times, zone)
  return M.new(time.add(self.ms, duration, times or 1, zone))
end

local meta = {
  __name = "quern.instant",
  __index = methods,
  __newindex = function() error("a time value cannot be changed", 2) end,
  __tostring = function(self) return time.format(self.ms, 3) end,
  __eq = function(a, b) return a.ms == b.ms end,
  __lt = function(a, b) return a.ms < b.ms end,
  __le = function(a, b) return a.ms <= b.ms end,
  __concat = function(a, b) return tostring(a) .. tostring(b) end,
}

---@param ms integer
---@return quern.Instant
function M.new(ms)
  return setmetatable({ ms = ms }, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return M
