--- Serving scripts: HTTP handlers in Lua, for the emulator and for tests of one's own.
---
---     return quern.serve {
---       name = "hello",
---       params = { greeting = quern.param.string { default = "hello" } },
---       handler = function(p)
---         return function(request) return { status = 200, json = { text = p.greeting } } end
---       end,
---     }
---
--- `handler(p)` is called once with the bound parameters; the function it returns is called for each request, in a task of
--- its own (it may wait), and answers a quern.ServedAnswer. A handler that cannot work with its parameters returns nil and
--- what is wrong; then nothing is served.
local core_server = require "quern.core.server"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local json = require "quern.core.json"
local task = require "quern.core.task"
local kind = require "quern.kind"
local options = require "quern.options"
local param = require "quern.param"
local scripts = require "quern.script"

local M = {}

local meta = { __name = "quern.serving" }

---@class quern.ServedRequest
---@field method string  such as "GET"
---@field path string  without the url query, as it came: still percent-encoded
---@field query string  the raw url query, "" when absent
---@field headers table<string, string>  lower-case names
---@field body string  as it came

---@class quern.ServedAnswer
---@field status? integer  default 200
---@field headers? table<string, any>  names to values, at most 64
---@field json? any  the body, written as JSON; or
---@field body? string  the body as it is
---@field gzip? boolean  packs the body if the request accepts gzip
---@field chunked? boolean  sends the body in chunks, without its length
---@field after? number  seconds to wait first
---@field fault? "reset"|"truncate"|"hang"|"close"  what goes wrong: reset the connection, stop after `cut` bytes, never answer, close after it
---@field cut? integer  bytes of the body that are sent before it is truncated
---@field afterwards? fun()  called once the answer is on its way, in the request's task: it may wait

---@class quern.Serving
---@field name string  used in messages
---@field summary? string  one line of help
---@field params? table<string, quern.Param>  parameters by name
---@field handler fun(p: table): fun(request: quern.ServedRequest): quern.ServedAnswer  makes the function that answers each request

--- Makes a serving script of its definition. Misuse raises with the field's name.
---@param spec quern.Serving
---@return quern.Serving
function M.new(spec)
  local serving = options.check("quern.serve", spec, {
    name = { type = "string", required = true }, summary = "string", params = { type = "table", default = {} },
    handler = { type = "function", required = true },
  })
  return setmetatable(serving, meta)
end

function M.is(value)
  return getmetatable(value) == meta
end

local function header_list(answer)
  local list = {}
  for _, name in ipairs(options.names(answer.headers or {})) do
    list[#list + 1] = { name, tostring(answer.headers[name]) }
  end
  if answer.json ~= nil then list[#list + 1] = { "Content-Type", "application/json" } end
  return list
end

local ENDS = { cancelled = true, interrupted = true }

-- Calls fn(...). What it raises is logged, except for the end of the task itself.
local function guarded(what, fn, ...)
  local ok, value = pcall(fn, ...)
  if ok then return value end
  if errors.is(value) and ENDS[value.kind] then error(value, 0) end
  event.emit { type = "log", level = "error", message = ("%s failed: %s"):format(what, tostring(value)) }
end

local function send(request, answer)
  request:respond {
    status = answer.status or 200, headers = header_list(answer),
    body = answer.json ~= nil and json.encode(answer.json) or answer.body or "",
    gzip = answer.gzip, chunked = answer.chunked, fault = answer.fault, cut = answer.cut,
  }
end

local function answer_one(handle, request)
  local answer = guarded("the handler", handle, request) or { status = 500, json = { message = "the handler failed" } }
  if answer.after then task.sleep(answer.after * 1000) end
  guarded("the answer", send, request, answer)
  event.emit { type = "served", method = request.method, path = request.path, status = answer.status or 200, fault = answer.fault }
  if answer.afterwards then guarded("afterwards", answer.afterwards) end
end

local function accept_loop(server, handle)
  local request = server:accept()
  while request do
    local served = request
    task.spawn(function() answer_one(handle, served) end)
    request = server:accept()
  end
end

--- Serves until interrupted. Emits `listening` with the port.
---@async
---@param opts { script: string, scripts_dir: string, params: table<string, string>, host: string?, port: integer? }
---@return table? result
---@return table? err
function M.run(opts)
  local script, err = scripts.load(opts.script, opts.scripts_dir)
  if not script then return nil, err end
  if not M.is(script.value) then
    return nil, kind.refusal(script.path, script.value, "what is served returns quern.serve { ... }")
  end
  local bound, bind_err = param.bind(script.value.params, opts.params or {}, { now_ms = task.wall() })
  if not bound then return nil, bind_err end
  local handle, refusal = script.value.handler(bound)
  if not handle then return nil, errors.new("usage", tostring(refusal), { exit = 2 }) end
  local server, listen_err = core_server.listen { host = opts.host or "127.0.0.1", port = opts.port or 0 }
  if not server then return nil, listen_err end
  event.emit { type = "listening", host = opts.host or "127.0.0.1", port = server:port() }
  local ok, problem = pcall(accept_loop, server, handle)
  server:close()
  if not ok and not (errors.is(problem) and problem.kind == "interrupted") then error(problem, 0) end
  return { exit = 0 }
end

return M
