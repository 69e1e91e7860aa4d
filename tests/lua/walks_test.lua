-- Pagers in whole runs, in virtual time: what becomes of a leaf whose API keeps its promises, and of one whose API lies.
local t = require "harness"
local chunk = require "quern.chunk"
local http = require "quern.http"
local json = require "quern.json"
local quern = require "quern"
local run = require "quern.run"

local BASE = "http://api.test/v1"

local function query_of(spec)
  local full = { name = "walk", client = { base_url = BASE }, request = function() return { path = "/x" } end,
                 records = "$.items[*]", raw = true }
  for key, value in pairs(spec) do full[key] = value end
  return quern.query(full)
end

-- Runs a query; the summary, and what it wrote (the partial file if it is incomplete).
local function execute(spec)
  local query = query_of(spec)
  local output = t.path("out.ndjson")
  local params = { size = 2 }
  local summary = assert(run.execute({ query = query, params = params, client = http.client(query.client), format = "ndjson", now_ms = 0,
                                       cut = chunk.bind(query.chunk, params) }, { run_id = "test", output = output, workers = 1 }))
  local file = io.open(summary.partial or output, "rb")
  local text = file and file:read "a" or ""
  if file then file:close() end
  os.remove(output)
  if summary.partial then os.remove(summary.partial) end
  return summary, (text:gsub("\n", " "))
end

local function answer(value, headers)
  return { status = 200, headers = headers or {}, body = type(value) == "string" and value or json.encode(value), after_ms = 10 }
end

local function parameter(request, name)
  return request.url:match("[?&]" .. name .. "=([^&]*)")
end

