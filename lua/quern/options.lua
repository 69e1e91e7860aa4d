--- Option tables: unknown keys are refused with the near one suggested, types are checked, defaults filled in.
---
---     opts = options.check("quern.retry", opts, { attempts = "integer", base = { type = "string", default = "1s" } })
local M = {}

--- Keys of a table, sorted.
---@param t table<string, any>
---@return string[]
function M.names(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return names
end

local function distance(a, b)
  local previous = {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    local current = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      current[j] = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
    end
    previous = current
  end
  return previous[#b]
end

--- The key of `t` that a mistyped name most likely meant; nil if none is near.
---@param name string
---@param t table<string, any>
---@return string?
function M.nearest(name, t)
  name = tostring(name)
  local best, best_distance = nil, math.max(1, #name // 3) + 1
  for _, known in ipairs(M.names(t)) do
    local d = distance(name:lower(), known:lower())
    if d < best_distance then best, best_distance = known, d end
  end
  return best
end

local function matches(value, wanted)
  if wanted == "any" then return true end
  if wanted == "integer" then return math.type(value) == "integer" end
  if wanted == "callable" then
    local mt = getmetatable(value)
    return type(value) == "function" or (type(mt) == "table" and mt.__call ~= nil)
  end
  return type(value) == wanted
end

--- True if the value has one of the types in "string|table|function".
---@param value any
---@param types string
---@return boolean
function M.is_type(value, types)
  for wanted in types:gmatch "[^|]+" do
    if matches(value, wanted) then return true end
  end
  return false
end

--- The specs of `base` and of `more` in one table.
---@param base table
---@param more? table  wins
---@return table
function M.extend(base, more)
  local all = {}
  for _, spec in ipairs { base, more } do
    for key, rule in pairs(spec) do all[key] = rule end
  end
  return all
end

--- A checked copy of an option table. Misuse raises an error at the caller's line.
---@param where string  the function's name, for messages
---@param given table?
---@param spec table<string, string|{type: string, default: any, required: boolean?}>
---@param level? integer  error level as for `error`; default 3: the caller's caller
---@return table
function M.check(where, given, spec, level)
  level = level or 3
  if given == nil then given = {} end
  if type(given) ~= "table" then
    error(("%s takes a table of options, not a %s"):format(where, type(given)), level)
  end
  for key in pairs(given) do
    if spec[key] == nil then
      local near = M.nearest(key, spec)
      error(("%s has no option '%s'%s"):format(where, tostring(key),
        near and ("; did you mean '%s'?"):format(near) or "; it takes " .. table.concat(M.names(spec), ", ")), level)
    end
  end
  local checked = {}
  for key, rule in pairs(spec) do
    local types = type(rule) == "table" and rule.type or rule
    local value = given[key]
    if value == nil and type(rule) == "table" then
      if rule.required then error(("%s needs the option '%s' (%s)"):format(where, key, types), level) end
      value = rule.default
    end
    if value ~= nil and not M.is_type(value, types) then
      error(("%s: option '%s' must be a %s, not a %s"):format(where, key, types:gsub("|", " or "), type(value)), level)
    end
    checked[key] = value
  end
  return checked
end

--- Makes a module strict: naming what it does not have is an error at the caller's line, with the near one suggested.
---@generic T: table
---@param where string  the module's name, for messages
---@param module T
---@param hidden table<string, any>  names that are not for scripts
---@return T
function M.strict(where, module, hidden)
  return setmetatable(module, { __index = function(_, name)
    local public = {}
    for known in pairs(module) do
      if not hidden[known] then public[known] = true end
    end
    local near = M.nearest(name, public)
    error(("%s has no '%s'%s"):format(where, tostring(name),
      near and ("; did you mean '%s'?"):format(near) or "; it has " .. table.concat(M.names(public), ", ")), 2)
  end })
end

return M
