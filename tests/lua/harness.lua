--- The tests' own words: declare tests, answer requests, look at instants.
---
---     local t = require "harness"
---     t.test("name", function() t.serve(function(request) return { status = 200, body = "{}" } end) ... end)
local task = require "quern.core.task"
local sim = require "quern.core.sim"

local M = { requests = {} }

local tests = {}

--- Declares a test. It runs as a task, in virtual time, with nothing of another test around.
function M.test(name, fn)
  tests[#tests + 1] = { name = name, fn = fn }
end

local function describe(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function fail(level, format, ...)
  error(format:format(...), level + 1)
end

function M.equal(actual, expected)
  if actual ~= expected then fail(2, "expected %s, got %s", describe(expected), describe(actual)) end
end

function M.ok(value)
  if not value then fail(2, "expected something true, got %s", describe(value)) end
end

function M.match(text, pattern)
  if type(text) ~= "string" or not text:find(pattern) then fail(2, "expected a match of %q, got %s", pattern, describe(text)) end
end

--- fn raises, and its message matches the pattern. Answers the error.
function M.raises(fn, pattern)
  local ok, err = pcall(fn)
  if ok then fail(2, "expected an error that matches %q, but nothing was raised", pattern) end
  local text = tostring(err)
  if not text:find(pattern) then fail(2, "expected an error that matches %q, got %q", pattern, text) end
  return err
end

--- Lists hold the same values in the same order.
function M.same(actual, expected)
  local function join(list)
    local parts = {}
    for index, value in ipairs(list) do parts[index] = tostring(value) end
    return table.concat(parts, " ")
  end
  if join(actual) ~= join(expected) then fail(2, "expected [%s], got [%s]", join(expected), join(actual)) end
end

--- Answers every request of the simulated transport; each is noted in t.requests with its instant.
function M.serve(fn)
  M.requests = {}
  sim.serve(function(request)
    M.requests[#M.requests + 1] = request
    return fn(request)
  end)
end

--- Instants of the requests so far.
function M.instants()
  local list = {}
  for index, request in ipairs(M.requests) do list[index] = request.at end
  return list
end

--- The calendar jumps; the monotonic clock does not.
M.jump = sim.jump

--- Ends the running command early, as Ctrl-C would.
M.interrupt = sim.interrupt

function M.now() return task.now() end

--- Events of the running test, decoded; only those of a type if one is given.
function M.events(type)
  local json = require "quern.core.json"
  local list = {}
  for _, line in ipairs(harness_events()) do
    local event = assert(json.decode(line))
    if not type or event.type == type then list[#list + 1] = event end
  end
  return list
end

--- The same as one text.
function M.event_text()
  return table.concat(harness_events(), "\n")
end

--- Sets a variable of the environment (nil removes it).
M.setenv = harness_setenv

--- Bytes allocated now, and at most since the last reset (true resets).
M.memory = harness_memory

--- A path for a file of the running test.
function M.path(name)
  return ("%s/quern-test-%s-%s"):format(os.getenv "TMPDIR" or "/tmp", tostring(M):match "0x(%x+)", name)
end

--- Runs test `number` of a file; 0 only counts. For the runner.
function M.run(path, number)
  tests = {}
  assert(loadfile(path))()
  local test = tests[number]
  local result = { count = #tests, name = test and test.name }
  if test then
    local ok, err = xpcall(test.fn, function(problem)
      return type(problem) == "string" and debug.traceback(problem, 2) or problem
    end)
    if not ok then
      result.failure = tostring(err) .. (type(err) == "table" and err.traceback and "\n" .. err.traceback or "")
    end
  end
  return result
end

return M
