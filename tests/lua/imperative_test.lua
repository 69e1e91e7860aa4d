-- Programs: scripts that return a function. Rows, fields, formats, errors, interrupts, audit, alerts and waiting, in virtual time.
local t = require "harness"
local files = require "quern.core.files"
local events = require "quern.events"
local json = require "quern.json"
local main = require "quern.main"
local patience = require "quern.patience"
local quern = require "quern"

local GOOD = { status = 200, headers = {}, body = '{"items":[{"id":1,"big":12345678901234567890},{"id":2,"big":null}]}', after_ms = 10 }

local function write(name, text)
  local path = t.path(name)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

-- Runs the body of a function(args); `api` is a client.
local function program(body, opts)
  local script = write("program.lua", ([[
    local quern = require "quern"
    return function(args)
      local api = assert(quern.http.client { base_url = "http://api.test", retry = quern.retry { jitter = false } })
      %s
    end]]):format(body))
  local output = t.path "program.out"
  local call = { script = script, output = output, scripts_dir = "/nowhere", params = { n = "3" }, run_id = "r1" }
  for key, value in pairs(opts or {}) do call[key] = value end
  local result = main.run(call)
  patience.wanted = false
  local text = files.read(output)
  os.remove(output)
  os.remove(script)
  return result, text
end

local function always(answer)
  t.serve(function() return answer end)
end

t.test("rows of records and of tables, as NDJSON, JSON and CSV", function()
  local body = [[for _, record in ipairs(assert(api:get("/items")):json().items) do
      quern.emit { id = record.id, big = record.big, list = { 1, "a" }, arg = args.n }
    end
    quern.emit { id = 3 }]]
  for format, expected in pairs {
    ndjson = '{"arg":"3","big":12345678901234567890,"id":1,"list":[1,"a"]}\n{"arg":"3","big":null,"id":2,"list":[1,"a"]}\n'
      .. '{"arg":null,"big":null,"id":3,"list":null}\n',
    json = '[\n{"arg":"3","big":12345678901234567890,"id":1,"list":[1,"a"]},\n{"arg":"3","big":null,"id":2,"list":[1,"a"]},\n'
      .. '{"arg":null,"big":null,"id":3,"list":null}\n]\n',
    csv = 'arg,big,id,list\r\n3,12345678901234567890,1,"[1,""a""]"\r\n3,,2,"[1,""a""]"\r\n,,3,\r\n',
  } do
    always(GOOD)
    local result, text = program(body, { format = format })
    t.equal(result.message, nil)
    t.equal(result.exit, 0)
    t.equal(text, expected)
    t.equal(result.rows, 3)
    t.equal(result.requests, 1)
    t.equal(result.verdict, "complete")
    t.equal(result.query, t.path("program"):match "[^/]+$")
  end
end)

t.test("a record of an answer is a row; quern.fields orders the names", function()
  always(GOOD)
  local _, text = program [[quern.fields { "id", "extra", "big" }
    local view = assert(api:get("/items")):view()
    for _, record in ipairs(view.items) do quern.emit(record) end]]
  t.equal(text, '{"id":1,"extra":null,"big":12345678901234567890}\n{"id":2,"extra":null,"big":null}\n')
end)

t.test("csv_safe guards cells and names", function()
  local result, text = program('quern.emit { ["=a"] = "=1+1", b = -1 }', { format = "csv", csv_safe = true })
  t.equal(result.exit, 0)
  t.equal(text, "'=a,b\r\n'=1+1,-1\r\n")
  t.equal((program("", { csv_safe = true })).exit, 2)
end)

t.test("no rows: an empty output, with the header that quern.fields gave", function()
  local _, text = program("", { format = "csv" })
  t.equal(text, "")
  _, text = program('quern.fields { "a", "b c" }', { format = "csv" })
  t.equal(text, "a,b c\r\n")
  _, text = program("", { format = "json" })
  t.equal(text, "[\n]\n")
end)

