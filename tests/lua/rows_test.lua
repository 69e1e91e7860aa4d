-- quern.rows: queries inside a program. Order, values, errors, loops that are left, memory, audit, several side by side.
local t = require "harness"
local files = require "quern.core.files"
local json = require "quern.json"
local main = require "quern.main"
local quern = require "quern"

local written = {}

local function write(name, text)
  local path = t.path(name)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  written[#written + 1] = path
  return path
end

local function clean()
  for _, path in ipairs(written) do os.remove(path) end
  written = {}
end

-- A query of a number of days with five items a page and four pages a day; its name stands in its rows.
local function query(name, more)
  return write(name .. ".lua", ([[
    local quern = require "quern"
    return quern.query {
      name = "%s", client = { base_url = "http://api.test/%s", retry = quern.retry { jitter = false } },
      params = { from = quern.param.time { default = "2024-01-01" }, to = quern.param.time { default = "2024-01-04" }, kind = quern.param.list {} },
      chunk = quern.chunk.by_time { size = "P1D", floor = "PT12H", grain = "PT1S" },
      request = function(p, chunk) return { path = "/q", query = { from = chunk.from:iso("s"), kind = p.kind } } end,
      pages = quern.pages.number { size = 5, stop = "empty" }, records = "$.items[*]",
      columns = { { "id", "$.id" }, { "note", "$.note" }, { "big", "$.big" } }, %s
    }]]):format(name, name, more or ""))
end

local function serve(changes, pages)
  t.serve(function(request)
    local name, day, number = request.url:match "api.test/(%w+)/", request.url:match "from=2024%-01%-(%d%d)", tonumber(request.url:match "pageNumber=(%d+)")
    local special = changes and changes(request, name, day, number)
    if special then return special end
    local items = json.array {}
    for index = 1, number <= (pages or 4) and 5 or 0 do
      items[index] = { id = ("%s-%s-%d-%d"):format(name, day, number, index), note = index == 1 and json.null or { index }, big = 1 << 60 }
    end
    return { status = 200, headers = {}, body = json.encode { items = items }, after_ms = 10 }
  end)
end

local function program(body, opts)
  local beside = t.path "x":match "([^/]+)x$"
  local script = write("program.lua", 'local quern = require "quern"\nreturn function(args)\n' .. body:gsub("BESIDE%-", beside) .. "\nend")
  local output = t.path "program.out"
  local call = { script = script, output = output, scripts_dir = "/nowhere", params = {}, run_id = "r1", workers = 1 }
  for key, value in pairs(opts or {}) do call[key] = value end
  local result = main.run(call)
  local text = files.read(output)
  os.remove(output)
  clean()
  return result, text
end

local function expected(name, days)
  local lines = {}
  for day = 1, days do
    for page = 1, 4 do
      for index = 1, 5 do
        local note = index == 1 and "null" or "[" .. index .. "]"
        lines[#lines + 1] = ('{"big":%d,"id":"%s-%02d-%d-%d","note":%s}\n'):format(1 << 60, name, day, page, index, note)
      end
    end
  end
  return table.concat(lines)
end

t.test("every row, in order, as tables", function()
  serve()
  query "a"
  local result, text = program [[for row in quern.rows "BESIDE-a.lua" do
      assert(row.note == quern.null or row.note[1] > 1)
      quern.emit(row)
    end]]
  t.equal(result.message, nil)
  t.equal(result.exit, 0)
  t.equal(text, expected("a", 3))
  t.equal(result.rows, 60)
  t.equal(result.requests, 15)
end)

t.test("parameters are texts, numbers, times and lists", function()
  serve()
  query "a"
  local result, text = program [[local day = assert(quern.time.parse "2024-01-02")
    for row in quern.rows("BESIDE-a.lua", { from = "2024-01-01", to = day, kind = { "x", "y" } }) do quern.emit(row) end]]
  t.equal(result.message, nil)
  t.equal(text, expected("a", 1))
  t.match(t.requests[1].url, "kind=x&kind=y")
end)

t.test("a transform and raw rows", function()
  serve()
  query("a", "transform = function(record, row) if row.note == quern.null then return nil end row.big = record.id return row end,")
  local _, text = program [[local n = 0 for row in quern.rows("BESIDE-a.lua") do assert(row.big == row.id) n = n + 1 end quern.emit { n = n }]]
  t.equal(text, '{"n":48}\n')
  write("raw.lua", [[return require("quern").query { name = "raw", client = { base_url = "http://api.test/raw" }, raw = true, records = "$.list[*]",
    request = function() return { path = "/q" } end }]])
  serve(function() return { status = 200, headers = {}, body = '{"list":[1,"a\\nb",{"x":[]},[2],null,1.50]}' } end)
  _, text = program [[local all = quern.json.array {} for row in quern.rows("BESIDE-raw.lua") do all[#all + 1] = row end quern.emit { all = all }]]
  t.equal(text, '{"all":[1,"a\\nb",{"x":[]},[2],null,1.5]}\n')
end)

t.test("several at once, one within another, with the same names of leaves in the audit", function()
  serve()
  query "a"
  query "b"
  local audit = t.path "audit.jsonl"
  local result, text = program([[quern.fields { "id" }
    local lists = quern.task.map({ "a", "b" }, 2, function(name)
      local list = {}
      for row in quern.rows("BESIDE-" .. name .. ".lua", { to = "2024-01-02" }) do list[#list + 1] = row.id end
      return list
    end)
    for row in quern.rows("BESIDE-a.lua", { to = "2024-01-02" }) do
      if row.id:find "1%-1$" then
        for inner in quern.rows("BESIDE-b.lua", { to = "2024-01-02" }) do quern.emit { id = row.id .. "+" .. inner.id } end
      end
    end
    quern.emit { id = #lists[1] .. lists[1][20] .. #lists[2] .. lists[2][20] }]], { audit = audit })
  t.equal(result.message, nil)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = json.decode(line).id end
  t.equal(#lines, 21)
  t.equal(lines[1], "a-01-1-1+b-01-1-1")
  t.equal(lines[21], "20a-01-4-520b-01-4-5")
  local done = {}
  for line in files.read(audit):gmatch "[^\n]+" do
    local event = json.decode(line)
    if event.event == "query_completed" then
      t.equal(event.result_count, 20)
      t.ok(event.latency_ms >= 50)
      done[#done + 1] = event.run .. ":" .. event.query .. ":" .. event.leaf:match "^%S+"
    end
  end
  os.remove(audit)
  table.sort(done)
  t.same(done, { "r1-1:a:a#1", "r1-2:b:b#2", "r1-3:a:a#3", "r1-4:b:b#4" })
end)

t.test("a loop that is left ends the run: nothing is asked any more", function()
  serve()
  for _, leave in ipairs { "break", "goto out", "return", "error 'enough'" } do
    query("a", "chunk = quern.chunk.by_time { size = 'PT1H', grain = 'PT1S' },")
    t.requests = {}
    local result = program([[local n = 0
      for row in quern.rows("BESIDE-a.lua", { to = "2024-06-01" }) do n = n + 1 if n == 3 then quern.events.emit "left" ]] .. leave .. [[ end end
      ::out:: quern.task.sleep(60) quern.emit { n = n }]])
    t.match(result.message or "", leave:find "error" and "enough" or "^$")
    t.equal(result.exit, leave:find "error" and 1 or 0)
    t.ok(#t.requests < 1500)
  end
  local left, after = false, 0
  for _, event in ipairs(t.events()) do
    if event.type == "script.left" then left = true end
    if event.type == "run_started" then left = false end
    if left and event.type == "request" and event.kind ~= "cancelled" then after = after + 1 end
  end
  t.equal(after, 0)
  local ends = t.events "run_finished"
  t.equal(ends[1].summary.verdict, "failed")
  t.equal(ends[1].summary.run, "r1-1")
end)

t.test("the run waits for a slow reader: neither requests nor memory run ahead", function()
  local item = (',{"note":"%s"}'):format(("x"):rep(50000)):rep(4)
  serve(function(_, _, _, number)
    local body = ('{"items":[{"id":%d}%s]}'):format(number, item)
    return number <= 2 and { status = 200, headers = {}, body = body, after_ms = 10 }
  end, 0)
  query("a", "chunk = quern.chunk.by_time { size = 'PT4H', grain = 'PT1S' },")
  t.memory(true)
  local before = t.memory()
  local result = program [[local n = 0
    for row in quern.rows("BESIDE-a.lua", { to = "2024-01-20" }) do
      n = n + 1
      if n == 20 then quern.task.sleep(3600) quern.events.emit "woken" end
    end
    quern.emit { n = n }]]
  t.equal(result.message, nil)
  t.equal(result.requests, 19 * 6 * 3)
  local asked = 0
  for _, event in ipairs(t.events()) do
    if event.type == "script.woken" then break end
    if event.type == "request" then asked = asked + 1 end
  end
  t.ok(asked < 200)
  local _, peak = t.memory()
  t.ok(peak - before < 64 << 20)
end)

t.test("a leaf that is larger than what is held in memory, and rows that are larger than what is taken at once", function()
  local long = ("x"):rep(300000)
  serve(function(_, _, _, number)
    local body = ('{"items":[{"id":%d,"note":"%s"},{"id":-%d}]}'):format(number, long, number)
    return number <= 40 and { status = 200, headers = {}, body = body, after_ms = 10 }
  end, 0)
  query("a", "chunk = quern.chunk.by_time {},")
  t.memory(true)
  local before = t.memory()
  local result, text = program [[local expected = 1
    for row in quern.rows "BESIDE-a.lua" do
      assert(row.id == expected and (expected < 0 or #row.note == 300000))
      expected = expected > 0 and -expected or 1 - expected
    end
    quern.emit { n = expected }]]
  t.equal(result.message, nil)
  t.equal(text, '{"n":41}\n')
  local _, peak = t.memory()
  t.ok(peak - before < 48 << 20)
end)

t.test("how the run failed is raised in the loop, with its exit status", function()
  for status, exit in pairs { [403] = 4, [404] = 5, [503] = 75 } do
    serve(function() return { status = status, headers = {}, body = '{"message":"oh no"}' } end)
    query "a"
    local result, text = program [[for row in quern.rows "BESIDE-a.lua" do quern.emit(row) end]]
    t.equal(result.exit, exit)
    t.match(result.message, "^quern.rows a: ")
    t.equal(text, nil)
  end
  serve()
  query("a", "transform = function() error 'in the transform' end,")
  local result = program [[local ok, err = pcall(function() for row in quern.rows "BESIDE-a.lua" do quern.emit(row) end end)
    quern.emit { ok = ok, kind = err.kind, exit = err.exit } error(err, 0)]]
  t.match(result.message, "quern.rows a: leaf a#1 2024%-01%-0%d.* page %d, record 1: transform failed at .*in the transform")
end)

t.test("an incomplete run gives its rows, then raises", function()
  serve(function(_, _, day) return day == "02" and { status = 404, headers = {}, body = '{"message":"gone"}' } end)
  query "a"
  local result, text = program [[local n = 0
    local ok, err = pcall(function() for _ in quern.rows "BESIDE-a.lua" do n = n + 1 end end)
    quern.emit { n = n, exit = err.exit, message = err.message }]]
  t.equal(result.exit, 0)
  local row = json.decode(text)
  t.equal(row.n, 40)
  t.equal(row.exit, 3)
  t.match(row.message, "^quern.rows a: incomplete; 1 hole: a#1 2024%-01%-02")
end)

t.test("mistakes are told at once", function()
  for _, case in ipairs {
    { 'quern.rows(5)', 1, "program.lua:3: quern.rows takes a script's file or name, not a number" },
    { 'quern.rows("a.lua", "b")', 1, "program.lua:3: quern.rows: the parameters are a table, not a string" },
    { 'quern.rows "none.lua"', 2, "no script at .*/none.lua" },
    { 'quern.rows "none"', 2, "no script named 'none'" },
    { 'quern.rows("BESIDE-a.lua", { form = 1 })', 2, "unknown parameter 'form'; this query takes from, kind, to" },
    { 'quern.rows "BESIDE-program.lua"', 1, "is a program .*; quern.rows takes a script that returns quern.query" },
  } do
    query "a"
    local result = program(case[1])
    t.match(result.message, case[3])
    t.equal(result.exit, case[2])
  end
  write("a.lua", 'local quern = require "quern"\nquern.emit { a = 1 }')
  local result = program 'quern.emit { a = 0 } for _ in quern.rows "BESIDE-a.lua" do end'
  t.match(result.message, "a.lua:%d+: quern.emit is for programs")
  t.raises(function() quern.rows "a.lua" end, "quern.rows is for programs")
end)

t.test("interrupted in the middle: 130, nothing stays, nothing more is asked", function()
  serve(function(_, _, day)
    if day == "03" then t.interrupt() end
  end)
  query "a"
  local result, text = program([[for row in quern.rows "BESIDE-a.lua" do quern.emit(row) quern.task.sleep(0.001) end quern.task.sleep(60)]],
    { concurrency = 1 })
  t.equal(result.exit, 130)
  t.equal(text, nil)
end)

t.test("on_event of the query is told its own run only", function()
  serve()
  query("a", [[on_event = function(event)
    if event.type == "run_finished" or event.type == "leaf_whole" then
      quern.events.emit("seen", { what = event.type, of = event.leaf or event.summary.run })
    end
  end,]])
  query "b"
  program [[quern.task.map({ "a", "b" }, 2, function(name)
    for _ in quern.rows("BESIDE-" .. name .. ".lua", { to = "2024-01-02" }) do end
  end) quern.task.sleep(1)]]
  local seen = {}
  for _, event in ipairs(t.events "script.seen") do seen[#seen + 1] = event.what .. ":" .. event.of:match "^[^ ]+" end
  t.same(seen, { "leaf_whole:a#1", "run_finished:r1-1" })
end)
