--- `quern.rows`: the rows of a query inside a program, one after another.
---
--- The query runs in a task of its own, with everything that `quern run` gives it but the output: committed rows wait in a queue, and
--- the run waits when the reader lags.
local core_run = require "quern.core.run"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local task = require "quern.core.task"
local time = require "quern.core.time"
local bind = require "quern.bind"
local emit = require "quern.emit"
local kind = require "quern.kind"
local run = require "quern.run"
local scripts = require "quern.script"

local M = {}

local AHEAD = 1 << 20 -- bytes of rows that may wait for the reader before the run waits

---@class quern.RowsReader
local Reader = {}
Reader.__index = Reader

local INCOMPLETE = 3

-- The error of a run that did not end well, or nil.
local function problem_of(reader)
  local result = reader.result
  if result.exit == 0 then return nil end
  return errors.new("run", ("quern.rows %s: %s"):format(reader.name, tostring(result.message)), { exit = result.exit, cause = result.error })
end

-- The next lines; nil at the end. Raises how the run failed; of an incomplete one, when its rows have been read.
local function more(reader)
  while true do
    local result = reader.result
    if result and result.exit ~= 0 and result.exit ~= INCOMPLETE then error(problem_of(reader), 0) end
    local lines, err = reader.queue:take()
    if err then error(err, 0) end
    if lines then
      reader.taken:set()
      return lines
    end
    if result then
      local problem = problem_of(reader)
      if problem then error(problem, 0) end
      return nil
    end
    reader.changed:wait()
  end
end

function Reader:next()
  if self.over then return nil end
  if not self.lines then
    self.lines, self.at = more(self), 1
    if not self.lines then
      self.over = true
      return nil
    end
  end
  local stop = assert(self.lines:find("\n", self.at, true))
  local row, err = json.decode(self.lines:sub(self.at, stop - 1))
  if err then error(err, 0) end
  self.at = stop + 1
  if self.at > #self.lines then self.lines = nil end
  return row
end

-- The loop was left: the run ends. Where nothing can wait (the whole program ends) it is only told.
function Reader:__close()
  self.over, self.lines = true, nil
  if self.result then return end
  self.child:cancel()
  pcall(self.child.join, self.child)
end

local function start(bound, context, spool_dir)
  context.nested = context.nested + 1
  local number, name = context.nested, bound.query.name
  local reader = setmetatable({ name = name, queue = core_run.queue { spool_dir = spool_dir }, changed = task.event(), taken = task.event() }, Reader)
  local function throttle()
    reader.changed:set()
    while reader.queue:waiting() > AHEAD do reader.taken:wait() end
  end
  reader.child = task.spawn(function()
    local ok, result, err = pcall(run.execute, bound, {
      run_id = ("%s-%d"):format(context.run_id, number), workers = context.workers, concurrency = context.concurrency,
      memory = context.memory, spool_dir = spool_dir,
      inner = { parent = context.run_id, tag = ("%s#%d"):format(name, number), sink = reader.queue, throttle = throttle },
    })
    if not ok then result, err = nil, result end
    reader.result = result or { exit = errors.is(err) and err.exit or 1, message = tostring(errors.is(err) and err.message or err) }
    reader.changed:set()
  end)
  return reader
end

-- A file is looked for beside the program; a name is a script that ships.
local function load_query(wanted, context)
  local path = wanted
  if wanted:find "%.lua$" and not wanted:find "^/" then path = context.dir .. "/" .. wanted end
  local output = emit.output
  emit.output = nil -- loading is no part of the program, and it cannot wait
  local script, err = scripts.load(path, context.scripts_dir)
  emit.output = output
  if not script then error(err, 0) end
  if kind.of(script.value) ~= "query" then error(kind.refusal(script.path, script.value, "quern.rows takes a script that returns quern.query { ... }"), 0) end
  return script
end

-- A time may be milliseconds since 1970, as quern.time has them.
local function given(query, params)
  local copy = {}
  for name, value in pairs(params or {}) do
    local declared = query.params[name]
    if declared and declared.kind == "time" and math.type(value) == "integer" then value = time.format(value, 3) end
    copy[name] = value
  end
  return copy
end

--- Runs a query and gives its rows, in their order, as tables; an empty cell is quern.null. Only rows of leaves that are committed come, and
--- the run waits while they are not read, so memory stays flat. A loop that is left early ends the run. When the run fails, the loop raises an
--- error of kind "run" with its message and its exit status; when it is incomplete, after its rows.
---@async
---@param script string  a file beside the program, or the name of a script that ships
---@param params? table<string, any>  the query's parameters: texts as for `-p`, or numbers, booleans, lists and tables; a time may be
---  milliseconds since 1970
---@return fun(): table? next  for a generic `for`
---@return nil
---@return nil
---@return table closing
function M.rows(script, params)
  if type(script) ~= "string" then error(("quern.rows takes a script's file or name, not a %s"):format(type(script)), 2) end
  if params ~= nil and type(params) ~= "table" then error(("quern.rows: the parameters are a table, not a %s"):format(type(params)), 2) end
  local output = emit.output
  if not output then error("quern.rows is for programs: a script that returns a function, while 'quern run' calls it", 2) end
  local context = output.context
  local loaded = load_query(script, context)
  local bound, err = bind.bind(loaded, { params = given(loaded.value, params), format = "ndjson" })
  if not bound then error(err, 0) end
  local reader = start(bound, context, context.spool_dir)
  return function() return reader:next() end, nil, nil, reader
end

return M
