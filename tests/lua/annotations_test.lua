-- The examples in the comments of the library are Lua: whole chunks, values, or fields of a table.
local t = require "harness"
local files = require "quern.core.files"

local folder = package.searchpath("quern.json", package.path):match "^(.*)/json%.lua$"

-- The indented blocks of `---` comments, each with the line it begins on.
local function examples(source)
  local found, block, number = {}, nil, 0
  for line in (source .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local code = line:match "^%s*%-%-%-     (.*)$"
    if code then
      block = block or { line = number }
      block[#block + 1] = code
    elseif block then
      found[#found + 1] = { line = block.line, text = table.concat(block, "\n") }
      block = nil
    end
  end
  return found
end

-- What follows `-->` or `...` is for people.
local function loads(text)
  if text:match "^quern " or text:match "^%s*$" then return true end -- a command
  text = text:gsub("{ %.%.%. }", "{}"):gsub("%(%.%.%.%)", "()")
  local problem
  for _, form in ipairs { "%s", "return %s", "return { %s\n}" } do
    local fn, err = load((form:gsub("%%s", function() return text end)), "example", "t", {})
    if fn then return true end
    problem = problem or err
  end
  local every = true -- one statement or value a line
  for line in text:gmatch "[^\n]+" do
    every = every and (load(line, "line", "t", {}) or load("return " .. line, "line", "t", {}) or load("return { " .. line .. "\n}", "line", "t", {}))
  end
  return every and true, problem
end

t.test("examples in comments are Lua", function()
  local count = 0
  local function look(dir)
    for _, name in ipairs(assert(files.list(dir))) do
      if name:match "%.lua$" then
        for _, example in ipairs(examples(assert(files.read(dir .. "/" .. name)))) do
          local ok, problem = loads(example.text)
          if not ok then error(("%s:%d: %s\n%s"):format(name, example.line, problem, example.text)) end
          count = count + 1
        end
      elseif name == "genesys" then
        look(dir .. "/" .. name)
      end
    end
  end
  look(folder)
  t.ok(count > 10)
end)

t.test("an example that is no Lua is noticed", function()
  t.equal(loads "local x = { 1", nil)
  t.equal(loads "chunk = by_time { size = }", nil)
  t.equal(#examples "--- text\n---     a = 1\n---     b = 2\n--- text\n", 1)
end)
