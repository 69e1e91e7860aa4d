-- What a script has is a list of what is allowed; loading it is pure; its work is bounded.
local t = require "harness"
local sandbox = require "quern.core.sandbox"
local json = require "quern.json"

local function load(source, dir)
  local fn, err = sandbox.load(source, "@script.lua", dir or ".")
  if not fn then error(err, 0) end
  return fn()
end

t.test("only what is listed is there", function()
  local names = {}
  for name in pairs(sandbox.environment(".")) do names[#names + 1] = name end
  table.sort(names)
  t.same(names, { "_G", "_VERSION", "assert", "coroutine", "error", "getmetatable", "ipairs", "load", "math", "next", "os", "pairs",
                  "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "string", "table",
                  "tonumber", "tostring", "type", "utf8", "warn", "xpcall" })
end)

t.test("io, debug, package, dofile, loadfile, collectgarbage are not", function()
  for _, name in ipairs { "io", "debug", "package", "dofile", "loadfile", "collectgarbage" } do
    t.equal(load(("return %s"):format(name)), nil)
  end
  for _, name in ipairs { "execute", "getenv", "exit", "remove", "rename", "tmpname", "setlocale" } do
    t.equal(load(("return os.%s"):format(name)), nil)
  end
end)

t.test("no way to bytecode, and no way to the library's own tables", function()
  t.equal(load "return string.dump", nil)
  t.equal(load "return ('').dump", nil)
  t.equal(load "return getmetatable('')", "string")
  t.equal(load "return (load('\\27Lua'))", nil)
  load "string.format = nil; table.concat = nil; math.floor = nil; _G.print = nil"
  t.equal(("%d"):format(1), "1")
  t.ok(table.concat and math.floor and print)
  t.equal(load "return string.format", string.format) -- each script has copies of its own
end)

t.test("load makes text functions in the script's own environment", function()
  t.equal(load "x = 5; return load('return x')()", 5)
  t.equal(rawget(_G, "x"), nil)
  t.equal(load "return select(2, load('return +'))":match "unexpected symbol", "unexpected symbol")
end)

t.test("require: public modules, cjson, files beside the script, nothing else", function()
  t.ok(load "return require 'quern'")
  t.ok(load "return require 'quern.json'")
  for _, name in ipairs { "quern.core.task", "quern.run", "quern.main", "quern.attempt" } do
    t.raises(function() load(("require '%s'"):format(name)) end, "there is no module '" .. name:gsub("%.", "%%.") .. "' for scripts")
  end
  for _, name in ipairs { "../x", "/etc/passwd", "a..b", ".x", "x/y", "" } do
    t.raises(function() load(("require '%s'"):format(name)) end, "only modules of quern and files beside the script")
  end
  t.raises(function() load "require 'not_there'" end, "not_there%.lua")
end)

t.test("a file beside the script is loaded once, in the same environment", function()
  local path = t.path "beside"
  local dir, name = path:match "^(.*)/([^/]*)$"
  name = name:gsub("[^%w_]", "_")
  local file = assert(io.open(dir .. "/" .. name .. ".lua", "w"))
  file:write "loaded = (loaded or 0) + 1; return { io = io, count = loaded }"
  file:close()
  local result = load(("local a, b = require '%s', require '%s'; return { a, b, loaded }"):format(name, name), dir)
  os.remove(dir .. "/" .. name .. ".lua")
  t.equal(result[1], result[2])
  t.equal(result[3], 1)
  t.equal(result[1].io, nil)
end)

t.test("cjson makes integers floats and 14 digits; quern.json is exact", function()
  local cjson_text = load "local cjson = require 'cjson'; return cjson.encode(cjson.decode('[170000000000012,[]]'))"
  t.equal(cjson_text, "[1.7000000000001e+14,{}]")
  t.equal(json.encode(json.decode "[170000000000012,[]]"), "[170000000000012,[]]")
end)

t.test("loading is pure: no clock, no chance, no waiting at the top level", function()
  for _, source in ipairs { "os.time()", "os.date()", "os.clock()", "math.random()", "math.randomseed(1)",
                            "require('quern.task').sleep(1)", "require('quern.task').spawn(print)" } do
    t.raises(function() load(source) end, "loading a script must be pure")
    t.raises(function() load("local ok, err = pcall(function() " .. source .. " end); error(err, 0)") end, "loading a script must be pure")
  end
  t.ok(load "return os.time { year = 2024, month = 1, day = 1 }")
  t.equal(type(load "return function() return os.time() end"()), "number")
end)

t.test("a syntax error names file and line", function()
  local fn, err = sandbox.load("local a = 1\nlocal = 2", "@dir/script.lua", "dir")
  t.equal(fn, nil)
  t.match(err, "^dir/script%.lua:2: ")
end)

t.test("an endless loop is stopped, also under pcall", function()
  t.raises(function() load "while true do end" end, "Lua instructions")
  t.raises(function() load "while true do pcall(function() while true do end end) end" end, "Lua instructions")
end)

t.test("a script that eats memory is stopped at its limit, and the rest goes on", function()
  t.raises(function() load 'local t = {} for i = 1, 100000 do t[i] = ("x"):rep(1000000) .. i end' end, "not enough memory")
  collectgarbage()
  t.ok(t.memory() < 50000000)
end)
