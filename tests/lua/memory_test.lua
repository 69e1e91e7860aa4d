-- --memory: sizes, the window of pages under way, and whole runs in little memory.
local t = require "harness"
local json = require "quern.json"
local quern = require "quern"
local http = require "quern.http"
local chunk = require "quern.chunk"
local instant = require "quern.instant"
local run = require "quern.run"
local task = require "quern.task"
local window = require "quern.window"

local DAY, MB = 86400000, 1 << 20
local START = 19723 * DAY -- 2024-01-01

t.test("sizes as people write them", function()
  for text, bytes in pairs { ["1048576"] = MB, ["1024K"] = MB, ["64M"] = 64 * MB, ["2G"] = 2048 * MB } do t.equal(window.size(text), bytes) end
  t.equal(window.size(64 * MB), 64 * MB)
  t.equal(window.size(nil), nil)
  for _, text in ipairs { "", "64", "1023K", "64m", "64 M", "64MB", "-1M", "1.5G", "0x100000", "9999999999999", "999999999999G", "M" } do
    local bytes, err = window.size(text)
    t.equal(bytes, nil)
    t.match(err.message, "^%-%-memory '.*' is not a size from 1M on: .* such as 64M$")
    t.equal(err.exit, 2)
  end
end)

-- A window of some memory, and leaves at places 1, 2, 3 ...
local function open(opts, leaves)
  local w = window.new { memory = opts.memory, pages = opts.pages or 100, rows = opts.rows or function() return 0 end }
  local list = {}
  for place = 1, leaves do
    list[place] = { label = "leaf " .. place }
    w:begin(list[place], place)
  end
  return w, list
end

-- Asks for a page in a task of its own. Answers a table with `cost` once the page may come.
local function ask(w, leaf)
  local asked = {}
  asked.task = task.spawn(function() asked.cost = w:enter(leaf) end)
  task.sleep(1)
  return asked
end

t.test("without a limit of its own a run starts as many pages as it has leaves", function()
  local w, leaves = open({}, 50)
  for place = 1, 50 do t.ok(ask(w, leaves[place]).cost) end
  t.equal(w.waits, 0)
end)

t.test("where a limit was asked for the first page comes alone, and tells how large pages are", function()
  local w, leaves = open({ memory = 8 * MB }, 3)
  local first, second, third = ask(w, leaves[1]), ask(w, leaves[2]), ask(w, leaves[3])
  t.equal(first.cost, 0)
  t.equal(second.cost, nil)
  w:came(leaves[1], 0, MB) -- 2.6 MB of 7: two fit
  task.sleep(1)
  t.equal(second.cost, 2.6 * MB)
  t.equal(third.cost, nil)
  w:leave(leaves[2], second.cost)
  task.sleep(1)
  t.equal(third.cost, 2.6 * MB)
  t.equal(w.waits, 1)
end)

t.test("one page may always come, however large pages are", function()
  local w, leaves = open({ memory = 8 * MB }, 2)
  w:leave(leaves[1], w:came(leaves[1], w:enter(leaves[1]), 100 * MB))
  local cost = ask(w, leaves[2]).cost
  t.equal(cost, 260 * MB)
  local waiting = ask(w, leaves[1])
  t.equal(waiting.cost, nil)
  w:leave(leaves[2], cost)
  task.sleep(1)
  t.equal(waiting.cost, 260 * MB)
  t.equal(w.wait_ms, 1000) -- from its question on
end)

t.test("the first leaf in plan order has its page first", function()
  local w, leaves = open({ memory = 8 * MB }, 4)
  local cost = w:came(leaves[4], w:enter(leaves[4]), 3 * MB)
  local third, first, second = ask(w, leaves[3]), ask(w, leaves[1]), ask(w, leaves[2])
  w:leave(leaves[4], cost)
  task.sleep(1)
  t.ok(first.cost)
  t.ok(not second.cost and not third.cost)
  w:finish(leaves[1]) -- its walk is over, whatever it had
  task.sleep(1)
  t.ok(second.cost and not third.cost)
  third.task:cancel() -- nobody waits for a leaf that has gone
  w:finish(leaves[2])
  t.ok(ask(w, leaves[4]).cost)
end)

t.test("large pages are not more than leaves and threads, small ones may be", function()
  local w, leaves = open({ pages = 2 }, 4)
  local cost = w:came(leaves[1], w:enter(leaves[1]), MB)
  t.ok(ask(w, leaves[2]).cost)
  local third = ask(w, leaves[3])
  t.equal(third.cost, nil)
  w:leave(leaves[1], cost)
  task.sleep(1)
  t.ok(third.cost)
  t.equal(w.waits, 0) -- not for memory
  local small, more = open({ pages = 2 }, 4)
  small:came(more[1], small:enter(more[1]), 1000)
  for place = 2, 4 do t.ok(ask(small, more[place]).cost) end
end)

