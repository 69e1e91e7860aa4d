--- The query field `prepare`: look-ups before the first leaf, and how their result reaches the other Lua states.
local errors = require "quern.core.error"
local json = require "quern.core.json"
local raised = require "quern.raised"

local M = {}

local MOST_MB = 64

local function fail(query, format, ...)
  error(errors.new("script", ("prepare of query '%s' "):format(query.name) .. format:format(...), { exit = 1 }), 0)
end

local function text_of(query, value)
  local ok, text = pcall(json.encode, value)
  if not ok then fail(query, "must return what JSON can hold: %s", raised.text(text)) end
  if #text > MOST_MB << 20 then
    fail(query, "returned %d MB of JSON, more than %d MB; return only what requests and transforms need", (#text >> 20) + 1, MOST_MB)
  end
  return text
end

local function copy_of(query, text)
  local ok, copy = pcall(json.decode, text)
  if ok then return copy end
  fail(query, "returned %d MB of JSON, and there is %s for it; return only what requests and transforms need", (#text >> 20) + 1, tostring(copy))
end

--- Calls it. Raises what ends the run: its own error, or that its result is no JSON. Waits.
---@async
---@param query quern.Query
---@param params table
---@param api quern.Client
---@return any shared  a copy of the result, as the other states get it; nil when it returned nothing
---@return string? text  the same as JSON
function M.run(query, params, api)
  local ok, value, problem = pcall(query.prepare, params, api)
  if not ok then value, problem = nil, value end
  if value == nil and problem == nil then return nil end
  if value == nil then
    if errors.is(problem) then error(problem, 0) end
    fail(query, "failed: %s", raised.text(problem))
  end
  local text = text_of(query, value)
  return copy_of(query, text), text
end

return M
