--- filterBy of a search: a list of expressions of which all must hold, as a function of a conversation's number.
local json = require "quern.json"
local validate = require "quern.validate"

local OPERATORS = {
  eq = function(text, value) return text == value end,
  ["in"] = function(text, set) return set[text] ~= nil end,
  contains = function(text, value) return text:find(value, 1, true) ~= nil end,
}
local BRANCHES = { "and", "or", "not" }

-- The text that a property stands for, or nil.
local function reader(ask, property)
  local data = ask.api.data
  local readers = {
    mediaType = function(i) return data:channel(i) end,
    queueId = function(i) return data.queue_id(data:queue(i)) end,
    ["wrapupcode.name"] = function(i) return data:disposition(i) end,
  }
  ask:valid(validate.enum(property, { "mediaType", "queueId", "wrapupcode.name" }, "filterBy: property"))
  return readers[property]
end

local function field(ask, expression)
  local read = reader(ask, expression.property)
  local op, value = expression.op, expression.value
  ask:valid(validate.enum(op, { "eq", "in", "contains" }, "filterBy: op"))
  if op == "in" then
    ask:valid(validate.list(value, { name = "filterBy: value of in" }))
    local set = {}
    for _, item in ipairs(value) do set[item] = true end
    value = set
  elseif type(value) ~= "string" then
    ask:refuse(400, "filterBy: value of %s must be a text", op)
  end
  local holds = OPERATORS[op]
  return function(i)
    local text = read(i)
    return text ~= nil and text ~= json.null and holds(text, value)
  end
end

local compile

-- Counts how many of a list must hold: all (and), at least one (or), none (not).
local function branch(ask, name, list)
  ask:valid(validate.list(list, { name = "filterBy: " .. name }))
  local parts = {}
  for index, expression in ipairs(list) do parts[index] = compile(ask, expression) end
  return function(i)
    for _, holds in ipairs(parts) do
      if holds(i) ~= (name == "and") then return name == "or" end
    end
    return name ~= "or"
  end
end

function compile(ask, expression)
  if type(expression) ~= "table" then ask:refuse(400, "filterBy: an expression is an object, not a %s", type(expression)) end
  for _, name in ipairs(BRANCHES) do
    if expression[name] ~= nil then return branch(ask, name, expression[name]) end
  end
  if expression.type ~= "field" then ask:refuse(400, 'filterBy: an expression has "type":"field", or and, or, not') end
  return field(ask, expression)
end

--- filterBy compiled; refuses the request for what it does not know.
local function all(ask, list)
  return branch(ask, "and", list)
end

return { all = all }
