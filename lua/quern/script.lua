--- Finding and loading scripts: `NAME` is one that ships with quern, anything with a slash or ".lua" is a file.
local files = require "quern.core.files"
local sandbox = require "quern.core.sandbox"
local errors = require "quern.core.error"
local options = require "quern.options"

local M = {}

---@class quern.Script
---@field name string  chunk name in messages
---@field path string
---@field source string
---@field dir string  where `require` of files beside the script looks
---@field value any  what the script returned

local function usage(format, ...)
  return nil, errors.new("usage", format:format(...), { exit = 2 })
end

--- The scripts that ship with quern, by name.
---@param scripts_dir string
---@return table<string, string> paths
function M.shipped(scripts_dir)
  local found = {}
  for _, folder in ipairs(files.list(scripts_dir) or {}) do
    for _, file in ipairs(files.list(scripts_dir .. "/" .. folder) or {}) do
      local name = file:match "^([%w_]+)%.lua$"
      if name then found[name] = scripts_dir .. "/" .. folder .. "/" .. file end
    end
  end
  return found
end

--- The file behind what the command line named. A path to a file wins over a name.
---@param wanted string
---@param scripts_dir string
---@return string? path
---@return table? err
function M.find(wanted, scripts_dir)
  if files.exists(wanted) then return wanted end
  if wanted:find "/" or wanted:find "%.lua$" then
    return usage("no script at %s", wanted)
  end
  local shipped = M.shipped(scripts_dir)
  if shipped[wanted] then return shipped[wanted] end
  local near = options.nearest(wanted, shipped)
  return usage("no script named '%s'%s; 'quern run' lists the scripts that ship, and a path to a file works too",
    wanted, near and (", did you mean '%s'?"):format(near) or "")
end

local NEEDS_QUERN = 'a script begins with local quern = require "quern"'
local NO_OUTSIDE = 'a script has no io, debug or package; it may require "quern" and files beside it'
-- What a script's author meant by a name that scripts do not have.
local HINTS = {
  { "global 'quern'", NEEDS_QUERN },
  { "field 'getenv'", 'a variable is declared with quern.env "NAME", a secret with quern.secret.env "NAME"' },
  { "global 'io'", NO_OUTSIDE }, { "global 'debug'", NO_OUTSIDE }, { "global 'package'", NO_OUTSIDE },
  { "global 'dofile'", NO_OUTSIDE }, { "global 'loadfile'", NO_OUTSIDE },
  { "not enough memory", "scripts may use 256 MB" },
}

-- `return quern.query { ... }` is a tail call: Lua has forgotten the line by the time the definition is checked. The line of
-- the call is found in the source instead.
local function located(message, script)
  if message:find "^[^\n]-:%d+: " then return message end
  local number = 0
  for line in (script.source .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    if line:find "quern%.query" or line:find "quern%.serve" then return ("%s:%d: %s"):format(script.path, number, message) end
  end
  return ("%s: %s"):format(script.path, message)
end

-- An error of the script's own top level: with its place, and with a hint where one is known.
local function explained(message, script)
  message = located(message, script)
  for _, hint in ipairs(HINTS) do
    if message:find(hint[1], 1, true) then return message .. "; " .. hint[2] end
  end
  return message
end

--- Loads a script in the sandbox and gives what it returned.
---@param wanted string
---@param scripts_dir string
---@return quern.Script?
---@return table? err  kind "usage" (not found) or "script" (syntax, error while loading, impure), exit 1 or 2
function M.load(wanted, scripts_dir)
  local path, err = M.find(wanted, scripts_dir)
  if not path then return nil, err end
  local source, read_err = files.read(path)
  if not source then return usage("cannot read %s: %s", path, tostring(read_err)) end
  local script = { path = path, source = source, dir = path:match "^(.*)/[^/]*$" or ".", name = "@" .. path }
  local fn, load_err = sandbox.load(source, script.name, script.dir)
  if not fn then
    return nil, errors.new("script", tostring(load_err), { exit = 1 })
  end
  local ok, value = pcall(fn)
  if not ok then
    local message = errors.is(value) and value.message or tostring(value)
    return nil, errors.new("script", explained(message, script), { exit = 1 })
  end
  script.value = value
  return script
end

return M
