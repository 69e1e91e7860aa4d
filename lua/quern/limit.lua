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
local MOST_A_WINDOW = 100000

local meta = { __name = "quern.limit.spec" }

---@class quern.Limit  opaque: what quern.limit gives. Shared by the clients it is given to; copied with other fields it is a limit of its own
---@field concurrency integer
---@field rate? string
---@field pace? string

---@class quern.LimitOptions
---@field rate? string  most starts in any window: "300/min", "10/s", "5000/h" or "none"; absent: none. `--rate` wins
---@field concurrency? integer  requests at once
---@field pace? string  least time between two starts, such as "200ms"

local function parse_rate(rate)
  if not rate or rate == "none" then return 0, 60000 end
  local count, unit = rate:match "^(%d+)/(%a+)$"
  count = math.tointeger(tonumber(count))
  if not count or not WINDOWS[unit] or count < 1 or count > MOST_A_WINDOW then return nil end
  return count, WINDOWS[unit]
end

--- A limit. Requests start first come, first served; a 429 holds all who share it.
---@param opts? quern.LimitOptions
---@return quern.Limit
function M.new(opts)
  opts = options.check("quern.limit", opts, { rate = "string", concurrency = { type = "integer", default = REQUESTS_AT_ONCE },
                                              pace = "string" })
  if not parse_rate(opts.rate) then
    error(("quern.limit: rate '%s' is not such as \"300/min\", \"10/s\" or \"none\""):format(opts.rate), 2)
  end
  if opts.concurrency < 1 then error("quern.limit: concurrency must be at least 1", 2) end
  if opts.pace and not param.duration_ms(opts.pace) then
    error(("quern.limit: pace '%s' is not a duration such as \"500ms\""):format(opts.pace), 2)
  end
  return setmetatable(opts, meta)
end

--- The limit in the words of quern.core.flow.
---@param limit quern.Limit
---@return { concurrency: integer, count: integer, window_ms: integer, pace_ms: integer }
function M.bounds(limit)
  local count, window_ms = parse_rate(limit.rate)
  return { concurrency = limit.concurrency, count = count, window_ms = window_ms,
           pace_ms = limit.pace and param.duration_ms(limit.pace) or 0 }
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

local Gate = {}
Gate.__index = Gate

local gates = setmetatable({}, { __mode = "k" }) -- a limit's gate, made when its first client is

--- The gate of a limit: one for all who share it. Requests enter one after another, first come, first served.
---@param limit quern.Limit
function M.gate(limit)
  local gate = gates[limit]
  if not gate then
    gate = setmetatable({ limit = flow.limit(M.bounds(limit)), changed = task.event() }, Gate)
    gates[limit] = gate
  end
  return gate
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
