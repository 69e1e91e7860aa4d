-- Chunk policies: how ranges and lists are cut, and what becomes of them when the API refuses one.
local t = require "harness"
local json = require "quern.json"
local quern = require "quern"
local http = require "quern.http"
local chunk = require "quern.chunk"
local core_run = require "quern.core.run"
local instant = require "quern.instant"
local run = require "quern.run"
local time = require "quern.time"

local function at(text) return instant.new(assert(time.parse(text))) end

local function ids(policy, params)
  local cut, err = chunk.bind(policy, params)
  if not cut then return nil, err end
  local tree, list = core_run.tree(cut.tree), {}
  for index, leaf in ipairs(tree:leaves()) do list[index] = cut.view(tree:range(leaf)).id end
  return list
end

local MARCH = { from = at "2024-03-29T23:00:00Z", to = at "2024-04-01T22:00:00Z" }

t.test("days of a zone", function()
  t.same(assert(ids(quern.chunk.by_time { size = "P1D", zone = "Europe/Berlin" }, MARCH)),
    { "2024-03-29T23:00:00Z/2024-03-30T23:00:00Z", "2024-03-30T23:00:00Z/2024-03-31T22:00:00Z", "2024-03-31T22:00:00Z/2024-04-01T22:00:00Z" })
end)

t.test("months, the first one up to the next beginning", function()
  t.same(assert(ids(quern.chunk.by_time { size = "P1M", aligned = true }, { from = at "2024-01-20", to = at "2024-03-05" })),
    { "2024-01-20T00:00:00Z/2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z/2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z/2024-03-05T00:00:00Z" })
end)

t.test("quarters; a size that nothing can be aligned to is told", function()
  t.same(assert(ids(quern.chunk.by_time { size = "P3M", aligned = true }, { from = at "2024-02-10", to = at "2024-05-01" })),
    { "2024-02-10T00:00:00Z/2024-04-01T00:00:00Z", "2024-04-01T00:00:00Z/2024-05-01T00:00:00Z" })
  local _, err = ids(quern.chunk.by_time { size = "P1M2D", aligned = true }, MARCH)
  t.match(err.message, "size 'P1M2D' has months and other parts")
end)

t.test("edges and splits off the grain are told", function()
  t.raises(function() ids(quern.chunk.by_time { size = "P1D", grain = "P1D", zone = "Europe/Berlin", aligned = true },
    { from = at "2024-03-01", to = at "2024-03-04" }) end, "not on the grain of 86400000 ms; use a smaller grain")
  t.raises(function() ids(quern.chunk.by_time { grain = "PT1M", split = { align = "PT90S" } }, { from = at "2024-03-01", to = at "2024-03-04" }) end,
    "splits at multiples of 90000 ms are not on the grain of 60000 ms")
end)

