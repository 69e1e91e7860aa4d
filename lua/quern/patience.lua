--- Staying (`run --wait`): a lane that would be deferred waits instead, with all who use it, and is asked again.
---
--- The pauses grow: 60 s, 120 s, ... up to 30 minutes, or as long as a Retry-After says. After each, one request goes ahead as a
--- probe; if its answer is good the others follow, else the next pause begins. After 24 hours in a row without a good answer
--- everybody gives up.
local event = require "quern.core.event"
local flow = require "quern.core.flow"
local task = require "quern.core.task"
local time = require "quern.core.time"

local M = {
  --- True: clients made from now on stay.
  wanted = false,
}

local FIRST_MS, CAP_MS, BOUND_MS = 60000, 30 * 60000, 24 * 3600000

---@class quern.Patience
---@field since_ms? integer  the trouble's begin; nil: there is none
---@field until_ms? integer  the pause's end
---@field prober? any  whose request is on its way while the others wait
local Patience = {}
Patience.__index = Patience

--- Patience for a lane of quern.attempt, or nil if nobody asked for it.
---@param lane table
---@return quern.Patience?
function M.of(lane)
  return M.wanted and M.new(lane) or nil
end

--- For a lane, or, without one, for a single request.
---@param lane? table
---@return quern.Patience
function M.new(lane)
  return setmetatable({ lane = lane, changed = task.event(), pause_ms = 0, passed_ms = 0 }, Patience)
end

-- The circuit opens for good: a new one takes its place.
local function close_circuit(self)
  if self.lane then self.lane.breaker = flow.breaker(self.lane.policy.breaker_ms) end
end

local function pause(self, wait_ms, why, message)
  self.until_ms, self.prober = task.now() + wait_ms, nil
  self["until"] = time.format(task.wall() + wait_ms, 0)
  event.emit { type = "waiting", reason = why, ms = wait_ms, ["until"] = self["until"], message = message }
  self.changed:set()
end

--- Somebody learned that the API is not available: the first one begins a pause, and so does the one whose probe failed.
---@param who any
---@param why string  "503", "429", ...
---@param message string
---@param least_ms? integer  what a Retry-After says
---@return boolean began  a trouble that was not there before
function Patience:trouble(who, why, message, least_ms)
  if self.over or (self.until_ms and self.prober ~= who) then return false end
  local began = not self.since_ms
  self.since_ms = self.since_ms or task.now()
  self.pause_ms = math.min(math.max(self.pause_ms * 2, FIRST_MS), CAP_MS)
  local wait_ms = math.max(self.pause_ms, least_ms or 0)
  close_circuit(self)
  if task.now() + wait_ms > self.since_ms + BOUND_MS then
    self.over, self.until_ms, self.prober = true, nil, nil
    self.changed:set()
  else
    pause(self, wait_ms, why, message)
  end
  return began
end

--- The probe had a good answer: everybody goes on.
function Patience:back()
  local ms = task.now() - self.since_ms
  self.passed_ms = self.passed_ms + ms
  self.since_ms, self.until_ms, self.prober, self.pause_ms = nil, nil, nil, 0
  close_circuit(self)
  event.emit { type = "resumed", ms = ms }
  self.changed:set()
end

--- May `who` send now, without waiting?
---@param who any
---@return boolean
function Patience:free(who)
  return not self.over and (not self.until_ms or self.prober == who)
end

--- Waits until `who` may send.
---@async
---@param who any
---@param on_wait? fun(ms: integer)
---@return boolean? waited  nil: it has been too long
function Patience:pass(who, on_wait)
  local waited = false
  while not self:free(who) do
    if self.over then return nil end
    local left_ms = self.until_ms - task.now()
    if left_ms <= 0 and not self.prober then
      self.prober = who
      return true
    end
    if on_wait and left_ms >= 1000 then on_wait(left_ms) end
    waited = true
    self.changed:wait(left_ms > 0 and left_ms or nil)
  end
  return waited
end

--- `who` sends nothing any more; if it was the probe, another one is.
---@param who any
function Patience:leave(who)
  if self.prober ~= who then return end
  self.prober = nil
  self.changed:set()
end

--- Milliseconds spent waiting so far, for those who measure how long the API takes.
---@return integer
function Patience:total_ms()
  return self.passed_ms + (self.since_ms and task.now() - self.since_ms or 0)
end

return M
