-- Whole runs in virtual time: leaves, splits, restarts, commits, verdicts and what stands under the output's name.
local t = require "harness"
local json = require "quern.json"
local quern = require "quern"
local http = require "quern.http"
local chunk = require "quern.chunk"
local instant = require "quern.instant"
local run = require "quern.run"
local task = require "quern.task"

local DAY = 86400000
local START = 19723 * DAY -- 2024-01-01
local BASE = "http://api.test"

-- A server of one record an hour; answers what lies in [from, to), optionally with the record before and after.
local function records(from, to, overlap)
  local list = {}
  for ms = START, START + 40 * DAY - 1, 3600000 do
    local inside = from <= ms and ms < to
    local touching = overlap and (ms == to or ms == from - 3600000)
    if inside or touching then list[#list + 1] = { id = "r" .. (ms - START) // 3600000, at = instant.new(ms):iso("ms") } end
  end
  return list
end

local function range_of(request)
  local body = json.decode(request.body)
  local time = require "quern.time"
  return time.parse(body.from), time.parse(body.to)
end

local function answer(status, value, headers)
  return { status = status, headers = headers or {}, body = json.encode(value), after_ms = 10 }
end

local function definition(changes)
  local spec = {
    name = "hours", client = { base_url = BASE },
    chunk = quern.chunk.by_time { size = "P10D", floor = "PT6H", grain = "PT1S" },
    params = { from = quern.param.time {}, to = quern.param.time {} },
    request = function(_, c) return { method = "POST", path = "/q", json = { from = c.from:iso("s"), to = c.to:iso("s") } } end,
    records = "$.items[*]", key = "$.id", owner = "$.at", columns = { { "id", "$.id" }, { "at", "$.at" } },
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return quern.query(spec)
end

local function bound(query, days)
  local params = { from = instant.new(START), to = instant.new(START + (days or 20) * DAY) }
  return { query = query, params = params, client = http.client(query.client), format = "csv", now_ms = START + 100 * DAY,
           cut = chunk.bind(query.chunk, params) }
end

local function execute(query, opts, days)
  local output = t.path("out.csv")
  local options = { run_id = "test", output = output, workers = 1 }
  for key, value in pairs(opts or {}) do options[key] = value end
  local summary = assert(run.execute(bound(query, days), options))
  local file = io.open(output, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  os.remove(output)
  return summary, text
end

local function expected(days)
  local lines = { "id,at\r\n" }
  for _, r in ipairs(records(START, START + days * DAY)) do lines[#lines + 1] = r.id .. "," .. r.at .. "\r\n" end
  return table.concat(lines)
end

t.test("a plain run: every row once, in order, complete", function()
  t.serve(function(request) return answer(200, { items = json.array(records(range_of(request))) }) end)
  local summary, text = execute(definition())
  t.equal(summary.exit, 0)
  t.equal(text, expected(20))
  t.equal(summary.rows, 480)
  t.equal(summary.verdict, "complete")
  t.equal(summary.tiled, true)
  t.equal(summary.counted, "not promised")
  t.equal(summary.leaves, 2)
end)

t.test("a column whose path selects nothing anywhere is told at the end, once", function()
  local function columns_told(changes)
    t.serve(function(request) return answer(200, { items = json.array(records(range_of(request))) }) end)
    local before = #t.events "log"
    execute(definition(changes))
    local told = {}
    for index, event in ipairs(t.events "log") do
      if index > before then told[#told + 1] = event.message end
    end
    return table.concat(told, "; ")
  end
  t.equal(columns_told(), "")
  t.equal(columns_told { columns = { { "id", "$.id" }, { "name", "$.nmae" }, { "n", "$.x[*]", reduce = "sum" },
    { "count", "$.x[*]", reduce = "count" }, { "state", "$.state", default = "new" } } },
    "column 'name' was empty in all 480 records; is its path right?; column 'n' was empty in all 480 records; is its path right?")
  t.serve(function() return answer(200, { items = json.array {} }) end)
  local before = #t.events "log"
  execute(definition { columns = { { "name", "$.nmae" } } })
  t.equal(#t.events "log", before)
end)

t.test("413 splits, never sends the same range twice, and gives the same bytes", function()
  local asked = {}
  t.serve(function(request)
    t.equal(asked[request.body], nil)
    asked[request.body] = true
    local found = records(range_of(request))
    if #found > 50 then return answer(413, { message = "too large" }) end
    return answer(200, { items = json.array(found) })
  end)
  local summary, text = execute(definition())
  t.equal(summary.exit, 0)
  t.equal(text, expected(20))
  t.ok(summary.splits >= 8)
end)

t.test("records that a server returns in both neighbours are written once, by their owner", function()
  t.serve(function(request)
    local from, to = range_of(request)
    return answer(200, { items = json.array(records(from, to, true)) })
  end)
  local summary, text = execute(definition())
  t.equal(summary.exit, 0)
  t.equal(text, expected(20))
  t.ok(summary.disowned > 0)
end)

t.test("a chunk that stays too large at the floor is a named hole: exit 3, partial kept, nothing under the name", function()
  t.serve(function(request)
    local from, to = range_of(request)
    if from <= START + DAY and START + DAY < to then return answer(413, { message = "too large" }) end
    return answer(200, { items = json.array(records(from, to)) })
  end)
  local summary, text = execute(definition())
  t.equal(summary.exit, 3)
  t.equal(text, nil)
  t.equal(#summary.holes, 1)
  t.match(summary.holes[1].leaf, "2024%-01%-0[12]T")
  t.ok(summary.partial)
  os.remove(summary.partial)
end)

t.test("a query that cannot be split ends 5", function()
  t.serve(function() return answer(413, { message = "too large" }) end)
  local summary, text = execute(definition { chunk = quern.chunk.by_time { split = false } })
  t.equal(summary.exit, 5)
  t.equal(text, nil)
  t.match(summary.message, "cannot be split")
end)

t.test("nothing ever succeeded: 5 for a refusal, 1 for an unreachable server", function()
  t.serve(function() return answer(404, { message = "no such path" }) end)
  t.equal((execute(definition())).exit, 5)
  t.serve(function() return { kind = "connect", message = "connection refused by 127.0.0.1:9", never_sent = true } end)
  local summary = execute(definition())
  t.equal(summary.exit, 1)
  t.match(summary.message, "127.0.0.1:9")
end)

t.test("one leaf that fails for good: the others go on, exit 3", function()
  t.serve(function(request)
    local from, to = range_of(request)
    if from == START then return answer(404, { message = "gone" }) end
    return answer(200, { items = json.array(records(from, to)) })
  end)
  local summary, text = execute(definition(), nil, 40)
  t.equal(summary.exit, 3)
  t.equal(text, nil)
  t.match(summary.message, "gone")
  os.remove(summary.partial)
end)

t.test("--accept-incomplete publishes what there is", function()
  t.serve(function(request)
    local from, to = range_of(request)
    if from == START then return answer(404, { message = "gone" }) end
    return answer(200, { items = json.array(records(from, to)) })
  end)
  local summary, text = execute(definition(), { accept_incomplete = true }, 20)
  t.equal(summary.exit, 3)
  t.match(text, "^id,at\r\nr240,")
end)

t.test("pages: a promised total that does not come restarts the leaf once, then is a hole", function()
  local calls = 0
  t.serve(function(request)
    calls = calls + 1
    return answer(200, { items = json.array(records(range_of(request))), total = calls == 1 and 999 or 240 })
  end)
  local query = definition { total = "$.total", chunk = quern.chunk.by_time {} }
  local summary, text = execute(query, nil, 10)
  t.equal(summary.exit, 0)
  t.equal(summary.restarts, 1)
  t.equal(summary.counted, "yes")
  t.equal(text, expected(10))
  t.serve(function(request) return answer(200, { items = json.array(records(range_of(request))), total = 999 }) end)
  summary = execute(query, nil, 10)
  t.equal(summary.exit, 3)
  t.equal(summary.counted, "no")
  os.remove(summary.partial)
end)

local function paged(request)
  local size, number = request.url:match "pageSize=(%d+)", request.url:match "pageNumber=(%d+)"
  local all, page = records(range_of(request)), {}
  for index = (number - 1) * size + 1, math.min(number * size, #all) do page[#page + 1] = all[index] end
  return page, #all, tonumber(size), tonumber(number)
end

t.test("numbered pages until the count; max is a loud bound", function()
  t.serve(function(request)
    local page, count, size = paged(request)
    return answer(200, { items = json.array(page), pageCount = -(-count // size) })
  end)
  local function with_max(max)
    return definition { chunk = quern.chunk.by_time {},
                        pages = quern.pages.number { size = 50, stop = "count", count = "$.pageCount", max = max } }
  end
  local summary, text = execute(with_max(100), nil, 10)
  t.equal(summary.exit, 0)
  t.equal(text, expected(10))
  t.equal(summary.pages, 5)
  t.equal(summary.counted, "yes")
  summary = execute(with_max(3), nil, 10)
  t.equal(summary.exit, 3)
  t.match(summary.message, "more than 3 pages")
  os.remove(summary.partial)
end)

t.test("stop 'missing': an answer without records ends the walk, be it {} or 204", function()
  for _, last in ipairs { { status = 200, headers = {}, body = "{}" }, { status = 204, headers = {}, body = "" } } do
    t.serve(function(request)
      local page = paged(request)
      if #page == 0 then return last end
      return answer(200, { items = json.array(page) })
    end)
    local summary, text = execute(definition { chunk = quern.chunk.by_time {},
      pages = quern.pages.number { size = 50, stop = "missing" } }, nil, 10)
    t.equal(summary.exit, 0)
    t.equal(text, expected(10))
  end
end)

t.test("a page that is sent twice restarts the leaf once", function()
  local repeats = 0
  t.serve(function(request)
    local page, count, size, number = paged(request)
    if number == 2 and repeats == 0 then
      repeats = 1
      request.url = request.url:gsub("pageNumber=2", "pageNumber=1")
      page = paged(request)
    end
    return answer(200, { items = json.array(page), pageCount = -(-count // size) })
  end)
  local summary, text = execute(definition { chunk = quern.chunk.by_time {},
    pages = quern.pages.number { size = 50, stop = "count", count = "$.pageCount" } }, nil, 10)
  t.equal(summary.exit, 0)
  t.equal(summary.restarts, 1)
  t.equal(text, expected(10))
end)

t.test("429 above max_wait defers the run: 75, nothing kept", function()
  t.serve(function() return answer(429, { message = "slow down" }, { { "Retry-After", "3600" } }) end)
  local summary, text = execute(definition())
  t.equal(summary.exit, 75)
  t.equal(text, nil)
  t.match(summary.message, "run again")
end)

t.test("403 ends the run at once with 4", function()
  t.serve(function() return answer(403, { message = "missing permission" }) end)
  local summary = execute(definition())
  t.equal(summary.exit, 4)
  t.match(summary.message, "missing permission")
end)

t.test("when several pages cannot be converted, the first one is told, and the run still has its summary", function()
  t.serve(function(request)
    local page, count, size = paged(request)
    return answer(200, { items = json.array(page), pageCount = -(-count // size) })
  end)
  local inside = task.spawn(execute, definition { chunk = quern.chunk.by_time {}, columns = { { "id", "$.id", as = "integer" } },
    pages = quern.pages.number { size = 50, stop = "count", count = "$.pageCount" } }, nil, 10)
  local ok, summary, text = inside:join()
  t.equal(ok, true)
  t.equal(summary.exit, 1)
  t.equal(text, nil)
  t.match(summary.message, "page 1, record 1: column 'id'")
end)

t.test("a function of the query that never ends is stopped, and the run says so and ends well", function()
  local function nothing() end -- made once: a collector that never rests has nothing to do in the loop
  local function never() while true do pcall(nothing) end end
  local summary = execute(definition { request = function() never() end })
  t.equal(summary.exit, 1)
  t.match(summary.message, "run_test%.lua:%d+: more than 100000000 Lua instructions in one call: an endless loop%?")
end)
