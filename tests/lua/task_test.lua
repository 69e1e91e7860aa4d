-- Tasks: structured, cancellable at any time, resumed in one place. Virtual time.
local t = require "harness"
local core = require "quern.core.task"
local http = require "quern.core.http"
local errors = require "quern.core.error"
local sandbox = require "quern.core.sandbox"
local task = require "quern.task"

t.test("spawn and join: results, errors as they were raised, twice", function()
  local good = core.spawn(function(a, b) return a + b, nil, "x" end, 1, 2)
  local results = table.pack(good:join())
  t.equal(results.n, 4)
  t.equal(results[2], 3)
  t.equal(results[4], "x")
  local problem = errors.new("test", "no luck")
  local bad = core.spawn(function() error(problem) end)
  local ok, err = bad:join()
  t.equal(ok, false)
  t.equal(err, problem)
  t.equal(select(2, bad:join()), problem)
  t.equal(bad:status(), "failed")
  t.equal(good:status(), "done")
end)

t.test("an error that was not raised on purpose carries a traceback", function()
  local ok, err = core.spawn(function() local x = nil; return x.y end):join()
  t.equal(ok, false)
  t.equal(err.kind, "script")
  t.match(err.message, "task_test%.lua:%d+: attempt to index")
  t.match(err.traceback, "traceback")
end)

t.test("sleep takes exactly its time; tasks run side by side", function()
  local order = {}
  local children = {}
  for index, ms in ipairs { 300, 100, 200 } do
    children[index] = core.spawn(function()
      core.sleep(ms)
      order[#order + 1] = ms
    end)
  end
  for _, child in ipairs(children) do child:join() end
  t.same(order, { 100, 200, 300 })
  t.equal(t.now(), 300)
end)

t.test("cancel: raised at the wait, closes variables, joins as an error", function()
  local closed = 0
  local child = core.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    core.sleep(1e9)
  end)
  core.sleep(1)
  child:cancel()
  local ok, err = child:join()
  t.equal(ok, false)
  t.equal(err.kind, "cancelled")
  t.equal(closed, 1)
  t.equal(child:status(), "cancelled")
  t.equal(t.now(), 1)
  child:cancel() -- once more does nothing
end)

t.test("cancel before the first turn: the function never runs", function()
  local ran = false
  local child = core.spawn(function() ran = true end)
  child:cancel()
  t.equal((child:join()), false)
  t.equal(ran, false)
end)

t.test("a cancelled task that swallows the error and waits again is closed where it stands", function()
  local swallowed, closed, after = 0, false, false
  local child = core.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() closed = true end })
    for _ = 1, 3 do
      if not pcall(core.sleep, 1e9) then swallowed = swallowed + 1 end
    end
    after = true
  end)
  core.sleep(1)
  child:cancel()
  t.equal((child:join()), false)
  t.equal(swallowed, 1)
  t.equal(closed, true)
  t.equal(after, false)
end)

t.test("a task that ends cancels what it started, and waits for it", function()
  local ended = 0
  local parent = core.spawn(function()
    for _ = 1, 3 do
      core.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
        core.sleep(1e9)
      end)
    end
    core.sleep(10)
    return "done"
  end)
  local ok, value = parent:join()
  t.equal(ok, true)
  t.equal(value, "done")
  t.equal(ended, 3)
  t.equal(t.now(), 10)
end)

t.test("a task that fails cancels what it started", function()
  local ended = false
  local parent = core.spawn(function()
    core.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() ended = true end })
      core.sleep(1e9)
    end)
    core.sleep(1)
    error(errors.new("test", "parent fails"))
  end)
  local ok, err = parent:join()
  t.equal(ok, false)
  t.equal(err.message, "parent fails")
  t.equal(ended, true)
end)

t.test("a child that failed unobserved makes its parent fail; a joined one does not", function()
  local function parent(join)
    return core.spawn(function()
      local child = core.spawn(function() error(errors.new("test", "child fails")) end)
      core.sleep(1)
      if join then child:join() end
      return true
    end):join()
  end
  local ok, err = parent(false)
  t.equal(ok, false)
  t.equal(err.message, "child fails")
  t.equal((parent(true)), true)
end)

t.test("events wake those who wait now, first come first; or time out", function()
  local event, woken = core.event(), {}
  local children = {}
  for index = 1, 3 do
    children[index] = core.spawn(function()
      t.equal(event:wait(), true)
      woken[#woken + 1] = index
    end)
  end
  t.equal(event:wait(50), false)
  t.equal(t.now(), 50)
  event:set()
  for _, child in ipairs(children) do child:join() end
  t.same(woken, { 1, 2, 3 })
  local late = core.spawn(function() return event:wait(10) end)
  local _, value = late:join()
  t.equal(value, false) -- a pulse, not a latch
end)

t.test("cancel while waiting for anything", function()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1000 } end)
  local event = core.event()
  local never = core.spawn(function() event:wait() end)
  local waits = {
    function() core.sleep(1e9) end,
    function() event:wait() end,
    function() event:wait(1e9) end,
    function() never:join() end,
    function() http.send { method = "GET", url = "http://x.test/" } end,
  }
  local children = {}
  for index, wait in ipairs(waits) do children[index] = core.spawn(wait) end
  core.sleep(5)
  for _, child in ipairs(children) do child:cancel() end
  for _, child in ipairs(children) do
    local ok, err = child:join()
    t.equal(ok, false)
    t.equal(err.kind, "cancelled")
  end
  t.equal(t.now(), 5)
  event:set()
  t.equal((never:join()), true)
