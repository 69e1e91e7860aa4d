-- quern.core.convert: plans, index and rows through workers, errors by kind, cancelling at any time.
local t = require "harness"
local convert = require "quern.core.convert"
local errors = require "quern.core.error"
local task = require "quern.core.task"

local function plan(changes)
  local spec = {
    records = { "$.items[*]" }, key = "$.id", facts = { { "total", "$.total" }, { "next", "$.next" } },
    columns = { { name = "id", path = "$.id" }, { name = "n", path = "$.n", as = "integer" } }, format = "csv",
  }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return convert.plan(spec)
end

local function workers(changes)
  local options = { threads = 2, plan = plan() }
  for key, value in pairs(changes or {}) do options[key] = value end
  return assert(convert.workers(options))
end

local function script(body)
  return { name = "@t.lua", path = "t.lua", dir = ".", source = "return { transform = function(record, row, ctx) " .. body .. " end }" }
end

t.test("a plan's header is the line that comes first in CSV, and nothing elsewhere", function()
  t.equal(plan():header(), "id,n\r\n")
  t.equal(plan { format = "json" }:header(), "")
  t.equal(plan { columns = { { name = 'a "b",', path = "$.a" } } }:header(), '"a ""b"","\r\n')
end)

t.test("rows made of new strings each time find their columns, whatever the length of a name", function()
  local long = ("n"):rep(60)
  local made = plan { transform = true, columns = { { name = long }, { name = "s" }, { name = long .. "2" } }, format = "csv" }
  local w <close> = workers {
    plan = made, script = script 'local n = ("n"):rep(60) return { [n] = row == nil, ["s" .. ""] = record.id, [n .. "2"] = "t" .. record.id }',
  }
  local facts = assert(w:index '{"items":[{"id":1},{"id":2},{"id":3}]}')
  t.equal(assert(w:rows(facts.doc, {})):counts().bytes, #"false,1,t1\r\n" * 3)
  facts = assert(w:index '{"items":[{"id":1}]}')
  local bad <close> = workers { plan = made, script = script 'return { ["no" .. record.id] = 1 }' }
  local _, err = bad:rows(facts.doc, {})
  t.match(tostring(err), "its row has 'no1', which is not among the columns: n+, s, n+2")
end)

t.test("csv_safe guards texts and names that a spreadsheet would run, and no numbers", function()
  local columns = { { name = "=n", path = "$.n" }, { name = "@t", path = "$.t", as = "time" }, { name = "x", path = "$.x" } }
  local guarded = plan { columns = columns, csv_safe = true }
  t.equal(guarded:header(), "'=n,'@t,x\r\n")
  t.equal(plan { columns = columns }:header(), "=n,@t,x\r\n")
  t.equal(plan { columns = columns, csv_safe = true, format = "ndjson" }:header(), "")
  local w <close> = workers { plan = guarded }
  local facts = assert(w:index '{"items":[{"n":-1,"t":"2024-01-01T00:00:00Z","x":"=1"}]}')
  t.equal(assert(w:rows(facts.doc, {})):counts().bytes, #"-1,2024-01-01T00:00:00.000Z,'=1\r\n")
end)

t.test("a plan that cannot be is refused as usage, with the field and the place in the path", function()
  local ok, err = pcall(plan, { columns = { { name = "x", path = "$.a[" } } })
  t.equal(ok, false)
  t.ok(errors.is(err))
  t.equal(err.kind, "usage")
  t.equal(err.exit, 2)
  t.match(err.message, "^columns%[1%] 'x': column ")
  t.ok(err.column)
  ok, err = pcall(plan, { columns = { { name = "x", path = "$.a", as = "interger" } } })
  t.equal(ok, false)
  t.match(err.message, "columns%[1%] 'x': as = 'interger' is not one of any, text, integer")
  ok, err = pcall(plan, { key = "$..id" })
  t.equal(ok, false)
  t.match(err.message, "^key: ")
end)

t.test("index: facts of a page", function()
  local w <close> = workers()
  local facts = assert(w:index '{"items":[{"id":1},{"id":2}],"total":12,"next":null}')
  t.equal(facts.present, true)
  t.equal(facts.count, 2)
  t.equal(#facts.digest, 32)
  t.equal(facts.values.total, 12)
  t.equal(facts.values.next, require("quern.core.json").null)
  facts = assert(w:index '{"other":[]}')
  t.equal(facts.present, false)
  t.equal(facts.count, 0)
  t.equal(facts.values.total, nil)
end)

t.test("index: a body that is no JSON is refused in words that say what it is", function()
  local w <close> = workers()
  local facts, err = w:index "<!DOCTYPE html><title>Sorry</title>"
  t.equal(facts, nil)
  t.equal(err.kind, "body")
  t.match(err.message, "the body is HTML, not JSON")
  facts, err = w:index ""
  t.equal(facts, nil)
  t.equal(err.message, "the body is empty")
end)

t.test("rows: a batch with its counts", function()
  local w <close> = workers()
  local facts = assert(w:index '{"items":[{"id":1,"n":"5"},{"n":6}]}')
  local batch = assert(w:rows(facts.doc, { where = "leaf 1 page 1", leaf = 1, page = 1 }))
  local counts = batch:counts()
  t.equal(counts.rows, 2)
  t.equal(counts.records, 2)
  t.equal(counts.bytes, #"1,5\r\n,6\r\n")
  t.equal(counts.no_key, 1)
end)

t.test("rows: what a column cannot convert and what a transform raises are of kind transform", function()
  local w <close> = workers()
  local facts = assert(w:index '{"items":[{"id":1},{"n":"abc"}]}')
  local batch, err = w:rows(facts.doc, { where = "leaf 1 page 1" })
  t.equal(batch, nil)
  t.equal(err.kind, "transform")
  t.equal(err.message, 'leaf 1 page 1, record 2: column \'n\': "abc" is not an integer')
  local s <close> = workers { plan = plan { transform = true }, script = script "error 'no'" }
  facts = assert(s:index '{"items":[{"id":1}]}')
  batch, err = s:rows(facts.doc, { where = "leaf 1 page 1" })
  t.equal(batch, nil)
  t.equal(err.kind, "transform")
  t.equal(err.message, "leaf 1 page 1, record 1: transform failed at t.lua:1: no")
end)

-- A plan that leaves out what fails; a page of records with these numbers.
local function lenient(body, options)
  local changes = { plan = plan { transform = true, on_error = "skip" }, script = script(body), threads = 1, memory = 32 << 20, instructions = 100000 }
  for key, value in pairs(options or {}) do changes[key] = value end
  return workers(changes)
end

local function numbers(list)
  local items = {}
  for index, n in ipairs(list) do items[index] = ('{"id":%d,"n":%d}'):format(index, n) end
  return '{"items":[' .. table.concat(items, ",") .. "]}"
end

t.test("with on_error skip a record that fails makes no row, and the next is tried", function()
  local bodies = {
    "if record.n == 2 then error 'no' end return row",
    "if record.n == 2 then return 5 end return row",
    "if record.n == 2 then return { row, { unknown = 1 } } end return row",
    "if record.n == 2 then while true do pcall(function() while true do end end) end end return row",
    "if record.n == 2 then local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end return row",
  }
  for _, body in ipairs(bodies) do
    local w <close> = lenient(body, { instructions = 10000000 })
    local facts = assert(w:index(numbers { 1, 2, 3, 2, 1 }))
    local counts = assert(w:rows(facts.doc, { where = "leaf 1 page 1" })):counts()
    t.equal(counts.rows, 3)
    t.equal(counts.failed, 2)
    t.equal(counts.records, 5)
  end
end)

-- The error of a page under --strict, or how many rows it has.
local function strictly(source, context)
  local code = { name = "@t.lua", path = "t.lua", dir = ".", source = source }
  local w <close> = workers { plan = plan { transform = true }, script = code, threads = 1, context = context or '{"strict":true}' }
  local facts = assert(w:index(numbers { 5, 6, 7 }))
  local batch, err = w:rows(facts.doc, { where = "leaf a page 1", chunk = "{}" })
  return err and err.message or batch:counts().rows
end

t.test("strict: a global that is set inside a record is named with its line", function()
  local source = "total = 0\nreturn { transform = function(record, row)\n  total = total + record.n\n  return row\nend }"
  t.equal(strictly(source, "{}"), 3)
  t.match(strictly(source), "^leaf a page 1, record 1: transform failed at t%.lua:3: sets the global 'total', and nothing is kept")
  t.match(strictly "return { transform = function() _G.seen = true end }", "sets the global 'seen'")
end)

t.test("strict: what is kept elsewhere shows in the second answer", function()
  local kept = {
    "local n = 0 return { transform = function() n = n + 1 return { n = n } end }",
    "local seen = {} return { transform = function(r) if seen[r.id] then return end seen[r.id] = true return { n = 1 } end }",
    "local rows = {} return { transform = function() rows[#rows + 1] = { n = 1 } return rows end }",
    "local keep = {} return { transform = function(_, row) keep.n = (keep.n or 0) + 1 row.n = keep.n return row end }",
    "return { transform = function(_, row) rawset(_G, 'k', (rawget(_G, 'k') or 0) + 1) return { n = k } end }",
  }
  for _, source in ipairs(kept) do
    t.match(strictly(source), "^leaf a page 1, record 1: transform failed: the same record gave another answer the second time %(")
  end
end)

t.test("strict: a transform that keeps nothing passes, whatever it reads or draws", function()
  local pure = {
    "local names = { 'a' } limit = 3 return { transform = function(r, row) if #names < limit then return { n = r.n } end end }",
    "return { transform = function(_, row) row.n = row.n + 1 return row end }",
    "return { transform = function() return { n = math.random(1, 100000) } end }",
    "return { transform = function(_, row) return { row, { id = 2 }, {} and row } end }",
    "local function f(x) if x > 0 then return f(x - 1) end return x end return { transform = function(r) return { n = f(r.n) } end }",
  }
  local rows = { 3, 3, 3, 9, 3 }
  for index, source in ipairs(pure) do t.equal(strictly(source), rows[index]) end
end)

t.test("a state that a script has filled is of no use for the next record: then the page fails", function()
  local w <close> = lenient("kept = kept or {} for i = 1, 1e9 do kept[#kept + 1] = ('x'):rep(100000) .. i end",
    { instructions = 1000000000 })
  local facts = assert(w:index(numbers { 1, 2 }))
  local batch, err = w:rows(facts.doc, { where = "leaf 1 page 1" })
  t.equal(batch, nil)
  t.match(err.message, "record 1: transform failed: .*ran out of memory.*leaves no room in its 32 MB")
end)

t.test("a row that changes while it is read is told of by a key that it had", function()
  local w <close> = workers { plan = plan { transform = true }, script = script [[
    local answer = {}
    local erase = setmetatable({}, { __tostring = function()
      for i = 1, 50 do answer["gone" .. i] = nil end
      for _ = 1, 3 do collectgarbage() end
      return "5"
    end })
    for i = 1, 50 do answer["gone" .. i] = i end
    answer.id, answer.n = erase, erase
    return answer
  ]] }
  local facts = assert(w:index(numbers { 1 }))
  local batch, err = w:rows(facts.doc, { where = "leaf 1 page 1" })
  t.equal(batch, nil)
  t.match(err.message, "transform")
end)

t.test("a script that does not load on a worker is told when the workers start", function()
  local broken = { name = "@t.lua", path = "t.lua", dir = ".", source = "return {" }
  local w, err = convert.workers { threads = 1, plan = plan { transform = true }, script = broken }
  t.equal(w, nil)
  t.equal(err.kind, "script")
  t.match(err.message, "t%.lua:1:")
end)

t.test("what waits or reaches out is not there in a transform", function()
  local w <close> = workers { plan = plan { transform = true }, script = script "require('quern.core.task').sleep(1)" }
  local facts = assert(w:index '{"items":[{"id":1}]}')
  local batch, err = w:rows(facts.doc, { where = "leaf 1 page 1" })
  t.equal(batch, nil)
  t.match(err.message, "record 1: transform failed at t%.lua:1: ")
end)

t.test("a task may be cancelled while its page is out", function()
  local w <close> = workers { plan = plan { transform = true }, script = script "for i = 1, 20000 do end return row" }
  local items = {}
  for i = 1, 50 do items[i] = ('{"id":%d}'):format(i) end
  local page = '{"items":[' .. table.concat(items, ",") .. "]}"
  for round = 1, 20 do
    local children = {}
    for i = 1, 4 do
      local facts = assert(w:index(page)) -- rows takes the document
      children[i] = task.spawn(function() return w:rows(facts.doc, { where = "x", page = i }) end)
    end
    if round % 2 == 0 then task.sleep(0) end
    for i = 1, 3 do children[i]:cancel() end
    collectgarbage()
    local ok, batch = children[4]:join()
    t.equal(ok, true)
    t.equal(batch:counts().rows, 50)
  end
end)

t.test("closed workers refuse, and may be closed again", function()
  local w = workers()
  w:close()
  w:close()
  t.equal(select("#", w:facts()), 2)
  t.equal(pcall(w.index, w, "{}"), false)
end)

t.test("a task whose page is out when the workers are closed hears of it, and may be cancelled after that", function()
  for round = 1, 6 do
    local w = workers { plan = plan { transform = true }, script = script "for i = 1, 200000 do end return row", threads = 1 }
    local docs = {}
    for i = 1, 3 do docs[i] = assert(w:index(numbers { 1, 2, 3 })).doc end
    local children = {}
    for i = 1, 3 do children[i] = task.spawn(function() return w:rows(docs[i], { where = "x", page = i }) end) end
    task.sleep(0)
    w:close()
    if round % 2 == 0 then
      for i = 1, 3 do children[i]:cancel() end
    else
      for i = 1, 3 do
        local ok, err = children[i]:join()
        t.ok(ok or tostring(err):find("the workers were closed", 1, true), tostring(err))
      end
    end
  end
end)

t.test("pages that were converted do not wait for the collector", function()
  local pool = workers { threads = 1 }
  local page = '{"items":[{"id":1,"n":1}],"total":1,"next":"a","padding":"' .. ("x"):rep(1 << 20) .. '"}'
  collectgarbage()
  collectgarbage "stop"
  t.memory(true)
  local before = t.memory()
  for _ = 1, 20 do
    local facts = assert(pool:index(page))
    t.equal(facts.values.next, "a")
    assert(pool:rows(facts.doc, {}))
  end
  local _, peak = t.memory()
  collectgarbage "restart"
  pool:close()
  t.ok(peak - before < 8 << 20) -- one or two pages of twenty, and what Lua copied of them
end)

t.test("what prepare returned and no worker has room for", function()
  local context = '{"shared":[' .. ('"' .. ("x"):rep(1 << 20) .. '",'):rep(20) .. "1]}"
  local w, err = convert.workers { threads = 1, plan = plan { transform = true }, script = script "return row", context = context, memory = 32 << 20 }
  t.equal(w, nil)
  t.match(err.message, "a worker cannot load t.lua: not enough memory for what prepare returned, which is 21 MB as JSON")
end)

t.test("long calls that come back to Lua are no reason to end a transform", function()
  local body = "local n = 0 for i = 1, 60 do n = n + #(('a'):rep(1 << 20)):gsub('a', 'b') for _ = 1, 300 do n = n | 0 end end return {id = n}"
  local w <close> = workers { plan = plan { transform = true }, threads = 1, stuck_ms = 1000, script = script(body) }
  local facts = assert(w:index(numbers { 1 }))
  t.equal(assert(w:rows(facts.doc, {})):counts().rows, 1)
end)
