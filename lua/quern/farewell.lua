--- What is still to be told to others when a command has ended, however it ended: a job that nobody will read is cancelled, an
--- alert is sent. It runs after the command's own task, so that an interrupt does not end it; a second interrupt does.
local task = require "quern.core.task"

local M = {}

local LIMIT_MS = 10000

local pending = {}

--- Runs fn when the command has ended, side by side with the others. It may wait.
---@param fn fun()
---@return fun() forget  takes it back
function M.add(fn)
  local entry = { fn = fn }
  pending[entry] = true
  return function() pending[entry] = nil end
end

--- Runs all that were added, and waits for them: at most 10 s. Their errors do not matter any more.
---@async
function M.run()
  local entries, running, over = pending, 0, task.event()
  pending = {}
  local children = {}
  for entry in pairs(entries) do
    running = running + 1
    children[running] = task.spawn(function()
      pcall(entry.fn)
      running = running - 1
      over:set()
    end)
  end
  local until_ms = task.now() + LIMIT_MS
  while running > 0 and task.now() < until_ms do over:wait(until_ms - task.now()) end
  for _, child in ipairs(children) do child:cancel() end
end

return M
