--- The webhook listener of a run (`--listen ADDR`): an API that has finished a job may call, which shortens the next poll.
---
--- Anybody can call, so a call is a hint and no more: its body is capped, never read, and only the unguessable path of a job
--- counts. Any other path is 404.
local core_server = require "quern.core.server"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local hash = require "quern.core.hash"
local task = require "quern.core.task"

local M = {}

local MAX_BODY = 64 * 1024
local HOST = "127.0.0.1"
local PATH = "/quern/" -- followed by 128 bits that nobody can guess

local Listener = {}
Listener.__index = Listener

---@class quern.Hook  one job's path
---@field url string
local Hook = {}
Hook.__index = Hook

--- Host and port of "HOST:PORT", "PORT" or "HOST"; "[::1]:8080" for IPv6.
---@param text string
---@return string? host  nil: it is none of these
---@return integer? port  0: any free one
function M.address(text)
  local host, port = text:match "^%[([%x:%.]+)%]:?(%d*)$"
  if not host then host, port = text:match "^([^:%[%]]*):(%d+)$" end
  if not host and text:find "^%d+$" then host, port = "", text end
  if not host and text:find "^[^:%[%]]+$" then host, port = text, "" end
  if not host then return nil end
  port = math.tointeger(tonumber(port ~= "" and port or "0"))
  if not port or port > 65535 then return nil end
  return host ~= "" and host or HOST, port
end

local function answer(listener, request)
  local hook = request.method == "POST" and listener.hooks[request.path]
  request:respond { status = hook and 204 or 404 }
  event.emit { type = "webhook", known = hook ~= nil and hook ~= false }
  if hook then
    hook.called = true
    hook.changed:set()
  end
end

local function accept_loop(listener)
  local request = listener.server:accept()
  while request do
    answer(listener, request)
    request = listener.server:accept()
  end
end

--- Listens, in a task of the caller's. Close with `:close()`.
---@async
---@param text string  the address, as in M.address
---@return table? listener
---@return table? err  kind "usage"
function M.listen(text)
  local host, port = M.address(text)
  if not host then
    return nil, errors.new("usage", ("--listen '%s' is not an address such as 127.0.0.1:8080"):format(text), { exit = 2 })
  end
  local server, err = core_server.listen { host = host, port = port, max_body = MAX_BODY }
  if not server then return nil, errors.new("usage", ("--listen %s: %s"):format(text, tostring(err)), { exit = 2 }) end
  local shown = host:find ":" and "[" .. host .. "]" or host
  local listener = setmetatable({ server = server, hooks = {}, url = ("http://%s:%d"):format(shown, server:port()) }, Listener)
  event.emit { type = "listening", host = host, port = server:port() }
  task.spawn(accept_loop, listener)
  return listener
end

--- A new path for one job.
---@param public? string  the URL under which the listener is reached from outside; default: its own address
---@return quern.Hook
function Listener:hook(public)
  local path = PATH .. hash.random(16)
  local hook = setmetatable({ listener = self, path = path, url = (public or self.url):gsub("/+$", "") .. path,
                              changed = task.event(), called = false }, Hook)
  self.hooks[path] = hook
  return hook
end

--- Waits until the path is called, at most so long. A call from before counts.
---@async
---@param ms number
---@return boolean called
function Hook:wait(ms)
  if not self.called then self.changed:wait(ms) end
  local called = self.called
  self.called = false
  return called
end

--- The path is forgotten.
function Hook:close()
  self.listener.hooks[self.path] = nil
end

function Listener:close()
  self.server:close()
end

return M
