--- Times: ISO 8601 texts and milliseconds since 1970-01-01T00:00:00Z. All of it may be used in transforms.
---
--- A zone is an IANA name such as "Europe/Berlin". A local time that clocks skip is taken as far behind the gap as it is behind the
--- gap's beginning; one that comes twice is the first. A name that is none raises.
local core = require "quern.core.time"
local errors = require "quern.core.error"
local options = require "quern.options"

local M = {}

local DIGITS = { s = 0, ms = 3 }
local MOST_RANGES = 1000000

--- Milliseconds of an ISO 8601 date (midnight UTC) or instant with a zone.
---@param text string
---@param zone? string  what a text without one means: a date is midnight there, a date with time is local
---@return integer? ms
---@return table? err
function M.parse(text, zone)
  if type(text) ~= "string" then error("time.parse takes a text such as \"2024-01-01T00:00:00Z\"", 2) end
  if not zone then return core.parse(text) end
  local is_local = text:find "^%s*%d%d%d%d%-%d%d%-%d%d%s*$" or not (text:find "[Zz]%s*$" or text:find "[+-]%d%d:?%d%d%s*$")
  if not is_local then return core.parse(text) end
  local as_utc, err = core.parse(text)
  if not as_utc then as_utc, err = core.parse(text .. "Z") end
  if not as_utc then return nil, err end
  return core.instant(as_utc, zone)
end

--- ISO 8601 text in UTC, or with a zone in its local time and with its offset.
---@param ms integer
---@param precision? "s"|"ms"  whole seconds, or three decimals (default)
---@param zone? string
---@return string
function M.format(ms, precision, zone)
  local digits = DIGITS[precision or "ms"]
  if not digits then error(('time.format: precision is "s" or "ms", not %q'):format(tostring(precision)), 2) end
  return core.format(ms, digits, zone)
end

--- `times` durations later; calendar-aware ("P1M" keeps the day of the month where there is one). With a zone months and days are
--- counted on its calendar, so that a day across a change of clocks has 23 or 25 hours.
---@param ms integer
---@param duration string  ISO 8601
---@param times? integer  default 1; negative goes back
---@param zone? string
---@return integer ms
function M.add(ms, duration, times, zone)
  return core.add(ms, duration, times or 1, zone)
end

--- Months, days and milliseconds of an ISO 8601 duration.
---@param text string
---@return { months: integer, days: integer, ms: integer }?
---@return table? err
function M.duration(text)
  return core.duration(text)
end

--- What local clocks are ahead of UTC, in milliseconds.
---@param ms integer
---@param zone string
---@return integer ms
function M.offset(ms, zone)
  return core.offset(ms, zone)
end

-- The first instant of a step of local clocks. One below a day that comes twice begins twice.
local function from_clock(floored, clock, ms, zone)
  local same = ms - (clock - floored)
  return core.offset(same, zone) == core.offset(ms, zone) and same or core.instant(floored, zone)
end

--- The first instant of the day, week (Monday), month, quarter or year, or of the multiple of a fixed duration, that holds an instant.
---@param ms integer
---@param unit string  "P1D", "P7D" (or "P1W"), months or years ("P1M", "P3M", "P1Y"), or another duration without months
---@param zone? string  default UTC
---@return integer ms
function M.floor(ms, unit, zone)
  local duration, err = core.duration(unit)
  if not duration then error("time.floor: " .. tostring(err), 2) end
  local clock = zone and ms + core.offset(ms, zone) or ms
  local date = core.format(clock, 0)
  local floored
  if duration.months ~= 0 then
    if duration.days ~= 0 or duration.ms ~= 0 then error(("time.floor: %s has months and other parts"):format(unit), 2) end
    local months = tonumber(date:sub(1, 4)) * 12 + tonumber(date:sub(6, 7)) - 1
    months = months - months % duration.months
    floored = core.parse(("%04d-%02d-01"):format(months // 12, months % 12 + 1))
  elseif duration.days == 7 then floored = core.floor(clock - 4 * 86400000, "P7D") + 4 * 86400000 -- 1970-01-05 was a Monday
  else floored = core.floor(clock, unit) end
  if not zone then return floored end
  local below_a_day = duration.months == 0 and duration.days == 0
  return below_a_day and from_clock(floored, clock, ms, zone) or core.instant(floored, zone)
end

---@class quern.RangesOptions
---@field zone? string  months and days are counted on its calendar
---@field aligned? boolean  the first range ends at the next beginning of a day, month, ... (see floor), so that only the first and the last
---  may be shorter

--- Half-open ranges of a size that cover [from, to).
---@param from integer  milliseconds
---@param to integer
---@param size string  ISO 8601 duration
---@param opts? quern.RangesOptions
---@return integer[][] ranges  pairs of from and to
function M.ranges(from, to, size, opts)
  opts = options.check("time.ranges", opts, { zone = "string", aligned = "boolean" })
  if not core.duration(size) then error(("time.ranges: '%s' is not an ISO 8601 duration such as P1D"):format(tostring(size)), 2) end
  local origin = opts.aligned and M.floor(from, size, opts.zone) or from
  local list, at, times = {}, from, 0
  while at < to do
    local edge
    repeat -- a step of the calendar may stand still where clocks change
      times = times + 1
      edge = core.add(origin, size, times, opts.zone)
    until edge > at
    list[#list + 1] = { at, math.min(edge, to) }
    if #list > MOST_RANGES then error(errors.new("limit", ("more than %d ranges of %s"):format(MOST_RANGES, size), { bound = "ranges" }), 0) end
    at = edge
  end
  return list
end

return options.strict("quern.time", M, {})