t.test("misuse names the row's mistake and the line, and leaves nothing", function()
  for _, case in ipairs {
    { "quern.emit { a = 1 } quern.emit { a = 1, b = 2 }", "program.lua:4: quern.emit: its row has 'b', which is not among the columns: a$" },
    { "quern.emit { a = print }", "program.lua:4: quern.emit: column 'a': a function cannot be written into a row" },
    { "quern.emit { a = 0/0 }", "program.lua:4: quern.emit: column 'a': .*NaN" },
    { "quern.emit { 1, 2 }", "program.lua:4: quern.emit: a row's keys are names, not a number" },
    { "quern.emit { a = 1 } quern.emit { 5 }", "quern.emit: a row's keys are column names, not a number" },
    { "quern.emit {}", "the first row has no value; give the names with quern.fields" },
    { "quern.emit(5)", "program.lua:4: quern.emit takes a table of named values, not a number" },
    { "quern.emit { a = 1 } quern.fields { 'b' }", "program.lua:4: quern.fields: the names are fixed already" },
    { "quern.fields { 'a', 'a' }", "program.lua:4: quern.fields: the name 'a' is there twice" },
    { "quern.fields {}", "quern.fields takes a list of names" },
    { "quern.emit { a = quern.secret.env 'X' and 1 } error 'no luck'", "program.lua:4: no luck" },
    { "quern.emit { a = 1 } return nil, 'no luck'", "^no luck$" },
    { "quern.emit { a = 1 } error {}", "^an error without a text$" },
    { "local all = {} for n = 1, 1e9 do all[n] = ('x'):rep(1e7) .. n end", "^not enough memory; what a script keeps may take 256 MB$" },
  } do
    local result, text = program(case[1])
    t.equal(result.exit, 1)
    t.match(result.message, case[2])
    t.equal(text, nil)
    t.equal(result.rows, 0)
  end
end)

t.test("an error of a client has its exit status", function()
  for status, exit in pairs { [403] = 4, [400] = 5, [404] = 1 } do
    always { status = status, headers = {}, body = '{"message":"oh no"}' }
    local result, text = program [[quern.emit { a = 1 } assert(api:get "/items")]]
    t.equal(result.exit, exit)
    t.match(result.message, "oh no")
    t.equal(text, nil)
  end
  always { status = 503, headers = {}, body = "{}" }
  t.equal((program [[assert(api:get "/items")]]).exit, 75)
end)

t.test("an error of a task that nobody joined ends it, too", function()
  local result, text = program [[quern.emit { a = 1 }
    quern.task.spawn(function() quern.task.sleep(1) error "in the task" end)
    quern.task.sleep(5)]]
  t.equal(result.exit, 1)
  t.match(result.message, "in the task")
  t.equal(text, nil)
end)

t.test("interrupted: 130, and nothing stays", function()
  t.serve(function()
    t.interrupt()
    return { status = 200, headers = {}, body = "{}", after_ms = 60000 }
  end)
  local result, text = program [[quern.emit { a = 1 } assert(api:get "/items") quern.emit { a = 2 }]]
  t.equal(result.exit, 130)
  t.equal(text, nil)
  t.raises(function() quern.emit { a = 1 } end, "quern.emit is for programs")
end)