t.test("a zone may follow a parameter; one that is none is told", function()
  local policy = quern.chunk.by_time { size = "P1D", zone = function(p) return p.zone end }
  t.equal(#ids(policy, { from = MARCH.from, to = MARCH.to, zone = "Europe/Berlin" }), 3)
  local _, err = ids(policy, { from = MARCH.from, to = MARCH.to, zone = "Mars" })
  t.match(err.message, "no time zone 'Mars'")
  t.equal(err.exit, 2)
end)

t.test("splits lie on the bucket", function()
  local cut = chunk.bind(quern.chunk.by_time { split = { align = "PT1H" } }, { from = at "2024-01-01", to = at "2024-01-01T05:00:00Z" })
  local tree = core_run.tree(cut.tree)
  local first, second = tree:split(tree:take())
  t.equal(cut.view(tree:range(first)).to:iso "s", "2024-01-01T02:00:00Z")
  t.equal(cut.view(tree:range(second)).to:iso "s", "2024-01-01T05:00:00Z")
  tree:take()
  tree:split(first)
  local leaf, why = tree:split(tree:take())
  t.equal(leaf, nil) -- an hour is as small as it gets
  t.equal(why, "floor")
end)

t.test("misuse is told", function()
  t.raises(function() quern.chunk.by_time { split = { algn = "PT1H" } } end, "did you mean 'align'")
  t.raises(function() quern.chunk.by_list { size = 5 } end, "takes one of items and param")
  t.raises(function() quern.chunk.by_list { items = {}, param = "x" } end, "takes one of items and param")
  t.raises(function() quern.chunk.custom {} end, "plan")
  t.raises(function() chunk.bind(quern.chunk.by_list { items = { {} } }, {}) end, "items are texts or numbers, not a table")
  t.raises(function() chunk.bind(quern.chunk.by_list { items = { 0 / 0 } }, {}) end, "items are texts or numbers, not a NaN")
  t.raises(function()
    quern.query { name = "x", client = { base_url = "http://api.test" }, request = function() end, records = "$[*]", columns = { { "a", "$.a" } },
      chunk = quern.chunk.by_list { param = "queues" } }
  end, "names the parameter 'queues', which params has not")
end)

-- ---- whole runs over lists ----

local function answer(request, most)
  local items = json.decode(request.body).ids
  if #items > most then return { status = 413, headers = {}, body = '{"message":"too many"}' } end
  local rows = {}
  for index, id in ipairs(items) do rows[index] = { id = id } end
  return { status = 200, headers = {}, body = json.encode { items = json.array(rows) } }
end

local function execute(policy, params, most)
  local asked = {}
  t.serve(function(request)
    local body = json.decode(request.body)
    asked[#asked + 1] = table.concat(body.ids, ",")
    return answer(request, most)
  end)
  local query = quern.query {
    name = "lists", client = { base_url = "http://api.test" }, chunk = policy, params = { queues = quern.param.list {} },
    request = function(_, c) return { path = "/q", json = { ids = json.array(c.items or c.ids) } } end,
    records = "$.items[*]", columns = { { "id", "$.id" } },
  }
  local output = t.path "lists.csv"
  local summary = assert(run.execute({
    query = query, params = params or {}, client = assert(http.client(query.client)), format = "csv", now_ms = 0,
    cut = assert(chunk.bind(policy, params or {})),
  }, { run_id = "test", output = output, workers = 1, concurrency = 1 }))
  local file = io.open(output, "rb")
  local text = file and file:read "a" or ""
  if file then file:close() end
  os.remove(output)
  if summary.partial then os.remove(summary.partial) end
  return summary, text:gsub("id\r\n", ""):gsub("\r\n", " "), asked
end

t.test("a list in chunks; repeats count once; what is too large is halved", function()
  local policy = quern.chunk.by_list { param = "queues", size = 4 }
  local summary, rows, asked = execute(policy, { queues = { "a", "b", "c", "b", "d", "e" } }, 2)
  t.equal(summary.exit, 0)
  t.equal(rows, "a b c d e ")
  t.same(asked, { "a,b,c,d", "a,b", "c,d", "e" })
  t.equal(summary.splits, 1)
  t.equal(summary.tiled, true)
end)

t.test("a single item that is too large is a hole with its name", function()
  local summary = execute(quern.chunk.by_list { items = { "a", "b" } }, nil, 0)
  t.equal(summary.exit, 5)
  t.match(summary.message, "too many.*a single item is as small as it gets")
end)

t.test("without split nothing is halved", function()
  local summary = execute(quern.chunk.by_list { items = { "a", "b" }, split = false }, nil, 1)
  t.equal(summary.exit, 5)
  t.match(summary.message, "cannot be split")
end)

t.test("an empty list is told", function()
  local _, err = chunk.bind(quern.chunk.by_list { param = "queues" }, { queues = {} })
  t.match(err.message, "nothing to fetch: parameter 'queues' is empty")
  t.equal(err.exit, 2)
end)

t.test("chunks of the script's own making, split by the script", function()
  local policy = quern.chunk.custom {
    plan = function() return { { id = "one", ids = { "a", "b", "c" } }, { id = "two", ids = { "d" } } } end,
    split = function(c)
      if #c.ids < 2 then return nil end
      return { id = c.id .. ".1", ids = { c.ids[1] } }, { id = c.id .. ".2", ids = table.move(c.ids, 2, #c.ids, 1, {}) }
    end,
  }
  local summary, rows, asked = execute(policy, nil, 1)
  t.equal(summary.exit, 0)
  t.equal(rows, "a b c d ")
  t.same(asked, { "a,b,c", "a", "b,c", "b", "c", "d" })
  t.equal(#t.events "split", 2)
end)

t.test("a plan that is none is told", function()
  t.raises(function() chunk.bind(quern.chunk.custom { plan = function() return { { id = "x" }, { id = "x" } } end }, {}) end, "'x' is used twice")
  t.raises(function() chunk.bind(quern.chunk.custom { plan = function() return { {} } end }, {}) end, "tables with an id")
  local _, err = chunk.bind(quern.chunk.custom { plan = function() return {} end }, {})
  t.match(err.message, "the plan holds no chunk")
end)
