-- Plugins: columns and transforms of other files behind a query's own, in order; names that collide; errors; the same rows whatever
-- the number of workers.
local t = require "harness"
local json = require "quern.json"
local main = require "quern.main"

local function write(name, text)
  local path = t.path(name)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local TRANSFORM = [[transform = function(record, row, ctx)
  if record.n % 5 == 0 then return nil end
  if record.n % 3 == 0 then return { row, row } end
  return row
end,]]

local function script(what)
  return write("plugged.lua", ([[
    local quern = require "quern"
    return quern.query {
      name = "items", client = { base_url = "http://api.test" },
      request = function() return { path = "/q" } end, pages = quern.pages.number { size = 7, stop = "empty" },
      records = "$.items[*]", %s
    }]]):format(what or 'columns = { { "n", "$.n" } }, ' .. TRANSFORM))
end

local function serve()
  t.serve(function(request)
    local page, items = tonumber(request.url:match "pageNumber=(%d+)"), json.array {}
    for n = (page - 1) * 7 + 1, math.min(page * 7, 30) do items[#items + 1] = { n = n, name = "x" .. n } end
    return { status = 200, headers = {}, body = json.encode { items = items }, after_ms = 10 }
  end)
end

local function execute(plugins, opts)
  opts = opts or {}
  local output = t.path "plugged.out"
  local path = script(opts.query)
  serve()
  local result = main[opts.command or "run"] { script = path, output = output, workers = opts.workers or 1, scripts_dir = "/nowhere", params = {},
                                               plugins = plugins, format = opts.format or "ndjson" }
  local file = io.open(output, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  os.remove(output)
  os.remove(path)
  for _, plugin in ipairs(plugins) do os.remove(plugin) end
  return result, text
end

local function named() return write("named.lua", [[return { name = "named", columns = { { "name", "$.name" }, { "size" } },
  transform = function(record, row, ctx)
    row.size = #row.name + math.random(0, 1)
    if record.n == 4 then return { row, { n = 44, name = "more" } } end
    return row
  end }]]) end

local function twice() return write("twice.lua", [[local helper = 2
  return { name = "twice", columns = { { "double" } }, transform = function(record, row)
    if row.n == 7 then return nil end
    row.double = row.n * helper
    return row
  end }]]) end

local function first_lines(text, count)
  return text:match("^" .. ("[^\n]*\n"):rep(count))
end

t.test("each row of the query goes through the plugins in order", function()
  local result, text = execute({ named(), twice() }, { format = "csv" })
  t.equal(result.message, nil)
  t.match(text, "^n,name,size,double\r\n1,x1,[23],2\r\n2,x2,[23],4\r\n3,x3,[23],6\r\n3,x3,[23],6\r\n4,x4,[23],8\r\n44,more,,88\r\n6,")
  t.ok(not text:find "\r\n7,")
  t.equal(#result.plugins, 2)
  t.equal(result.plugins[1].name, "named")
  t.match(result.plugins[2].path, "twice.lua$")
  t.match(result.plugins[1].sha256, "^" .. ("%x"):rep(64) .. "$")
end)

t.test("one worker or four: the same bytes", function()
  local _, one = execute({ named(), twice() }, { workers = 1 })
  local _, four = execute({ named(), twice() }, { workers = 4 })
  t.ok(#one > 500)
  t.equal(one, four)
end)

t.test("columns alone need no Lua; a query without a transform takes a plugin with one", function()
  local columns = 'columns = { { "n", "$.n" } },'
  local _, text = execute({ write("c.lua", 'return { name = "c", columns = { { "name", "$.name" } } }') }, { query = columns })
  t.equal(first_lines(text, 2), '{"n":1,"name":"x1"}\n{"n":2,"name":"x2"}\n')
  _, text = execute({ twice() }, { query = columns })
  t.equal(first_lines(text, 2), '{"n":1,"double":2}\n{"n":2,"double":4}\n')
  _, text = execute({ write("c.lua", 'return { name = "c", columns = { { "name", "$.name" } } }'), twice() }, {
    query = 'fields = { "n" }, transform = function(record) return { n = record.n } end',
  })
  t.equal(first_lines(text, 2), '{"n":1,"name":"x1","double":2}\n{"n":2,"name":"x2","double":4}\n')
end)

t.test("the query's own transform sees no column of a plugin", function()
  local _, text = execute({ named() }, { query = [[columns = { { "n", "$.n" }, { "seen" } },
    transform = function(_, row) local names = "" for name in pairs(row) do names = names .. name end row.seen = names return row end]] })
  t.match(text, '^{"n":1,"seen":"n","name":"x1","size":[23]}\n')
end)

t.test("a column that is there already is refused, naming both", function()
  local clash = write("clash.lua", 'return { name = "clash", columns = { { "double", "$.n" } } }')
  local result, text = execute { twice(), clash }
  t.equal(result.exit, 2)
  t.equal(text, nil)
  t.match(result.message, "^plugin 'clash' %(.*clash.lua%) adds the column 'double', which plugin 'twice' %(.*twice.lua%) has already")
  result = execute { write("clash.lua", 'return { name = "clash", columns = { { "n", "$.n" } } }') }
  t.match(result.message, "which query 'items' has already")
  result = execute { twice(), write("again.lua", 'return { name = "twice", transform = print }') }
  t.equal(result.exit, 2)
  t.match(result.message, "^plugin 'twice' %(.*again.lua%): plugin 'twice' %(.*twice.lua%) has the same name")
end)

t.test("raw rows take no plugin", function()
  local result = execute({ twice() }, { query = "raw = true" })
  t.equal(result.exit, 2)
  t.match(result.message, "^%-%-plugin .*twice.lua: the rows of 'items' are raw records, to which nothing can be added")
end)

t.test("files that are no plugins", function()
  for _, case in ipairs {
    { "return 5", 1, "^plugin .*bad.lua: a plugin returns { name =, columns =, transform = }, not a number" },
    { "return { name = 'x' }", 1, "a plugin has columns, or a transform, or both" },
    { "return { name = 'x', transfrom = print }", 1, "a plugin has no option 'transfrom'; did you mean 'transform'" },
    { "return { transform = print }", 1, "a plugin needs the option 'name'" },
    { "return { name = 'x', columns = { { 'a' } } }", 1, "columns%[1%] 'a' has no path, and there is no transform that could set it" },
    { "return { name = 'x', columns = { { 'a', '$.a', az = 'time' } } }", 1, "columns%[1%] has no option 'az'; did you mean 'as'" },
    { "return { name = 'x', columns = { { 'a', '$.a[' } } }", 2, "^plugin 'x' %(.*bad.lua%): column 'a': " },
    { "local x = os.time() return { name = 'x', transform = print }", 1, "loading a script must be pure: the clock" },
    { "return {", 1, "bad.lua:1: " },
    { "return { name = 'x\xff', transform = print }", 1, "not UTF%-8" },
    { "local quern = require 'quern' return quern.pages.number { size = 1, stop = 'empty' }", 1, "not a script's definition" },
  } do
    local result, text = execute { write("bad.lua", case[1]) }
    t.match(result.message, case[3])
    t.equal(result.exit, case[2])
    t.equal(text, nil)
  end
  local path = script()
  t.equal(main.plan({ script = path, scripts_dir = "/nowhere", plugins = "x.lua" }).message, "plugins is a list of paths")
  os.remove(path)
  local result = execute { "/nowhere/none.lua" }
  t.equal(result.exit, 2)
  t.match(result.message, "^%-%-plugin /nowhere/none.lua: ")
end)

t.test("errors name the plugin, the leaf, the page and the record", function()
  local function broken(body)
    return write("broken.lua", 'return { name = "broken", columns = { { "x" } }, transform = function(record, row)\n' .. body .. " end }")
  end
  for _, case in ipairs {
    { "if record.n == 9 then error('no', 0) end return row", "leaf [^,]* page 2, record 2: plugin 'broken' failed at .*broken.lua:2: no$" },
    { "row.z = 1 return row", "page 1, record 1: plugin 'broken' failed: its row has 'z', which is not among the columns: n, x" },
    { "return 5", "plugin 'broken' failed: it must return a row, a list of rows or nil, not a number" },
    { "return { row, 7 }", "plugin 'broken' failed: row 2 of its list is a number, not a table" },
    { "return { row, x = 1 }", "plugin 'broken' failed: its answer is neither a row nor a list of rows" },
    { "return { [true] = 1 }", "plugin 'broken' failed: a row's keys are column names, not a boolean" },
    { "row.x = print return row", "transform of plugin 'broken' %(.*broken.lua%): column 'x': a function cannot be written into a row" },
    { "while true do end", "plugin 'broken' failed: the function transform of plugin 'broken' %(.*%) ran more than" },
    { "require('quern.task').sleep(1)", "plugin 'broken' failed at .*not available in a transform" },
  } do
    local result, text = execute { broken(case[1]) }
    t.equal(result.exit, 1)
    t.match(result.message, case[2])
    t.equal(text, nil)
  end
  local result = execute({ twice() }, { query = [[columns = { { "n", "$.n" } }, transform = function(_, row) row.double = 1 return row end]] })
  t.match(result.message, "record 1: transform failed: its row has 'double', which is not among the columns: n")
end)

t.test("plan shows the columns", function()
  local result = execute({ named(), write("c.lua", "return { name = 'c', transform = print }") }, { command = "plan" })
  t.equal(result.exit, 0)
  t.match(result.text, "columns: n\n  plugin 'named' %(.*named.lua%) adds name, size and changes rows\n  plugin 'c' %(.*c.lua%) changes rows\n")
end)
