-- Records that fail, over whole runs in virtual time: what is told, what is kept, and that it is exactly once.
local t = require "harness"
local json = require "quern.json"
local quern = require "quern"
local http = require "quern.http"
local chunk = require "quern.chunk"
local instant = require "quern.instant"
local quarantine = require "quern.quarantine"
local run = require "quern.run"

local HOUR = 3600000
local START = 19723 * 24 * HOUR -- 2024-01-01
local EVERY = 7 -- the first of so many records fails

-- A record an hour; `n` of some is no integer.
local function records(from, to)
  local list = {}
  for ms = from, to - 1, HOUR do
    local number = (ms - START) // HOUR
    list[#list + 1] = { id = "r" .. number, at = instant.new(ms):iso("ms"), n = number % EVERY == 0 and "no" or number }
  end
  return list
end

local function range_of(request)
  local body, time = json.decode(request.body), require "quern.time"
  return time.parse(body.from), time.parse(body.to)
end

local function answer(status, value)
  return { status = status, headers = {}, body = json.encode(value), after_ms = 10 }
end

local function serve()
  t.serve(function(request) return answer(200, { items = json.array(records(range_of(request))) }) end)
end

local function definition(changes)
  local spec = {
    name = "hours", client = { base_url = "http://api.test" },
    chunk = quern.chunk.by_time { size = "P1D", floor = "PT1H", grain = "PT1S" },
    params = { from = quern.param.time {}, to = quern.param.time {} },
    request = function(_, c) return { method = "POST", path = "/q", json = { from = c.from:iso("s"), to = c.to:iso("s") } } end,
    records = "$.items[*]", key = "$.id", owner = "$.at", columns = { { "id", "$.id" }, { "n", "$.n", as = "integer" } },
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return quern.query(spec)
end

local function take(path)
  local file = path and io.open(path, "rb")
  local text = file and file:read "a"
  if file then
    file:close()
    os.remove(path)
  end
  return text
end

-- The summary, the rows, and the quarantine as texts; nil: there is no file.
local function execute(query, mode, opts, hours, named)
  local params = { from = instant.new(START), to = instant.new(START + (hours or 48) * HOUR) }
  local output = t.path("out.csv")
  local on_error = assert(quarantine.bind { on_error = mode, output = output, quarantine = named })
  local bound = { query = query, params = params, client = http.client(query.client), format = "csv", now_ms = START + 4000 * HOUR,
                  cut = chunk.bind(query.chunk, params), on_error = on_error }
  local options = { run_id = "test", output = output, workers = 1 }
  for key, value in pairs(opts or {}) do options[key] = value end
  local summary = assert(run.execute(bound, options))
  return summary, take(output), take(on_error.path)
end

-- What a run of so many hours must write, if nothing is lost and nothing is there twice.
local function expected(hours)
  local lines, failed = { "id,n\r\n" }, 0
  for _, record in ipairs(records(START, START + hours * HOUR)) do
    if record.n == "no" then failed = failed + 1
    else lines[#lines + 1] = ("%s,%d\r\n"):format(record.id, record.n) end
  end
  return table.concat(lines), failed
end

-- The ids in a quarantine, each of its lines checked.
local function ids(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do
    local one = assert(json.decode(line))
    t.match(one.leaf, "^2024%-01%-")
    t.equal(one.reason, [[column 'n': "no" is not an integer]])
    t.equal(one.value.n, "no")
    t.ok(one.page >= 1 and one.record >= 1)
    list[#list + 1] = one.value.id
  end
  return table.concat(list, " ")
end

local function failing(hours)
  local list = {}
  for number = 0, hours - 1, EVERY do list[#list + 1] = "r" .. number end
  return table.concat(list, " ")
end

t.test("stop: the first record that fails ends the run, by name", function()
  serve()
  local summary, rows, aside = execute(definition(), "stop")
  t.equal(summary.exit, 1)
  t.match(summary.message, "leaf 2024%-01%-01T.* page 1, record 1: column 'n': \"no\" is not an integer")
  t.equal(rows, nil)
  t.equal(aside, nil)
end)

t.test("skip: the others are written, each that failed is told and counted", function()
  serve()
  local summary, rows, aside = execute(definition(), "skip")
  local text, failed = expected(48)
  t.equal(summary.exit, 0)
  t.equal(rows, text)
  t.equal(aside, nil)
  t.equal(summary.failed, failed)
  t.equal(summary.quarantine, nil)
  t.equal(summary.records, 48)
  t.equal(summary.rows, 48 - failed)
  local told = t.events "record_failed"
  t.equal(#told, failed)
  t.equal(told[1].page, 1)
  t.equal(told[1].record, 1)
  t.equal(told[1].value, nil)
  t.match(told[1].leaf, "^2024%-01%-01T")
  t.match(told[1].reason, "is not an integer")
  t.equal(t.events("records_failed")[1].failed, failed)
end)

t.test("quarantine: they are in a file beside the output, in plan order", function()
  serve()
  local summary, rows, aside = execute(definition(), "quarantine", { concurrency = 3 }, 96)
  t.equal(summary.exit, 0)
  t.equal(rows, (expected(96)))
  t.equal(ids(aside), failing(96))
  t.match(summary.quarantine, "out%.csv%.quarantine%.ndjson$")
end)

t.test("a split and a restart leave nothing of the walks that were void", function()
  local short = true
  t.serve(function(request)
    local from, to = range_of(request)
    local found = records(from, to)
    if #found > 12 then return answer(413, { message = "too large" }) end
    if from == START + 12 * HOUR and short then -- one record less than was promised: the leaf begins again
      short = false
      table.remove(found)
      return answer(200, { items = json.array(found), total = 12 })
    end
    return answer(200, { items = json.array(found), total = #found })
  end)
  local summary, rows, aside = execute(definition { total = "$.total" }, "quarantine")
  t.equal(summary.exit, 0)
  t.ok(summary.splits >= 2)
  t.equal(summary.restarts, 1)
  t.equal(rows, (expected(48)))
  t.equal(ids(aside), failing(48))
  t.equal(#t.events "record_failed", summary.failed)
end)

t.test("a record that fails in its owner is delivered: its neighbours' word makes no hole", function()
  t.serve(function(request)
    local from, to = range_of(request)
    return answer(200, { items = json.array(records(math.max(from - HOUR, START), math.min(to + HOUR, START + 56 * HOUR))) })
  end)
  local query = definition { chunk = quern.chunk.by_time { size = "PT7H", grain = "PT1S" } } -- the first of each leaf fails
  local summary, rows, aside = execute(query, "quarantine", nil, 56)
  t.equal(summary.exit, 0)
  t.equal(summary.refetches, 0)
  t.equal(#summary.holes, 0)
  t.ok(summary.disowned > 0)
  t.equal(rows, (expected(56)))
  t.equal(ids(aside), failing(56))
end)

t.test("a transform that raises fails its record, not the run", function()
  serve()
  local body = "return { transform = function(record, row) if record.n == 'no' then error('bad n') end row.n = record.n return row end }"
  local query = definition { columns = { { "id", "$.id" }, { "n" } }, transform = function() end }
  local script = { name = "@x.lua", path = "x.lua", dir = ".", source = body }
  local params = { from = instant.new(START), to = instant.new(START + 24 * HOUR) }
  local summary = assert(run.execute({ query = query, params = params, client = http.client(query.client), format = "csv", now_ms = 0,
    script = script, cut = chunk.bind(query.chunk, params), on_error = { mode = "skip" } }, { run_id = "x", output = t.path "x.csv", workers = 2 }))
  t.equal(take(t.path "x.csv"), (expected(24)))
  t.equal(summary.failed, 4)
  t.equal(t.events("record_failed")[1].reason, "transform failed at x.lua:1: bad n")
end)

t.test("the first twenty are told, then how many there are", function()
  serve()
  local summary = execute(definition(), "skip", nil, 7 * 30)
  t.equal(summary.failed, 30)
  t.equal(#t.events "record_failed", 20)
  local sum = t.events "records_failed"
  t.equal(#sum, 1)
  t.equal(sum[1].failed, 30)
  t.equal(sum[1].told, 20)
end)

t.test("nothing failed: no file, no event, and a file of an earlier run is gone", function()
  t.serve(function(request)
    local found = records(range_of(request))
    for _, record in ipairs(found) do record.n = 1 end
    return answer(200, { items = json.array(found) })
  end)
  local path = t.path "out.csv.quarantine.ndjson"
  assert(io.open(path, "w")):close()
  local summary, rows, aside = execute(definition(), "quarantine")
  t.equal(summary.exit, 0)
  t.ok(rows)
  t.equal(aside, nil)
  t.equal(summary.failed, 0)
  t.equal(summary.quarantine, nil)
  t.equal(#t.events "records_failed", 0)
end)

t.test("nothing failed: a file that the user named is not removed, but empty", function()
  t.serve(function(request)
    local found = records(range_of(request))
    for _, record in ipairs(found) do record.n = 1 end
    return answer(200, { items = json.array(found) })
  end)
  local path = t.path "aside.ndjson"
  local file = assert(io.open(path, "w"))
  file:write "of another run\n"
  file:close()
  local summary, rows, aside = execute(definition(), "quarantine", nil, nil, path)
  t.equal(summary.exit, 0)
  t.ok(rows)
  t.equal(aside, "")
end)

t.test("an incomplete run keeps both partial files; accepted, both are published", function()
  local function serve_with_a_hole()
    t.serve(function(request)
      local from, to = range_of(request)
      if from == START + 24 * HOUR then return answer(404, { message = "gone" }) end
      return answer(200, { items = json.array(records(from, to)) })
    end)
  end
  serve_with_a_hole()
  local summary, rows, aside = execute(definition(), "quarantine")
  t.equal(summary.exit, 3)
  t.equal(rows, nil)
  t.equal(aside, nil)
  t.match(summary.message, "what was done is in .*partial, records that failed in .*quarantine%.ndjson%.test%.partial; run again")
  t.ok(take(summary.partial))
  t.equal(ids(take(summary.quarantine)), failing(24))
  serve_with_a_hole()
  summary, rows, aside = execute(definition(), "quarantine", { accept_incomplete = true })
  t.equal(summary.exit, 3)
  t.equal(rows, (expected(24)))
  t.equal(ids(aside), failing(24))
  t.match(summary.quarantine, "out%.csv%.quarantine%.ndjson$")
end)

t.test("what the options say is checked", function()
  local function refused(opts, pattern)
    local bound, err = quarantine.bind(opts)
    t.equal(bound, nil)
    t.equal(err.exit, 2)
    t.match(err.message, pattern)
  end
  refused({ on_error = "ignore" }, "'ignore' is not one of quarantine, skip, stop")
  refused({ on_error = "quarantine" }, "rows go to stdout; say with %-%-quarantine FILE")
  refused({ on_error = "quarantine", output = "-" }, "rows go to stdout")
  refused({ on_error = "quarantine", output = "x", quarantine = "-" }, "must be a file")
  refused({ on_error = "quarantine", output = "x", quarantine = "x" }, "the rows go there")
  refused({ on_error = "skip", output = "x", quarantine = "y" }, "goes with %-%-on%-error quarantine")
  refused({ output = "x", quarantine = "y" }, "goes with %-%-on%-error quarantine")
  t.equal(quarantine.bind({}).mode, "stop")
  t.equal(quarantine.bind({ on_error = "quarantine", output = "d/x.csv" }).path, "d/x.csv.quarantine.ndjson")
  t.equal(quarantine.bind({ on_error = "quarantine", quarantine = "q" }).path, "q")
end)
