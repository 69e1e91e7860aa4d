--- `quern.emit` and `quern.fields`: rows of a program, for the output of its run.
local view = require "quern.core.view"

local M = {
  --- Where rows go while a program runs; else nil. For quern.program.
  output = nil,
}

local function output_of(name, level)
  if M.output then return M.output end
  error(("%s is for programs: a script that returns a function, while 'quern run' calls it"):format(name), level + 1)
end

--- Writes a row: a table of named values, or a record of an answer. Its values are written as those of a transform's row. The first
--- row fixes the names, unless quern.fields did; a row with another name is an error, a missing value an empty cell (CSV) or null.
---@param row table<string, any>
function M.emit(row)
  local output = output_of("quern.emit", 2)
  if view.is_view(row) then row = view.table(row) end
  if type(row) ~= "table" then error(("quern.emit takes a table of named values, not a %s"):format(type(row)), 2) end
  local ok, err = output:row(row)
  if ok then return end
  if type(err) == "string" then error("quern.emit: " .. err, 2) end
  error(err, 0)
end

--- Fixes the names of the rows and their order, before the first quern.emit. Without it they are the first row's, sorted.
---@param names string[]
function M.fields(names)
  local output = output_of("quern.fields", 2)
  if type(names) ~= "table" or #names == 0 then error("quern.fields takes a list of names, such as { \"id\", \"amount\" }", 2) end
  local seen = {}
  for key, name in pairs(names) do
    if math.type(key) ~= "integer" or type(name) ~= "string" or name == "" then error("quern.fields takes a list of names, which are texts", 2) end
    if seen[name] then error(("quern.fields: the name '%s' is there twice"):format(name), 2) end
    seen[name] = true
  end
  local ok, err = output:fix(names)
  if ok then return end
  if type(err) == "string" then error("quern.fields: " .. err, 2) end
  error(err, 0)
end

return M
