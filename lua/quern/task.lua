--- Tasks: functions that run side by side. Everything that waits gives the others their turn; there are no callbacks.
---
--- A task's children end with it: when a task returns or fails, what it started is cancelled. A failure that nobody joined
--- becomes the failure of the parent.
local core = require "quern.core.task"
local errors = require "quern.core.error"
local param = require "quern.param"

local M = {}

---@class quern.Task
---@field join fun(self: quern.Task): boolean, ...  waits; true and the results, or false and the error
---@field cancel fun(self: quern.Task, err?: any)  ends it with an error at the place where it waits
---@field status fun(self: quern.Task): string  ready, running, waiting, ending, done, failed or cancelled

--- Milliseconds of a duration: seconds as a number, or "500ms", "5m", "PT5M".
local function duration_ms(duration, where)
  if type(duration) == "number" then
    if duration >= 0 then return duration * 1000 end
  elseif type(duration) == "string" then
    local ms = param.duration_ms(duration)
    if ms then return ms end
  end
  error(("%s: %s is not a duration: give seconds, or a text such as \"500ms\" or \"PT5M\""):format(where, tostring(duration)), 3)
end

--- Starts fn(...) as a child of the current task.
---@param fn function
---@param ... any  what fn gets
---@return quern.Task
function M.spawn(fn, ...)
  return core.spawn(fn, ...)
end

--- Waits.
---@async
---@param duration number|string
function M.sleep(duration)
  core.sleep(duration_ms(duration, "task.sleep"))
end

-- Starts fn(i) for 1 … count, at most `n` at a time, and waits for all. The first failure cancels the others and is raised.
local function run_all(count, n, fn)
  local results, taken, running, failure = {}, 0, 0, nil
  local changed, workers = core.event(), {}
  for index = 1, math.min(n, count) do
    running = running + 1
    workers[index] = core.spawn(function()
      while taken < count and not failure do
        taken = taken + 1
        local at = taken
        local ok, value = pcall(fn, at)
        if not ok then
          failure = failure or { value }
          break
        end
        results[at] = value
      end
      running = running - 1
      changed:set()
    end)
  end
  while running > 0 and not failure do changed:wait() end
  if failure then
    for _, worker in ipairs(workers) do worker:cancel() end
    error(failure[1], 0)
  end
  return results
end

--- fn(item) for each item, at most `n` side by side; the results in the items' order. The first failure cancels the rest
--- and is raised.
---@async
---@generic T, R
---@param list T[]
---@param n integer
---@param fn fun(item: T): R
---@return R[]
function M.map(list, n, fn)
  return run_all(#list, n, function(index) return fn(list[index]) end)
end

--- Runs functions side by side; their results in order. The first failure cancels the others and is raised.
---@async
---@param functions function[]
---@return any[]
function M.all(functions)
  return run_all(#functions, math.max(#functions, 1), function(index) return functions[index]() end)
end

--- Runs functions side by side until the first of them ends: its results, or its error raised. The others are cancelled, and have
--- ended when this returns.
---
---     local answer = task.race { function() return first:get("/x") end, function() return second:get("/x") end }
---@async
---@param functions function[]
---@return any ...  the results of the first
function M.race(functions)
  if type(functions) ~= "table" or #functions == 0 then error("task.race takes a list of functions, at least one", 2) end
  local over, children, first = core.event(), {}, nil
  for index, fn in ipairs(functions) do
    if type(fn) ~= "function" then error(("task.race: item %d is a %s, not a function"):format(index, type(fn)), 2) end
    children[index] = core.spawn(function()
      local outcome = table.pack(pcall(fn))
      first = first or outcome
      over:set()
    end)
  end
  while not first do over:wait() end
  for _, child in ipairs(children) do child:cancel() end
  for _, child in ipairs(children) do child:join() end
  if not first[1] then error(first[2], 0) end
  return table.unpack(first, 2, first.n)
end

--- A queue between tasks that holds at most `capacity` values (default 1): who sends waits while it is full, who receives waits while
--- it is empty. Whoever came first has the first turn.
---
---     local found <close> = task.channel(10)
---     task.spawn(function()
---       for n = 1, 100 do found:send(n) end
---       found:close()
---     end)
---     for n in found:each() do print(n) end
---@param capacity? integer
---@return quern.Channel
function M.channel(capacity)
  if capacity ~= nil and (math.type(capacity) ~= "integer" or capacity < 1) then
    error(("task.channel: the capacity is a whole number from 1, not %s"):format(tostring(capacity)), 2)
  end
  return require("quern.channel").new(capacity or 1)
end

--- fn(...), but no longer than a duration: then it is cancelled and nil, err (kind "timeout") comes back.
---@async
---@param duration number|string
---@param fn function
---@param ... any  what fn gets
---@return any
function M.timeout(duration, fn, ...)
  local ms = duration_ms(duration, "task.timeout")
  local over = core.event()
  local child = core.spawn(function(...)
    local results = table.pack(pcall(fn, ...))
    over:set()
    return table.unpack(results, 1, results.n)
  end, ...)
  if child:status() ~= "done" and not over:wait(ms) then
    child:cancel()
    return nil, errors.new("timeout", ("not done within %s"):format(type(duration) == "number" and duration .. " s" or duration))
  end
  local outcome = table.pack(child:join())
  if not outcome[1] then error(outcome[2], 0) end
  if not outcome[2] then error(outcome[3], 0) end
  return table.unpack(outcome, 3, outcome.n)
end

return M
