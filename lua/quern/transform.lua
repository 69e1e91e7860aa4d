--- Makers of transforms: `transform = quern.transform.flatten { ... }` in a query, or called within a transform of one's own.
local json = require "quern.core.json"
local view = require "quern.core.view"
local options = require "quern.options"

local M = {}

local MAX_DEPTH = 1000

-- A list that holds at least one element.
local function has_elements(value)
  return (type(value) == "table" or view.is_view(value)) and #value > 0
end

---@class quern.FlattenOptions
---@field children? string  the member that holds a node's children; missing, null or empty: the node is a leaf
---@field id? string  the member that names a node
---@field path? string  the column that gets the ids from the top to the leaf
---@field fields? string[]  members of the leaf that become columns of the same name; a missing one becomes an empty object

--- One row for each leaf of a tree. What stands above the leaves makes no rows: there, APIs repeat the totals of what is below.
---
---     transform = quern.transform.flatten { children = "groups", id = "id", path = "dimension_path", fields = { "metrics" } },
---     fields = { "dimension_path", "metrics" },
---@param opts? quern.FlattenOptions
---@return fun(record: any): table[] transform
function M.flatten(opts)
  opts = options.check("quern.transform.flatten", opts, {
    children = { type = "string", default = "groups" }, id = { type = "string", default = "id" },
    path = { type = "string", default = "path" }, fields = { type = "table", default = { "metrics" } },
  })

  local function row_of(node, ids, depth)
    local row = { [opts.path] = json.array(table.move(ids, 1, depth, 1, {})) }
    for _, field in ipairs(opts.fields) do
      local value = node[field]
      row[field] = value == nil and {} or value
    end
    return row
  end

  local function descend(node, ids, depth, rows)
    if depth > MAX_DEPTH then error(("the tree is deeper than %d levels"):format(MAX_DEPTH), 0) end
    local id = node[opts.id]
    ids[depth] = id == nil and json.null or id
    local children = node[opts.children]
    if not has_elements(children) then
      rows[#rows + 1] = row_of(node, ids, depth)
      return
    end
    for index = 1, #children do descend(children[index], ids, depth + 1, rows) end
  end

  return function(record)
    local rows = {}
    descend(record, {}, 1, rows)
    return rows
  end
end

return options.strict("quern.transform", M, {})