t.test("interrupted while it works and never waits: 130, also under pcall", function()
  local told = events.subscribe(function() t.interrupt() end, { type = "script.busy" })
  for _, work in ipairs { "while true do end", "while true do pcall(error) end", "coroutine.wrap(function() while true do end end)()" } do
    local result, text = program('quern.emit { a = 1 } quern.events.emit "busy" ' .. work)
    t.equal(result.exit, 130)
    t.match(result.message, "^interrupted")
    t.equal(text, nil)
  end
  -- what soon waits is not cut short before
  local result = program 'quern.events.emit "busy" for n = 1, 1000000 do args.n = n end quern.events.emit "done" quern.task.sleep(1)'
  t.equal(result.exit, 130)
  t.equal(#t.events "script.done", 1)
  told:close()
end)

t.test("a wait that nothing can end any more ends the program, by its line", function()
  for _, wait in ipairs { "local c = quern.task.channel(1) c:receive()", "local c = quern.task.channel(1) while true do pcall(c.receive, c) end",
    "quern.task.map({ 1, 2 }, 2, function() quern.task.channel():receive() end)" } do
    local result, text = program("quern.emit { a = 1 } " .. wait)
    t.equal(result.exit, 1)
    t.match(result.message, "%.lua:%d+: nothing can end this wait any more")
    t.equal(text, nil)
  end
end)

t.test("rows of several tasks side by side", function()
  local result, text = program [[quern.fields { "n" }
    quern.task.map({ 3, 1, 2 }, 3, function(n) quern.task.sleep(n) quern.emit { n = n } end)]]
  t.equal(result.exit, 0)
  t.equal(text, '{"n":1}\n{"n":2}\n{"n":3}\n')
end)

t.test("rows reach the operating system while the program waits", function()
  local inside
  t.serve(function()
    inside = files.read((t.path "program.out":gsub("([^/]+)$", ".%1.r1.partial")))
    return GOOD
  end)
  program [[quern.emit { a = 1 } quern.task.sleep(1) assert(api:get "/items")]]
  t.equal(inside, '{"a":1}\n')
end)

t.test("quern.emit elsewhere is refused", function()
  t.raises(function() quern.emit { a = 1 } end, "quern.emit is for programs: a script that returns a function")
  t.raises(function() quern.fields { "a" } end, "quern.fields is for programs")
  local script = write("early.lua", 'require("quern").emit { a = 1 } return function() end')
  local result = main.run { script = script, scripts_dir = "/nowhere" }
  os.remove(script)
  t.equal(result.exit, 1)
  t.match(result.message, "early.lua:1: quern.emit is for programs")
end)

t.test("options that are for queries", function()
  for option, value in pairs { plugins = { "x.lua" }, listen = "0", rate = "5/s", accept_incomplete = true } do
    local result = program("", { [option] = value })
    t.equal(result.exit, 2)
    t.match(result.message, "^%-%-" .. option:gsub("_", "%%-"):gsub("s$", "") .. " is for queries; .* is a program")
  end
end)

t.test("plan says that it is a program and calls nothing", function()
  local script = write("plan.lua", 'return function() error "called" end')
  local result = main.plan { script = script, scripts_dir = "/nowhere", params = { a = "b" } }
  os.remove(script)
  t.equal(result.exit, 0)
  t.match(result.text, "plan.lua is a program: what it asks for is known when it runs\n  a = b\nrows as ndjson")
end)

t.test("scripts of the wrong kind", function()
  for text, expected in pairs {
    ["return quern.serve { name = 's', handler = print }"] = "is a serving script; 'quern emulate' runs those that ship; what runs returns",
    ["return { name = 'p', transform = print }"] = "is a plugin; 'quern run QUERY %-%-plugin .*kind.lua' adds it to a query",
    ["return 5"] = "kind.lua returned a number; what runs returns quern.query { ... } or a function",
    ["return quern.chunk.whole {}"] = "kind.lua returned a table; what runs returns",
    [""] = "kind.lua returned nothing",
  } do
    local script = write("kind.lua", 'local quern = require "quern" ' .. text)
    for _, command in ipairs { "run", "plan" } do
      local result = main[command] { script = script, scripts_dir = "/nowhere" }
      t.equal(result.exit, 1)
      t.match(result.message, expected)
    end
    os.remove(script)
  end
  local script = write("kind.lua", "return function() end")
  local result = main.serve { script = script, scripts_dir = "/nowhere" }
  os.remove(script)
  t.match(result.message, "kind.lua is a program %(it returns a function%); 'quern run .*kind.lua' runs it; what is served returns quern.serve")
end)

t.test("audit, alerts and waiting work as for queries", function()
  local posts, down = {}, true
  t.serve(function(request)
    if request.url:find "hooks" then
      posts[#posts + 1] = json.decode(request.body).type
      return { status = 204, headers = {}, body = "" }
    end
    if t.now() > 1000000 then down = false end
    return down and { status = 503, headers = {}, body = "{}" } or GOOD
  end)
  local audit = t.path "audit.jsonl"
  local result, text = program([[assert(api:get "/items") quern.emit { a = 1 }]], { wait = true, alert_url = "http://hooks.test/x", audit = audit })
  t.equal(result.exit, 0)
  t.equal(text, '{"a":1}\n')
  t.same(posts, { "circuit_open" })
  local lines = files.read(audit)
  os.remove(audit)
  local last
  for line in lines:gmatch "[^\n]+" do last = json.decode(line) end
  t.equal(last.event, "request")
  t.equal(last.status, 200)
  t.equal(last.run, "r1")
  always { status = 403, headers = {}, body = "{}" }
  t.equal((program([[assert(api:get "/items")]], { alert_url = "http://hooks.test/x", audit = "/dev/full" })).exit, 1)
end)

t.test("an audit that cannot be written ends the program", function()
  always(GOOD)
  local result, text = program([[assert(api:get "/items") quern.emit { a = 1 } quern.task.sleep(60) assert(api:get "/more")]], { audit = "/dev/full" })
  t.equal(result.exit, 1)
  t.match(result.message, "the audit cannot be written to /dev/full")
  t.equal(text, nil)
  t.equal(#t.requests, 1)
end)
