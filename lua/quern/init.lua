--- quern: the names that scripts use. `local quern = require "quern"`.
---
--- Everything here may be called while a script loads: constructors only describe; nothing reads, waits or sends.
--- `quern.null` is JSON null; `quern.retry`, `quern.limit` and `quern.job` are functions, described with their modules below.
local M = {
  --- Version of the library and of the program.
  version = "0.1.0",
}

--- Defines a query; see quern.Query for the fields.
---@param spec quern.Query
---@return quern.Query
function M.query(spec)
  return require("quern.query").new(spec)
end

--- Defines a serving script: HTTP handlers in Lua.
---@param spec quern.Serving
---@return quern.Serving
function M.serve(spec)
  return require("quern.serve").new(spec)
end

--- A variable of the environment (or of `--env-file`), read when the run begins. A query is granted the variables it names.
--- The default stands for a variable that is not set or empty; without one that is an error.
---@param name string
---@param default? string
---@return table
function M.env(name, default)
  return { kind = "env", name = name, default = default }
end

M.secret = {
  --- A secret from a variable of the environment: a handle whose value is never printed.
  ---@param name string
  ---@return table
  env = function(name)
    return { kind = "secret_env", name = name }
  end,
}

-- Loaded when first used, so that a worker loads only what its script names.
local MODULES = {
  param = "quern.param", chunk = "quern.chunk", pages = "quern.pages", auth = "quern.auth", json = "quern.json",
  time = "quern.time", task = "quern.task", log = "quern.log", events = "quern.events", http = "quern.http",
  transform = "quern.transform", validate = "quern.validate", genesys = "quern.genesys",
}
local VALUES = {
  null = function() return require("quern.core.json").null end,
  number = function() return require("quern.core.json").number end,
  table = function() return require("quern.core.view").table end,
  raw = function() return require("quern.core.view").raw end,
  is_null = function() return require("quern.core.view").is_null end,
  retry = function() return require("quern.retry").new end,
  limit = function() return require("quern.limit").new end,
  job = function() return require("quern.job").new end,
  emit = function() return require("quern.emit").emit end,
  rows = function() return require("quern.rows").rows end,
  fields = function() return require("quern.emit").fields end,
}

local function unknown(self, name)
  local options, known = require "quern.options", {}
  for _, names in ipairs { self, MODULES, VALUES } do
    for key in pairs(names) do known[key] = true end
  end
  local near = options.nearest(name, known)
  error(("quern has no '%s'%s"):format(tostring(name),
    near and ("; did you mean '%s'?"):format(near) or "; it has " .. table.concat(options.names(known), ", ")), 3)
end

return setmetatable(M, {
  __index = function(self, name)
    local value
    if MODULES[name] then
      value = require(MODULES[name])
    elseif VALUES[name] then
      value = VALUES[name]()
    else
      unknown(self, name)
    end
    rawset(self, name, value)
    return value
  end,
})
