--- What a script is, by what it returned, and what to say when a command was given another kind.
local errors = require "quern.core.error"

local M = {}

local NAMED = { ["quern.query"] = "query", ["quern.serving"] = "server" } -- metatables of quern.query and quern.serve

---@alias quern.ScriptKind "query"|"program"|"server"|"plugin"

--- nil: none of them.
---@param value any  what the script returned
---@return quern.ScriptKind?
function M.of(value)
  if type(value) == "function" then return "program" end
  if type(value) ~= "table" then return nil end
  local meta = getmetatable(value)
  if type(meta) == "table" then return NAMED[meta.__name] end
  if value.columns or value.transform then return "plugin" end
end

local IS = {
  query = "is a query; 'quern run %s' runs it",
  program = "is a program (it returns a function); 'quern run %s' runs it",
  server = "is a serving script; 'quern emulate' runs those that ship",
  plugin = "is a plugin; 'quern run QUERY --plugin %s' adds it to a query",
}

--- The error for a script of the wrong kind.
---@param path string
---@param value any  what it returned
---@param wanted string  such as "a script that is run returns quern.query { ... } or a function"
---@return table err  kind "script", exit 1
function M.refusal(path, value, wanted)
  local kind = M.of(value)
  local got = value == nil and "nothing" or "a " .. type(value)
  local message = kind and ("%s %s; %s"):format(path, IS[kind]:format(path), wanted) or ("%s returned %s; %s"):format(path, got, wanted)
  return errors.new("script", message, { exit = 1 })
end

return M