-- An API of the records 1 to `records`; `change(page, request, asked)` may spoil an answer; `asked` counts requests.
local function serve_numbers(records, change)
  local asked = 0
  t.serve(function(request)
    asked = asked + 1
    local offset, size = tonumber(parameter(request, "offset")), tonumber(parameter(request, "limit"))
    if not offset then
      size = tonumber(parameter(request, "pageSize"))
      offset = (tonumber(parameter(request, "pageNumber")) - 1) * size
    end
    local items = json.array {}
    for n = offset + 1, math.min(offset + size, records) do items[#items + 1] = n end
    local page = { items = items, total = records, pages = -(-records // size) }
    return answer(change and change(page, request, asked) or page)
  end)
end

local offset = quern.pages.offset { size = function(p) return p.size end, stop = "count", total = "$.total" }
local number = quern.pages.number { size = 2, stop = "count", count = "$.pages" }

t.test("offset: all records, counted", function()
  serve_numbers(5)
  local summary, text = execute { pages = offset }
  t.equal(summary.exit, 0)
  t.equal(text, "1 2 3 4 5 ")
  t.equal(summary.counted, "yes")
  t.equal(#t.requests, 3)
  t.match(t.requests[2].url, "limit=2&offset=2")
end)

t.test("offset: short pages lose nothing", function()
  serve_numbers(5, function(page)
    page.items = json.array { page.items[1] } -- the API sends one at a time, whatever it is asked for
    return page
  end)
  local summary, text = execute { pages = offset }
  t.equal(summary.exit, 0)
  t.equal(text, "1 2 3 4 5 ")
end)

t.test("a promise that is broken once: the leaf begins again and is whole", function()
  for _, pager in ipairs { offset, number } do
    serve_numbers(5, function(page, _, asked)
      if asked == 3 then page.items = json.array {} end -- a page lost on the way
      return page
    end)
    local summary, text = execute { pages = pager }
    t.equal(summary.exit, 0)
    t.equal(text, "1 2 3 4 5 ")
    t.equal(summary.restarts, 1)
    t.equal(summary.counted, "yes")
  end
end)

t.test("a promise that is broken always: a hole that keeps its rows", function()
  for _, case in ipairs {
    { offset, "total", 9, "promised 9 records and sent 5" }, { offset, "total", 3, "promised 3 records and sent 4" },
    { number, "pages", 1000000, "and page 4 is empty" },
  } do
    serve_numbers(5, function(page)
      page[case[2]] = case[3]
      return page
    end)
    local summary, text = execute { pages = case[1] }
    t.equal(summary.exit, 3)
    t.equal(summary.counted, "no")
    t.equal(summary.restarts, 1)
    t.match(summary.holes[1].reason, case[4])
    t.match(text, "^1 2 3 4 ")
    t.ok(#t.requests < 40)
  end
end)

t.test("a page count that is too high always: the leaf begins again once, then its rows stand", function()
  serve_numbers(5, function(page)
    page.pages = 5
    return page
  end)
  local summary, text = execute { pages = number }
  t.equal(summary.exit, 0)
  t.equal(summary.counted, "not promised")
  t.equal(summary.restarts, 1)
  t.equal(text, "1 2 3 4 5 ")
  t.match(t.events("log")[1].message, "promised 5 pages, and page 4 is empty")
end)

t.test("a page count that is too low shows where the API tells a total", function()
  serve_numbers(6, function(page)
    page.pages = 2
    return page
  end)
  local summary = execute { pages = number, total = "$.total" }
  t.equal(summary.exit, 3)
  t.match(summary.holes[1].reason, "promised 6 records and sent 4")
end)

t.test("pages that do not turn: the leaf begins again once, then it is a hole", function()
  serve_numbers(5, function(page)
    page.items = json.array { 1, 2 }
    return page
  end)
  for _, pager in ipairs { offset, number, quern.pages.offset { size = 2, stop = "empty" } } do
    local summary = execute { pages = pager }
    t.equal(summary.restarts, 1)
    t.match(summary.holes[1].reason, "page 2 repeats a page")
  end
end)

t.test("levels: an empty outer record is no end", function()
  local pages = { '{"items":[{"of":[1]},{"of":[2]}]}', '{"items":[{"of":[]},{}]}', '{"items":[{"of":[3]},{"of":[4]}]}', '{"items":[]}' }
  t.serve(function(request) return answer(pages[tonumber(parameter(request, "pageNumber"))]) end)
  for stop, wanted in pairs { empty = 4, short = 4 } do
    local summary, text = execute { pages = quern.pages.number { size = 2, stop = stop }, records = { "$.items[*]", "$.of[*]" } }
    t.equal(summary.exit, 0)
    t.equal(text, "1 2 3 4 ")
    t.equal(#t.requests, wanted)
    t.requests = {}
  end
end)

t.test("link_header: relative to the page's own URL; another origin is never asked", function()
  local links = { ["/v1/x"] = '<x?p=2>; rel="next", <x?p=3>; rel="last"', ["/v1/x?p=2"] = '</x?p=3>; rel="next"; title="a, b"',
                  ["/v1/x?p=3"] = '</x>; rel="first"' }
  local n = 0
  t.serve(function(request)
    n = n + 1
    return answer({ items = json.array { n } }, { { "Link", links[request.url:match "test(.*)"] } })
  end)
  local summary, text = execute { pages = quern.pages.link_header {} }
  t.equal(summary.exit, 0)
  t.equal(text, "1 2 3 ")
  links["/v1/x?p=2"] = '<http://elsewhere.test/x>; rel="next"'
  summary = execute { pages = quern.pages.link_header {}, client = { base_url = BASE, auth = quern.auth.bearer "t" } }
  t.match(summary.message .. (summary.holes[1] or {}).reason, "another origin")
  for _, request in ipairs(t.requests) do t.match(request.url, "^http://api%.test/") end
end)

t.test("link_header: several headers are one list; a loop begins again once, then is a hole", function()
  local n = 0
  t.serve(function(request)
    n = n + 1
    local second = request.url:find "p=2"
    return answer({ items = json.array { n } },
      { { "Link", '</x>; rel="first"' }, { "link", second and '</x?p=2>; rel="next"' or '</x?p=2>; rel="next"' } })
  end)
  local summary = execute { pages = quern.pages.link_header {} }
  t.equal(summary.restarts, 1)
  t.match(summary.holes[1].reason, "seen before")
  t.equal(#t.requests, 4)
end)

t.test("cursor: encoded in the url query, until there is none; a loop is a hole", function()
  local cursors, n = { start = "a b&=", ["a%20b%26%3D"] = 17, ["17"] = json.null }, 0
  t.serve(function(request)
    n = n + 1
    return answer { items = json.array { n }, next = cursors[parameter(request, "cursor") or "start"] }
  end)
  local pager = quern.pages.cursor { path = "$.next", name = "cursor" }
  local summary, text = execute { pages = pager }
  t.equal(summary.exit, 0)
  t.equal(text, "1 2 3 ")
  cursors["17"] = "a b&="
  summary = execute { pages = pager }
  t.equal(summary.restarts, 1)
  t.match(summary.holes[1].reason, "cursor of a page was seen before")
end)

t.test("custom: facts, the whole page, and the end", function()
  t.serve(function(request)
    local after = tonumber(parameter(request, "after") or 0)
    local items = json.array {}
    for id = after + 1, math.min(after + 2, 5) do items[#items + 1] = { id = id } end
    return answer { items = items, more = { left = 5 - after - #items } }
  end)
  local kept
  local summary, text = execute {
    pages = quern.pages.custom {
      facts = { last = "$.items[-1].id", total = "$.more.left" }, view = true,
      next = function(request, page)
        t.equal(page.view.more.left, page.values.total)
        t.equal(#page.view.items, page.count)
        kept = page.view
        if page.values.total == 0 then return nil end
        request.query = { after = page.values.last }
        return request
      end,
    },
  }
  t.equal(summary.exit, 0)
  t.equal(text, '{"id":1} {"id":2} {"id":3} {"id":4} {"id":5} ')
  t.raises(function() return kept.more end, "record used after its page")
end)

t.test("custom: the same request again begins again once, then is a hole; a foreign one is a hole; an error ends the run", function()
  t.serve(function() return answer { items = json.array { #t.requests } } end)
  local summary = execute { pages = quern.pages.custom { next = function(request) return request end } }
  t.equal(summary.restarts, 1)
  t.match(summary.holes[1].reason, "sent before in this walk")
  summary = execute { pages = quern.pages.custom { next = function() return { url = "http://elsewhere.test/x" } end } }
  t.match(summary.holes[1].reason, "another origin")
  t.equal(#t.requests, 3)
  summary = execute { pages = quern.pages.custom { next = function() error("no luck") end } }
  t.equal(summary.exit, 1)
  t.match(summary.message, "walks_test%.lua:%d+: no luck")
end)

t.test("custom: answers without records, if it says so", function()
  t.serve(function(request) return answer(parameter(request, "page") == "2" and { done = true } or { items = json.array { 1 } }) end)
  local summary, text = execute {
    pages = quern.pages.custom {
      missing = true,
      next = function(request, page)
        if not page.present then return nil end
        request.query = { page = page.number + 1 }
        return request
      end,
    },
  }
  t.equal(summary.exit, 0)
  t.equal(text, "1 ")
end)

t.test("the bound of pages is a hole that keeps its rows", function()
  local n = 0
  t.serve(function()
    n = n + 1
    return answer { items = json.array { n }, next = n }
  end)
  local summary, text = execute { pages = quern.pages.cursor { path = "$.next", name = "after", max = 3 } }
  t.equal(summary.exit, 3)
  t.equal(text, "1 2 3 ")
  t.match(summary.holes[1].reason, "more than 3 pages")
end)