end)

t.test("a test may end while everything waits: nothing is left", function()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1e9 } end)
  local event = core.event()
  for _, wait in ipairs { function() core.sleep(1e9) end, function() event:wait() end,
                          function() http.send { method = "GET", url = "http://x.test/" } end } do
    core.spawn(wait)
  end
  core.sleep(1)
end)

t.test("a task cannot join itself, and results survive the collector", function()
  local child
  child = core.spawn(function() return pcall(child.join, child) end)
  core.sleep(1)
  collectgarbage()
  local _, ok, message = child:join()
  t.equal(ok, false)
  t.match(message, "cannot join itself")
end)

t.test("ten thousand tasks", function()
  local sum, children = 0, {}
  for index = 1, 10000 do
    children[index] = core.spawn(function()
      core.sleep(index % 7)
      sum = sum + 1
    end)
  end
  for _, child in ipairs(children) do child:join() end
  t.equal(sum, 10000)
end)

-- ---- where waiting is possible ----

t.test("waits pass through pcall, iterators and a script's own coroutines", function()
  local coroutine = sandbox.environment(".").coroutine
  local function numbers()
    return coroutine.wrap(function()
      for index = 1, 3 do
        core.sleep(10)
        coroutine.yield(index)
      end
    end)
  end
  local got = {}
  for n in numbers() do got[#got + 1] = n end
  t.same(got, { 1, 2, 3 })
  t.equal(t.now(), 30)
  local co = coroutine.create(function(a)
    core.sleep(5)
    local b = coroutine.yield(a + 1)
    core.sleep(5)
    error("at the end " .. b)
  end)
  local ok, value = coroutine.resume(co, 1)
  t.equal(ok, true)
  t.equal(value, 2)
  ok, value = coroutine.resume(co, "x")
  t.equal(ok, false)
  t.match(value, "at the end x")
  t.equal(select(2, pcall(function() core.sleep(1) return "through pcall" end)), "through pcall")
end)

t.test("cancel reaches a wait inside a script's own coroutine", function()
  local coroutine = sandbox.environment(".").coroutine
  local child = core.spawn(function()
    coroutine.wrap(function() core.sleep(1e9) end)()
  end)
  core.sleep(1)
  child:cancel()
  local ok, err = child:join()
  t.equal(ok, false)
  t.equal(err.kind, "cancelled")
end)

t.test("waiting where it is impossible is refused in plain words", function()
  local function refused(fn) t.raises(fn, "waiting is not possible here") end
  refused(function() table.sort({ 3, 1, 2 }, function(a, b) core.sleep(1) return a < b end) end)
  refused(function() ("abc"):gsub(".", function() core.sleep(1) end) end)
  refused(function() tostring(setmetatable({}, { __tostring = function() core.sleep(1) return "x" end })) end)
end)

t.test("a bare coroutine.yield in a task is a clear error", function()
  local ok, err = core.spawn(function() coroutine.yield(1) end):join()
  t.equal(ok, false)
  t.match(err.message, "coroutine.yield%(%) outside a coroutine of your own")
end)

-- ---- the public words ----

t.test("map keeps the order and the bound; the first failure cancels the rest", function()
  local running, most = 0, 0
  local results = task.map({ 5, 1, 3, 2, 4 }, 2, function(n)
    running = running + 1
    most = math.max(most, running)
    task.sleep(n)
    running = running - 1
    return n * 10
  end)
  t.same(results, { 50, 10, 30, 20, 40 })
  t.equal(most, 2)
  local cancelled = 0
  local err = t.raises(function()
    task.map({ 1, 2, 3 }, 3, function(n)
      local _ <close> = setmetatable({}, { __close = function(_, problem) if problem then cancelled = cancelled + 1 end end })
      if n == 2 then error(errors.new("test", "second fails")) end
      task.sleep "1h"
    end)
  end, "second fails")
  t.equal(err.kind, "test")
  task.sleep(0)
  t.equal(cancelled, 2) -- the one that failed and the one that slept; the third had not begun
end)

t.test("all runs side by side; timeout bounds", function()
  t.same(task.all { function() task.sleep(2) return "a" end, function() task.sleep(1) return "b" end }, { "a", "b" })
  t.equal(t.now(), 2000)
  t.equal(task.timeout("1s", function(x) task.sleep "500ms" return x end, "in time"), "in time")
  local value, err = task.timeout(1, task.sleep, "1h")
  t.equal(value, nil)
  t.equal(err.kind, "timeout")
  t.raises(function() task.timeout(1, error, errors.new("test", "inside")) end, "inside")
  t.raises(function() task.sleep "soon" end, "is not a duration")
end)

t.test("the calendar may jump; waits do not care", function()
  local before = core.wall()
  t.jump(-3600000)
  core.sleep(1000)
  t.equal(core.wall(), before - 3600000 + 1000)
  t.equal(t.now(), 1000)
end)
