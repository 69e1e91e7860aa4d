--- Channels: queues between tasks that hold so much and no more. See quern.task.channel.
---
--- Those who wait stand in two lines, of senders and of receivers, and only the first of a line may go: nobody who comes later is
--- served before. A waiter that is cancelled leaves its line and lets the next one look.
local task = require "quern.core.task"
local errors = require "quern.core.error"

local M = {}

-- ---- lines ----

---@class quern.channel.Line
local Line = {}
Line.__index = Line

local function line()
  return setmetatable({ first = 1, last = 0 }, Line)
end

-- Lets the first look whether it may go now.
function Line:wake()
  local event = self[self.first]
  if event then event:set() end
end

function Line:empty()
  return self.first > self.last
end

function Line:leave(event)
  for index = self.first, self.last do
    if self[index] == event then
      table.move(self, self.first, index - 1, self.first + 1)
      self[self.first] = nil
      self.first = self.first + 1
      break
    end
  end
  self:wake()
end

-- Waits until it is the caller's turn and may(channel) holds.
function Line:pass(may, channel)
  if self:empty() and may(channel) then return end
  local event = task.event()
  self.last = self.last + 1
  self[self.last] = event
  local _ <close> = setmetatable({}, { __close = function() self:leave(event) end }) -- also when cancelled
  while self[self.first] ~= event or not may(channel) do event:wait() end
end

-- ---- channels ----

---@class quern.Channel  a queue between tasks; a `<close>` variable closes it
local Channel = {}
Channel.__index = Channel
Channel.__name = "quern.channel"

local function may_send(channel)
  return channel.closed or channel.count < channel.capacity
end

local function may_receive(channel)
  return channel.closed or channel.count > 0
end

local function closed_error()
  return errors.new("closed", "the channel is closed")
end

--- Puts a value at its end. Waits while the channel is full.
---@async
---@param value any  not nil
---@return true? ok
---@return quern.Error? err  kind "closed": the channel is closed, and the value is not in it
function Channel:send(value)
  if value == nil then error("channel:send: nil cannot be sent", 2) end
  self.senders:pass(may_send, self)
  if self.closed then return nil, closed_error() end
  self.count = self.count + 1
  self[self.first + self.count - 1] = value
  self.receivers:wake()
  return true
end

--- Takes the value at its front. Waits while the channel is empty.
---@async
---@return any value
---@return quern.Error? err  kind "closed": the channel is closed and all its values are taken
function Channel:receive()
  self.receivers:pass(may_receive, self)
  if self.count == 0 then return nil, closed_error() end
  local value = self[self.first]
  self[self.first] = nil
  self.first, self.count = self.first + 1, self.count - 1
  self.senders:wake()
  return value
end

--- An iterator that receives until the channel is closed and empty.
---@return fun(): any
function Channel:each()
  return function() return (self:receive()) end
end

--- Ends it: nothing can be sent any more, not even what its sender waits with; values that are in it can still be received. Closing
--- twice does nothing.
function Channel:close()
  self.closed = true
  self.senders:wake()
  self.receivers:wake()
end

Channel.__close = Channel.close

--- How many values are in it.
---@return integer
function Channel:__len()
  return self.count
end

--- A channel; see quern.task.channel.
---@param capacity integer
---@return quern.Channel
function M.new(capacity)
  return setmetatable({ capacity = capacity, count = 0, first = 1, closed = false, senders = line(), receivers = line() }, Channel)
end

return M
