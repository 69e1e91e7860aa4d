--- Makers of transforms: `transform = quern.transform.flatten { ... }` in a query, or called within a transform of one's own, or
--- on tables and records anywhere.
---
---     transform = quern.transform.pipe(
---       quern.transform.pick { "id", "customer", "lines" },
---       quern.transform.explode("lines", "line"),
---       quern.transform.redact { "customer", with = "hash", salt = "2024" }
---     ),
---     fields = { "id", "customer", "line" },
---
--- All but `flatten` change rows: what the query's columns made of the record; in a query without columns, the record's own members.
--- They answer new rows and leave what they are given as it is. (A row without any member comes in a list, because an empty table as
--- the answer of a transform means no row.)
local cell = require "quern.core.cell"
local hash = require "quern.core.hash"
local json = require "quern.core.json"
local view = require "quern.core.view"
local options = require "quern.options"

local M = {}

local MAX_DEPTH = 1000

local function kind_of(value)
  if view.is_null(value) then return "null" end
  if json.is_array(value) then return "list" end
  if view.is_view(value) then return "object" end
  return type(value)
end

local function is_object(value)
  return (type(value) == "table" or view.is_view(value)) and not json.is_array(value)
end

-- The elements of a list in an object: nil for one that is missing, null or empty, and for an empty object, which some APIs write
-- for an empty list.
local function list_in(object, name, where)
  local list = object[name]
  if list == nil or view.is_null(list) then return nil end
  local is_list = json.is_array(list) or (type(list) == "table" and #list > 0)
  if not is_list and not (is_object(list) and next(view.table(list)) == nil) then
    error(("%s: '%s' is a %s, not a list"):format(where, name, kind_of(list)), 0)
  end
  return #list > 0 and list or nil
end

-- The members of the row, or of the record where there is no row yet, in a table of their own.
local function members(where, record, row, ctx)
  local source = record
  if row ~= nil and (view.is_view(row) or next(row) ~= nil or (ctx and ctx.columns)) then source = row end
  if not is_object(source) then error(("%s takes a row or an object, not a %s"):format(where, kind_of(source)), 0) end
  local copy = {}
  for name, value in pairs(source) do copy[name] = value end
  return copy
end

-- A row as an answer: one without members goes in a list, because an empty table means no row at all.
local function answer(row)
  return next(row) == nil and { row } or row
end

-- A list of names, as the first argument of a maker. Misuse raises at the maker's caller.
local function check_names(where, names)
  if type(names) ~= "table" or #names == 0 then
    error(("%s takes a list of names, such as { \"id\", \"name\" }"):format(where), 3)
  end
  for index, name in ipairs(names) do
    if type(name) ~= "string" then error(("%s: name %d is a %s, not a text"):format(where, index, type(name)), 3) end
  end
end

-- ---- trees ----

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
    if not is_object(node) then error(("flatten: a node of the tree is a %s, not an object"):format(kind_of(node)), 0) end
    local id = node[opts.id]
    ids[depth] = id == nil and json.null or id
    local children = list_in(node, opts.children, "flatten")
    if not children then
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

-- ---- members ----

--- Only these members; those that are missing stay missing.
---@param names string[]
---@return fun(record: any, row?: table, ctx?: table): table transform
function M.pick(names)
  check_names("quern.transform.pick", names)
  local wanted = table.move(names, 1, #names, 1, {})
  return function(record, row, ctx)
    local source, made = members("quern.transform.pick", record, row, ctx), {}
    for _, name in ipairs(wanted) do made[name] = source[name] end
    return answer(made)
  end
end

--- Other names for members: `rename { old = "new" }`. They change all at once, so that two may swap names. A new name that another
--- member has already is an error.
---@param names table<string, string>
---@return fun(record: any, row?: table, ctx?: table): table transform
function M.rename(names)
  if type(names) ~= "table" or next(names) == nil then
    error("quern.transform.rename takes names, such as { old = \"new\" }", 2)
  end
  local renamed, taken = {}, {}
  for old, new in pairs(names) do
    if type(old) ~= "string" or type(new) ~= "string" then
      error("quern.transform.rename takes names, such as { old = \"new\" }", 2)
    end
    if taken[new] then error(("quern.transform.rename: two members become '%s'"):format(new), 2) end
    renamed[old], taken[new] = new, true
  end
  return function(record, row, ctx)
    local source, made = members("quern.transform.rename", record, row, ctx), {}
    for name, value in pairs(source) do
      local new = renamed[name] or name
      if made[new] ~= nil then error(("rename: there is a member '%s' already"):format(new), 0) end
      made[new] = value
    end
    return answer(made)
  end
end

---@class quern.Conversion  as the options of a column
---@field as? "any"|"text"|"integer"|"number"|"bool"|"time"|"json"  the type it becomes; default any
---@field scale? number  multiplies numbers, in decimal
---@field round? integer  decimals to round to, half away from zero

local CONVERSION = { as = "string", scale = "number", round = "integer" }

-- Called in the last place: its frame is gone when the error is raised.
local function check_conversion(name, conversion)
  return options.check(("quern.transform.convert '%s'"):format(name), conversion, CONVERSION, 4)
end

-- A function (value, row, ctx) for one member. Misuse raises at the caller of convert.
local function converter(name, conversion)
  if type(conversion) == "function" then return conversion end
  if type(conversion) == "string" then conversion = { as = conversion } end
  if type(conversion) ~= "table" then
    error(("quern.transform.convert: '%s' must be a type, a function or a table such as { scale = 0.001, round = 2 }"):format(
      tostring(name)), 3)
  end
  local opts = check_conversion(name, conversion)
  local ok, made = pcall(cell.new, { name = name, as = opts.as, scale = opts.scale, round = opts.round })
  if not ok then error(("quern.transform.convert '%s': %s"):format(name, tostring(made)), 3) end
  return function(value)
    local result, err = made:read(value)
    if err then error(err.message, 0) end
    return result
  end
end

--- Other types for members: each by the name of a type, by the options of a column, or by a function of value, row and ctx (nil: the
--- member goes). A type converts exactly as a column does; a value that it cannot convert is an error. Missing stays missing, null
--- null.
---
---     quern.transform.convert {
---       handle_time = { as = "number", scale = 0.001, round = 2 },     -- milliseconds to seconds
---       answered = "bool",
---       name = function(value) return value:upper() end,
---     }
---@param conversions table<string, string|quern.Conversion|fun(value: any, row: table, ctx: table?): any>
---@return fun(record: any, row?: table, ctx?: table): table transform
function M.convert(conversions)
  if type(conversions) ~= "table" or next(conversions) == nil then
    error("quern.transform.convert takes conversions by name, such as { count = \"integer\" }", 2)
  end
  local converters, names = {}, options.names(conversions)
  for _, name in ipairs(names) do converters[name] = converter(name, conversions[name]) end
  return function(record, row, ctx)
    local made = members("quern.transform.convert", record, row, ctx)
    for _, name in ipairs(names) do
      local value = made[name]
      if value ~= nil and not view.is_null(value) then made[name] = converters[name](value, made, ctx) end
    end
    return answer(made)
  end
end

--- One row for each element of a list, with the other members repeated. A list that is missing, null or empty makes no row, or
--- one without the element.
---@param name string  the member that holds the list
---@param as? string  the member that gets the element; default: the same name
---@param opts? { empty?: "drop"|"keep" }  `empty`: "keep" makes one row of a record without elements
---@return fun(record: any, row?: table, ctx?: table): table[] transform
function M.explode(name, as, opts)
  if type(name) ~= "string" then error("quern.transform.explode takes the name of a list, such as \"lines\"", 2) end
  if as ~= nil and type(as) ~= "string" then error("quern.transform.explode: the name of the element must be a text", 2) end
  opts = options.check("quern.transform.explode", opts, { empty = { type = "string", default = "drop" } })
  if opts.empty ~= "drop" and opts.empty ~= "keep" then
    error(("quern.transform.explode: empty is 'drop' or 'keep', not '%s'"):format(opts.empty), 2)
  end
  local target = as or name
  return function(record, row, ctx)
    local rest, rows = members("quern.transform.explode", record, row, ctx), {}
    local list = list_in(rest, name, "explode")
    rest[name] = nil
    if not list then return opts.empty == "keep" and { rest } or {} end
    for index = 1, #list do
      local made = {}
      for key, value in pairs(rest) do made[key] = value end
      made[target] = list[index]
      rows[index] = made
    end
    return rows
  end
end

-- ---- redaction ----

---@class quern.RedactOptions  beside the names
---@field with? "hash"|"mask"  absent: the member goes; "mask": it becomes "***"; "hash": the SHA-256 of the salt and the value, as
---  64 hexadecimal digits, so that equal values stay equal
---@field salt? string|fun(ctx: table?): string  goes before what is hashed; without one, short values can be found by trying

local function text_of(value)
  return type(value) == "string" and value or json.canonical(value)
end

--- Members that must not leave: dropped, masked or hashed. Missing stays missing, null null.
---@param names string[]|quern.RedactOptions  a list of members, with options beside them
---@return fun(record: any, row?: table, ctx?: table): table transform
function M.redact(names)
  check_names("quern.transform.redact", names)
  local given = {}
  for key, value in pairs(names) do
    if math.type(key) ~= "integer" then given[key] = value end
  end
  local opts = options.check("quern.transform.redact", given, { with = "string", salt = "string|function" })
  if opts.with and opts.with ~= "hash" and opts.with ~= "mask" then
    error(("quern.transform.redact: with is 'hash' or 'mask', not '%s'"):format(opts.with), 2)
  end
  if opts.salt and opts.with ~= "hash" then error("quern.transform.redact: a salt is for with = \"hash\"", 2) end
  local wanted = table.move(names, 1, #names, 1, {})
  return function(record, row, ctx)
    local made = members("quern.transform.redact", record, row, ctx)
    local salt = opts.salt or ""
    if type(salt) == "function" then salt = salt(ctx) end
    for _, name in ipairs(wanted) do
      local value = made[name]
      if value ~= nil and not view.is_null(value) then
        if opts.with == "hash" then value = hash.sha256(salt .. text_of(value)) else value = opts.with and "***" end
        made[name] = value or nil
      end
    end
    return answer(made)
  end
end

-- ---- pipes ----

-- What a transform answers, as a list of rows.
local function rows_of(made, stage)
  if made == nil then return {} end
  if view.is_view(made) then made = view.table(made) end
  if type(made) ~= "table" then
    error(("pipe: transform %d answered a %s; it must be a row, a list of rows or nil"):format(stage, type(made)), 0)
  end
  if next(made) == nil then return {} end
  return made[1] == nil and { made } or made
end

-- The context of a later transform in a pipe, which has a row even when that is empty.
local function later(ctx)
  local copy = {}
  for name, value in pairs(ctx or {}) do copy[name] = value end
  copy.columns = true
  return copy
end

--- Transforms one after another: each gets the rows of the one before, together with the same record and context. A row that one of
--- them drops is gone; one that makes several makes the next run for each.
---@param ... fun(record: any, row: table, ctx: table?): any
---@return fun(record: any, row?: table, ctx?: table): table[] transform
function M.pipe(...)
  local stages = { ... }
  if #stages == 0 then error("quern.transform.pipe takes transforms, at least one", 2) end
  for index = 1, select("#", ...) do
    if type(stages[index]) ~= "function" then
      error(("quern.transform.pipe: argument %d is a %s, not a transform"):format(index, type(stages[index])), 2)
    end
  end
  return function(record, row, ctx)
    local rows = rows_of(stages[1](record, row, ctx), 1)
    local later_ctx = #stages > 1 and later(ctx)
    for stage = 2, #stages do
      local out = {}
      for _, one in ipairs(rows) do
        if view.is_view(one) then one = view.table(one) end
        local made = rows_of(stages[stage](record, one, later_ctx), stage)
        table.move(made, 1, #made, #out + 1, out)
      end
      rows = out
    end
    return rows
  end
end

return options.strict("quern.transform", M, {})
