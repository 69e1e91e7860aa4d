--- Columns as scripts write them: checked, and as the plan wants them. Queries and plugins declare them alike.
local json = require "quern.core.json"
local options = require "quern.options"

local M = {}

---@class quern.Column  a list of name, path and options
---@field [1] string  the column's name
---@field [2]? string  JSONPath from the record; one place (a singular query) unless `reduce` is given
---@field as? "any"|"text"|"integer"|"number"|"bool"|"time"|"json"  the type of its values; default any
---@field reduce? "first"|"last"|"count"|"sum"|"min"|"max"|"avg"|"join"|"list"  one value of many nodes
---@field separator? string  between the parts of `join`; default ","
---@field default? any  used when the path selects nothing
---@field scale? number  multiplies numbers, in decimal
---@field round? integer  decimals to round to, half away from zero
---@field level? integer  0, the default: the record; 1: the level of `records` above it; and so on

local COLUMN = {
  [1] = { type = "string", required = true }, [2] = "string", as = "string", reduce = "string", separator = "string",
  default = "any", scale = "number", round = "integer", level = "integer",
}

--- Checks the shape of a list of columns; paths are compiled with the plan.
---@param columns? quern.Column[]
---@param has_transform boolean  it could set a column that has no path
---@param fail fun(format: string, ...)  raises
---@param level integer  error level for options that are not known, as for options.check
function M.check(columns, has_transform, fail, level)
  local seen = {}
  for key in pairs(columns or {}) do
    if math.type(key) ~= "integer" then
      fail("columns is a list of { name, path }: write { \"%s\", \"$.path\" } instead of %s = ...", tostring(key), tostring(key))
    end
  end
  for index, column in ipairs(columns or {}) do
    local where = ("columns[%d]"):format(index)
    if type(column) ~= "table" then fail("%s must be a table { name, path }, not a %s", where, type(column)) end
    options.check(where, column, COLUMN, level)
    if seen[column[1]] then fail("%s: the name '%s' is used twice", where, column[1]) end
    seen[column[1]] = true
    if not column[2] and not has_transform then
      fail("%s '%s' has no path, and there is no transform that could set it", where, column[1])
    end
  end
end

--- Adds columns to a list for quern.core.convert.
---@param list table[]
---@param columns? quern.Column[]
function M.add(list, columns)
  for _, column in ipairs(columns or {}) do
    list[#list + 1] = {
      name = column[1], path = column[2], as = column.as, reduce = column.reduce, separator = column.separator,
      default = column.default ~= nil and json.encode(column.default) or nil,
      scale = column.scale, round = column.round, level = column.level,
    }
  end
end

--- The names of a query's own columns, in order.
---@param query quern.Query
---@return string[]
function M.names(query)
  local names = {}
  for _, column in ipairs(query.columns or {}) do names[#names + 1] = column[1] end
  for _, name in ipairs(query.fields or {}) do names[#names + 1] = name end
  return names
end

return M
