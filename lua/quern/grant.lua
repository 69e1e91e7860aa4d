--- Values that a query declares and that are read when the run begins: variables of the environment and secrets.
local errors = require "quern.core.error"

local M = {
  --- True while a plan is described: nothing will be sent, so credentials that are not set do not matter.
  describing = false,
}

local function missing(name, what, needed)
  if M.describing and not needed then return "$" .. name end
  return nil, errors.new("usage", ("the environment variable %s is not set%s; set it, or put %s=... into a file for --env-file"):format(
    name, what, name), { exit = 2, variable = name })
end

--- The value behind a descriptor of quern.env or quern.secret.env; any other value as it is.
---@param value any
---@param purpose? string  such as "the OAuth client's id", for the message
---@param needed? boolean  missing is an error even while a plan is described (a URL)
---@return any value  a string or a secret handle
---@return table? err  kind "usage", exit 2: the variable is not set
function M.resolve(value, purpose, needed)
  if type(value) ~= "table" or not value.kind then return value end
  local env = require "quern.core.env"
  local what = purpose and (" (%s)"):format(purpose) or ""
  if value.kind == "env" then
    local text = env.get(value.name)
    if text == nil or text == "" then text = value.default end
    if text == nil then return missing(value.name, what, needed) end
    return text
  elseif value.kind == "secret_env" then
    local secret = env.get(value.name) ~= "" and env.secret(value.name)
    if not secret then return missing(value.name, what, needed) end
    return secret
  end
  return value
end

--- The same; a variable that is not set is raised.
---@param value any
---@param purpose? string
---@return any
function M.must(value, purpose)
  local resolved, err = M.resolve(value, purpose)
  if err then error(err, 0) end
  return resolved
end

--- Adds the names of the variables that a table of options declares, at any depth, to a set.
---@param options any
---@param names table<string, boolean>
function M.variables(options, names)
  if type(options) ~= "table" then return end
  if (options.kind == "env" or options.kind == "secret_env") and type(options.name) == "string" then
    names[options.name] = true
    return
  end
  for _, value in pairs(options) do M.variables(value, names) end
end

return M
