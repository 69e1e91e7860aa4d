--- Limits: how many requests at once, in a window, and how far apart. Whoever shares a limit waits together.
---
---     client = { base_url = "...", limit = quern.limit { rate = "300/min", concurrency = 4 } }
local flow = require "quern.core.flow"
local task = require "quern.core.task"
local options = require "quern.options"
local param = require "quern.param"

local M = {}

local WINDOWS = { s = 1000, sec = 1000, min = 60000, m = 60000, h = 3600000, hour = 3600000 }
local REQUESTS_AT_ONCE = 8

local meta = { __name = "quern.limit.spec" }

---@class quern.LimitSpec
---@field concurrency integer
---@field count integer  starts in any window; 0: no bound
---@field window_ms integer
---@field pace_ms integer

local function parse_rate(rate)
  if not rate or rate == "none" then return 0, 60000 end
  local count, unit = rate:match "^(%d+)/(%a+)$"
  if not count or not WINDOWS[unit] or tonumber(count) < 1 then return nil end
  return math.tointeger(tonumber(count)), WINDOWS[unit]
end

--- A limit. `rate`: "300/min", "10/s" or "none"; `concurrency`: requests at once (8); `pace`: least time between two starts.
---@param opts? { rate?: string, concurrency?: integer, pace?: string }
---@return quern.LimitSpec
function M.new(opts)
  opts = options.check("quern.limit", opts, { rate = "string", concurrency = { type = "integer", default = REQUESTS_AT_ONCE },
                                              pace = "string" })
  local count, window_ms = parse_rate(opts.rate)
  if not count then error(("quern.limit: rate '%s' is not such as \"300/min\", \"10/s\" or \"none\""):format(opts.rate), 2) end
  if opts.concurrency < 1 then error("quern.limit: concurrency must be at least 1", 2) end
  local pace_ms = opts.pace and param.duration_ms(opts.pace) or 0
  if opts.pace and not param.duration_ms(opts.pace) then
    error(("quern.limit: pace '%s' is not a duration such as \"500ms\""):format(opts.pace), 2)
  end
  return setmetatable({ concurrency = opts.concurrency, count = count, window_ms = window_ms, pace_ms = pace_ms }, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

local Gate = {}
Gate.__index = Gate

--- The gate that a limit describes. Requests enter one after another, first come, first served.
---@param spec quern.LimitSpec
function M.gate(spec)
  return setmetatable({ limit = flow.limit(spec), changed = task.event(), held_ms = 0 }, Gate)
end

--- Waits for a turn. The ticket is to be closed (`local ticket <close> = gate:enter()`): that gives the turn back.
---@async
function Gate:enter()
  local waiting <close> = self:guard(self.limit:ticket())
  while true do
    local wait_ms = waiting.ticket:ask(task.now())
    if wait_ms == 0 then break end
    self.changed:wait(wait_ms)
  end
  local ticket = waiting.ticket
  waiting.ticket = nil -- it runs: the caller's guard takes over
  self.changed:set() -- the next in line may ask
  return self:guard(ticket)
end

-- Leaves when closed, unless the ticket was handed on.
function Gate:guard(ticket)
  local gate = self
  return setmetatable({ ticket = ticket }, { __close = function(held)
    if not held.ticket then return end
    held.ticket:leave()
    gate.changed:set()
  end })
end

--- Nobody starts for this long.
---@param ms integer
function Gate:hold(ms)
  self.limit:hold(task.now() + ms)
  self.changed:set()
end

return M
