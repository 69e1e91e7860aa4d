--- In a worker: a record's rows on their way from the query through its plugins. Each stage takes the rows of the one before.
local frozen = require "quern.frozen"

local M = {}

local function refuse(format, ...)
  error(format:format(...), 0)
end

-- Only columns that exist where the row is made; the first in the alphabet is named, so that the order of a table does not matter.
local function check_row(stage, row)
  local unknown
  for name in pairs(row) do
    if type(name) ~= "string" then refuse("a row's keys are column names, not a %s", type(name)) end
    if not stage.known[name] and (not unknown or name < unknown) then unknown = name end
  end
  if unknown then refuse("its row has '%s', which is not among the columns: %s", unknown, table.concat(stage.names, ", ")) end
end

-- A stage's answer as a list of rows.
local function rows_of(stage, answer)
  answer = frozen.plain(answer)
  if answer == nil then return {} end
  if type(answer) ~= "table" then refuse("it must return a row, a list of rows or nil, not a %s", type(answer)) end
  if next(answer) == nil then return {} end
  if answer[1] == nil then
    check_row(stage, answer)
    return { answer }
  end
  local rows, count = {}, 0
  for _ in pairs(answer) do count = count + 1 end
  if count ~= #answer then refuse "its answer is neither a row nor a list of rows: it has both places and names, or gaps" end
  for index, row in ipairs(answer) do
    row = frozen.plain(row)
    if type(row) ~= "table" then refuse("row %d of its list is a %s, not a table", index, type(row)) end
    check_row(stage, row)
    rows[index] = {} -- a copy: the same table may stand in the list twice, and the next stage may change it
    for name, value in pairs(row) do rows[index][name] = value end
  end
  return rows
end

-- [1] what it is, [2] what failed, [3] its chunk: the core reads them for messages (core/lua/worker.c).
local function new_stage(what, failed, chunk, before, own)
  local stage = { what, failed, chunk, names = {}, known = {}, own = own }
  for _, list in ipairs { before, own } do
    for _, name in ipairs(list) do
      stage.names[#stage.names + 1] = name
      stage.known[name] = true
    end
  end
  return stage
end

local function stages_of(plugins, columns, script, load)
  local first = new_stage("transform of " .. script.path, "transform failed", script.name, columns, {})
  local stages, before = {}, first.names
  for index, plugin in ipairs(plugins) do
    local stage = new_stage(("transform of plugin '%s' (%s)"):format(plugin.name, plugin.path),
      ("plugin '%s' failed"):format(plugin.name), plugin.chunk, before, plugin.columns)
    stage.transform = plugin.transform and load(plugin) or nil
    stages[index], before = stage, stage.names
  end
  return first, stages
end

-- The rows of one stage out of those of the stage before. `cells`: what the columns of plugins found in the record.
local function through(stage, rows, cells, record, ctx)
  local out = {}
  for _, row in ipairs(rows) do
    for _, name in ipairs(stage.own) do row[name] = cells[name] end
    if stage.transform then
      local made = rows_of(stage, stage.transform(record, row, ctx))
      table.move(made, 1, #made, #out + 1, out)
    else
      out[#out + 1] = row
    end
  end
  return out
end

--- The query's transform with its plugins behind it, as one function.
---@param transform? fun(record: any, row: table, ctx: table): any
---@param context table  of the worker: `columns`, the query's own; `plugins` as quern.plugin describes them
---@param script { name: string, path: string }
---@param load fun(plugin: table): function  a plugin's transform
---@return fun(record: any, row: table, ctx: table, where: table): table[] apply
function M.new(transform, context, script, load)
  local first, stages = stages_of(context.plugins, context.columns, script, load)
  return function(record, row, ctx, where)
    local cells = {}
    for _, stage in ipairs(stages) do
      for _, name in ipairs(stage.own) do cells[name], row[name] = row[name], nil end
    end
    where[1] = first
    local rows = transform and rows_of(first, transform(record, row, ctx)) or { row }
    for _, stage in ipairs(stages) do
      if stage.transform then where[1] = stage end
      rows = through(stage, rows, cells, record, ctx)
    end
    return rows
  end
end

return M