t.test("later leaves of a busy run wait while rows fill their memory; an idle run has a disk", function()
  local held = 0
  local w, leaves = open({ memory = 8 * MB, rows = function() return held end }, 2)
  w:leave(leaves[1], w:came(leaves[1], w:enter(leaves[1]), 1000))
  held = MB -- an eighth
  t.ok(ask(w, leaves[2]).cost)
  w.is_busy = function() return true end
  local later = ask(w, leaves[2])
  t.equal(later.cost, nil)
  t.ok(ask(w, leaves[1]).cost) -- the first leaf never waits for that
  held = 0
  task.sleep(100)
  t.ok(later.cost)
  held = MB
  later = ask(w, leaves[2])
  t.equal(later.cost, nil)
  w:finish(leaves[1]) -- now it is the first
  task.sleep(100)
  t.ok(later.cost)
end)

-- ---- runs ----

local PAGES, ROWS, DAYS = 4, 20, 6

local function body_of(day, page, padding)
  local items, filler = {}, ("x"):rep(padding)
  for index = 1, ROWS do items[index] = { id = ("%d-%d-%d"):format(day, page, index), filler = filler } end
  return json.encode { items = items, pages = PAGES }
end

-- Days of pages of 20 records with so many bytes more. Later days answer sooner. odd(day, page): another page's number to answer with.
local function definition(padding, odd)
  local bodies = {} -- made before, so that they are not counted with the run
  for day = 1, DAYS do
    for page = 1, PAGES do bodies[day * 10 + page] = body_of(day, page, padding) end
  end
  t.serve(function(request)
    local day, page = request.url:match "day=(%d+)", request.url:match "pageNumber=(%d+)"
    day, page = tonumber(day), tonumber(page)
    return { status = 200, headers = {}, body = bodies[day * 10 + (odd and odd(day, page) or page)], after_ms = 10 * (7 - day) }
  end)
  return quern.query {
    name = "large", client = { base_url = "http://api.test" }, params = { from = quern.param.time {}, to = quern.param.time {} },
    chunk = quern.chunk.by_time { size = "P1D" },
    request = function(_, c) return { path = "/q", query = { day = c.from:iso("s"):sub(9, 10) } } end,
    pages = quern.pages.number { size = ROWS, stop = "count", count = "$.pages" },
    records = "$.items[*]", raw = true, format = "ndjson",
  }
end

local function execute(query, opts)
  local params = { from = instant.new(START), to = instant.new(START + DAYS * DAY) }
  local output = t.path "out.ndjson"
  local options = { run_id = "test", output = output, workers = 1, concurrency = 6 }
  for key, value in pairs(opts) do options[key] = value end
  collectgarbage()
  t.memory(true)
  local before = t.memory()
  local summary = assert(run.execute({ query = query, params = params, client = http.client(query.client), format = "ndjson", now_ms = START,
                                       cut = chunk.bind(query.chunk, params) }, options))
  local _, peak = t.memory()
  local file = assert(io.open(output, "rb"))
  local text = file:read "a"
  file:close()
  os.remove(output)
  return summary, text, peak - before
end

t.test("little memory: the same rows, said once, and within the limit", function()
  local query = definition(10000) -- 200 KB a page
  local roomy, expected, usual = execute(query, {})
  t.equal(roomy.memory, nil)
  t.equal(#t.events "memory", 0)
  local summary, text, peak = execute(query, { memory = 2 * MB })
  t.ok(text == expected)
  t.equal(summary.exit, 0)
  t.equal(summary.rows, DAYS * PAGES * ROWS)
  t.equal(summary.memory.limit, 2 * MB)
  t.ok(summary.memory.waits > 0 and summary.memory.wait_ms > 0)
  local told = t.events "memory"
  t.equal(#told, 1)
  t.equal(told[1].limit, 2 * MB)
  t.ok(told[1].pages >= 1 and told[1].bytes > 500000)
  t.ok(peak < 2 * MB and usual > 1.5 * peak, ("at most %d bytes more than before, without a limit %d"):format(peak, usual))
end)

t.test("the least memory: one page at a time", function()
  local query = definition(40000) -- 800 KB a page: two of them are more than 1 MB
  local _, expected = execute(query, {})
  local summary, text = execute(query, { memory = MB })
  t.ok(text == expected)
  t.equal(summary.exit, 0)
  local last
  for index = DAYS * PAGES + 1, #t.requests do
    t.ok(not last or t.requests[index].at >= last + 10)
    last = t.requests[index].at
  end
end)

t.test("a walk that begins again gives back its room", function()
  local _, expected = execute(definition(40000), {})
  local odd = {}
  local summary, text = execute(definition(40000, function(day, page)
    if page == 3 and not odd[day] then
      odd[day] = true
      return 1 -- a page that this walk has seen
    end
  end), { memory = 3 * MB })
  t.equal(summary.exit, 0)
  t.equal(summary.restarts, DAYS)
  t.ok(text == expected)
end)
