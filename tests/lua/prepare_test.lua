-- The query field `prepare`: once, before the first leaf, through the run's client; its result in requests and transforms.
local t = require "harness"
local events = require "quern.events"
local json = require "quern.json"
local main = require "quern.main"

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local TRANSFORM = [[row.name = ctx.shared and ctx.shared.names[record.id]
        row.all = ctx.shared and ctx.shared.list
        return row]]

local function script(prepare, request, transform)
  return write(t.path "prepare.lua", ([[
    local quern = require "quern"
    return quern.query {
      name = "names", client = { base_url = "http://api.test" }, chunk = quern.chunk.whole {},
      prepare = function(p, api) %s end,
      request = function(_, _, shared) %s end,
      records = "$.items[*]", columns = { { "id", "$.id" }, { "name" }, { "all" } },
      transform = function(record, row, ctx)
        %s
      end,
    }]]):format(prepare, request or 'return { path = "/q" }', transform or TRANSFORM))
end

local function execute(path, command, plugins)
  local output = t.path "out.ndjson"
  local result = main[command or "run"] { script = path, output = output, workers = 2, scripts_dir = "/nowhere", params = {}, plugins = plugins }
  local file = io.open(output, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  os.remove(output)
  os.remove(path)
  return result, text
end

local function serve(changes)
  t.serve(function(request)
    local path = request.url:match "^http://api.test(/[^?]*)"
    local body = path == "/names" and { names = { a = "Ann", b = "Bob" }, list = json.array { 1, 2 } }
      or { items = { { id = "a" }, { id = "b" } } }
    return changes and changes(path) or { status = 200, headers = {}, body = json.encode(body), after_ms = 10 }
  end)
end

local LOOK_UP = 'return assert(api:get("/names")):json()'

t.test("its result is ctx.shared of transforms and the third argument of request", function()
  serve()
  local result, text = execute(script(LOOK_UP, 'return { path = "/q", query = { n = shared.names.a, l = shared.list } }'))
  t.equal(result.message, nil)
  t.equal(result.exit, 0)
  t.equal(text, '{"id":"a","name":"Ann","all":[1,2]}\n{"id":"b","name":"Bob","all":[1,2]}\n')
  t.equal(result.requests, 2)
  t.equal(t.requests[2].url, "http://api.test/q?l=1&l=2&n=Ann")
end)

t.test("plan does not call it, and says so where the request needs it", function()
  serve()
  local result = execute(script(LOOK_UP, 'return { path = "/q" .. shared.x }'), "plan")
  t.equal(result.exit, 0)
  t.match(result.text, "prepare runs first")
  t.match(result.text, "first request: known when prepare has run")
  t.equal(#t.requests, 0)
  t.match(execute(script(LOOK_UP), "plan").text, "first request: GET /q")
end)

t.test("nothing returned is nothing shared", function()
  serve()
  local result, text = execute(script "")
  t.equal(result.exit, 0)
  t.match(text, '"name":null')
end)

t.test("an error in it ends the run with its message and status, and leaves nothing", function()
  for _, case in ipairs {
    { 'error "no luck"', 1, "prepare of query 'names' failed: .*prepare.lua:%d+: no luck" },
    { 'error {}', 1, "prepare of query 'names' failed: an error without a text" },
    { 'return nil, "no luck"', 1, "prepare of query 'names' failed: no luck" },
    { 'return { print }', 1, "must return what JSON can hold: a function has no JSON form at %[1%]" },
    { 'return ("x"):rep(64 * 1024 * 1024)', 1, "returned 65 MB of JSON, more than 64 MB" },
    { LOOK_UP, 4, "not allowed", function() return { status = 403, headers = {}, body = '{"message":"not allowed"}' } end },
  } do
    serve(case[4])
    local result, text = execute(script(case[1]))
    t.match(result.message, case[3])
    t.equal(result.exit, case[2])
    t.equal(text, nil)
    t.equal(result.rows, 0)
    t.ok(#t.requests <= 1)
  end
end)

t.test("interrupted while it waits: 130", function()
  serve(function()
    t.interrupt()
    return { status = 200, headers = {}, body = "{}", after_ms = 60000 }
  end)
  local result, text = execute(script(LOOK_UP))
  t.equal(result.exit, 130)
  t.equal(text, nil)
end)

t.test("interrupted while it works and never waits: 130", function()
  serve()
  local told = events.subscribe(function() t.interrupt() end, { type = "script.busy" })
  local result, text = execute(script 'quern.events.emit "busy" while true do end')
  t.equal(result.exit, 130)
  t.equal(text, nil)
  t.equal(#t.requests, 0)
  told:close()
end)

local SHARED = 'return { names = { a = { first = "Ann" } }, list = json.array { { 1 } }, none = quern.null }'

t.test("what is shared cannot be changed by a transform, however deep", function()
  for _, change in ipairs {
    "ctx.shared.names.x = 1", "ctx.shared.names.a.first = 1", "ctx.shared.list[1][1] = 2", "ctx.shared = 1 ctx.shared.x = 1",
    "for _, name in pairs(ctx.shared.names) do name.x = 1 end", "ctx.chunk.id = 1", "ctx.params.x = 1",
  } do
    serve()
    local result = execute(script("local json = quern.json " .. SHARED, nil, change .. " return row"))
    t.equal(result.exit, 1)
    t.match(result.message, change:find "ctx.shared = 1" and "attempt to index a number" or "ctx cannot be changed")
  end
end)

t.test("what is shared reads as other tables do", function()
  serve()
  local result, text = execute(script("local json = quern.json " .. SHARED, nil, [[
    local shared, seen = ctx.shared, {}
    for key in pairs(shared) do seen[#seen + 1] = key end
    table.sort(seen)
    for index, item in ipairs(shared.list) do seen[#seen + 1] = index + item[1] + #item end
    assert(shared.names.a == shared.names.a and shared.names.b == nil and quern.is_null(shared.none))
    row.name, row.all = table.concat(seen, " "), { shared, shared.names.a }
    return row]]))
  t.equal(result.message, nil)
  t.equal(text:match "[^\n]+", '{"id":"a","name":"list names none 3","all":[{"list":[[1]],"names":{"a":{"first":"Ann"}},"none":null},{"first":"Ann"}]}')
end)

t.test("what is shared may be rows", function()
  serve()
  local prepare = 'return { a = { { id = 1 }, { id = 2, name = "x" } }, b = { id = 3, all = { 4 } } }'
  local expected = '{"id":1,"name":null,"all":null}\n{"id":2,"name":"x","all":null}\n{"id":3,"name":null,"all":[4]}\n'
  local rows = "return ctx.shared[record.id]"
  local _, text = execute(script(prepare, nil, rows))
  t.equal(text, expected)
  local plugin = write(t.path "rows.lua", 'return { name = "rows", transform = function(record, row, ctx) ' .. rows .. " end }")
  _, text = execute(script(prepare, nil, "return row"), nil, { plugin })
  t.equal(text, expected)
  os.remove(plugin)
end)
