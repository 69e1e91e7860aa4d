--- A bounded queue of events and the task that hands them on, one after another: for readers of the stream that wait, which no
--- subscriber may (`on_event`, alerts).
local core = require "quern.core.event"
local errors = require "quern.core.error"
local events = require "quern.events"
local task = require "quern.core.task"

local M = {}

local MOST = 1000 -- events that may wait

---@class quern.Feed
local Feed = {}
Feed.__index = Feed
Feed.__name = "quern.feed"

local function log(level, message)
  core.emit { type = "log", level = level, message = message }
end

-- What fn itself makes happen is not told to it: a hook that sends a request would never come to an end.
local function take_in(feed, event)
  if coroutine.running() == feed.thread then return end
  if feed.last - feed.first >= feed.most then
    feed.dropped = feed.dropped + 1
    return
  end
  feed.last = feed.last + 1
  feed.queue[feed.last] = event
  feed.changed:set()
end

local ENDS = { cancelled = true, interrupted = true }

local function next_event(feed)
  if feed.first == feed.last then return nil end
  feed.first = feed.first + 1
  local event = feed.queue[feed.first]
  feed.queue[feed.first] = nil
  return event
end

local function hand_on(feed)
  feed.thread = coroutine.running()
  while true do
    local event = next_event(feed)
    if event then
      local ok, err = pcall(feed.fn, event)
      if not ok and errors.is(err) and ENDS[err.kind] then return end -- close hands the others on
      if not ok then
        log("error", ("%s failed and is not called any more: %s"):format(feed.name, tostring(err)))
        feed.failed = true
        return
      end
    elseif feed.closed then
      return
    else
      feed.changed:wait()
    end
  end
end

local function work(feed)
  local _ <close> = setmetatable({}, { __close = function()
    feed.worker = nil
    feed.ended:set()
  end })
  pcall(hand_on, feed) -- an error here is that it was cancelled while it waited
end

--- Calls fn(event) for each event from now on, in a task of its own; fn may wait. When fn raises, that is logged and it is not
--- called again. When the task that started it ends before close, close hands on what is queued.
---@param name string  for messages
---@param fn fun(event: table)
---@param opts? { type?: string|string[], most?: integer }  `type`: only these events; `most`: how many may wait (1000)
---@return quern.Feed
function M.start(name, fn, opts)
  opts = opts or {}
  local feed = setmetatable({ name = name, fn = fn, most = opts.most or MOST, queue = {}, first = 0, last = 0, dropped = 0,
                              changed = task.event(), ended = task.event() }, Feed)
  feed.subscription = events.subscribe(function(event) take_in(feed, event) end, { type = opts.type })
  feed.worker = task.spawn(work, feed)
  return feed
end

--- No event is taken in any more; waits until those that are queued have been handed on. Twice is fine.
---@async
---@param limit_ms? integer  at most so long; what is left then is dropped. Absent: as long as it takes
function Feed:close(limit_ms)
  if self.closed then return end
  self.closed = true
  self.subscription:close()
  self.changed:set()
  if not self.worker and not self.failed and self.first < self.last then self.worker = task.spawn(work, self) end
  local until_ms = limit_ms and task.now() + limit_ms
  while self.worker and not (until_ms and task.now() >= until_ms) do self.ended:wait(until_ms and until_ms - task.now()) end
  if self.worker then self.worker:cancel() end
  local lost = self.dropped + (self.failed and 0 or self.last - self.first)
  if lost > 0 then
    log("warn", ("%s was slower than the run: %d event%s dropped"):format(self.name, lost, lost == 1 and " was" or "s were"))
  end
end

return M
