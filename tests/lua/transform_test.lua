-- quern.transform on tables and on views.
local t = require "harness"
local json = require "quern.json"
local transform = require "quern.transform"
local view = require "quern.core.view"

local TREE = [[{"id":"a","metrics":{"n":{"value":3}},"groups":[
  {"id":"b","metrics":{"n":{"value":1}},"groups":[]},
  {"id":"c","groups":[{"id":7},{"metrics":{"n":{"value":2}}}]},
  {"id":"d","metrics":null,"groups":null}]}]]

local ROWS = '[{"metrics":{"n":{"value":1}},"path":["a","b"]},{"metrics":{},"path":["a","c",7]},'
  .. '{"metrics":{"n":{"value":2}},"path":["a","c",null]},{"metrics":null,"path":["a","d"]}]'

t.test("flatten gives one row a leaf, of views and of tables", function()
  local flatten = transform.flatten {}
  t.equal(json.encode(flatten(view.open(TREE))), ROWS)
  t.equal(json.encode(flatten(json.decode(TREE))), ROWS)
end)

t.test("a node without children is a leaf", function()
  t.equal(json.encode(transform.flatten { path = "p" } (view.open '{"id":"x","metrics":{}}')), '[{"metrics":{},"p":["x"]}]')
end)

t.test("a tree that is too deep is an error, not a crash", function()
  local node = { id = 1 }
  for _ = 1, 1200 do node = { id = 1, groups = { node } } end
  t.raises(function() transform.flatten {} (node) end, "deeper than 1000 levels")
end)

t.test("options are checked", function()
  t.raises(function() transform.flatten { childern = {} } end, "did you mean 'children'")
  t.raises(function() return transform.flaten end, "did you mean 'flatten'")
end)

t.test("flatten: what is no tree is named", function()
  local flatten = transform.flatten {}
  t.raises(function() flatten(view.open '{"groups":[5]}') end, "a node of the tree is a number, not an object")
  t.raises(function() flatten(view.open '{"groups":[null]}') end, "a node of the tree is a null, not an object")
  t.raises(function() flatten(view.open '{"groups":[[]]}') end, "a node of the tree is a list, not an object")
  t.raises(function() flatten(view.open '{"groups":{"a":1}}') end, "flatten: 'groups' is a object, not a list")
  t.raises(function() flatten { groups = "x" } end, "flatten: 'groups' is a string, not a list")
  t.equal(#flatten(view.open '{"groups":{}}'), 1) -- an empty list, as some write it
end)

t.test("flatten: a tree at the limit of depth", function()
  local function nested(depth)
    local node = { id = 1, metrics = {} }
    for _ = 2, depth do node = { id = 1, groups = { node } } end
    return node
  end
  t.equal(#transform.flatten {} (nested(1000))[1].path, 1000)
  t.equal(#transform.flatten {} (view.open(json.encode(nested(400))))[1].path, 400)
  t.raises(function() transform.flatten {} (nested(1001)) end, "deeper than 1000 levels")
end)

local RECORD = '{"id":7,"name":"Ann","big":12345678901234567890,"none":null,"tags":["a",null,{"k":1}],"deep":{"x":[1]}}'

-- Of a record as a view, as a table, and as a row that columns made: each gives the same.
local function of_all(change, wanted)
  local columns = { columns = true }
  t.equal(json.encode(change(view.open(RECORD))), wanted)
  t.equal(json.encode(change(json.decode(RECORD))), wanted)
  t.equal(json.encode(change(view.open(RECORD), {})), wanted)
  t.equal(json.encode(change(view.open '{"id":0}', json.decode(RECORD), columns)), wanted)
  t.equal(json.encode(change(view.open '{"id":0}', json.decode(RECORD))), wanted)
end

t.test("pick and rename", function()
  of_all(transform.pick { "id", "deep", "absent", "none" }, '{"deep":{"x":[1]},"id":7,"none":null}')
  of_all(transform.pipe(transform.pick { "id", "name", "big" }, transform.rename { id = "name", name = "id" }),
    '[{"big":12345678901234567890,"id":"Ann","name":7}]')
  local row = { a = 1, b = 2 }
  t.equal(json.encode(transform.rename { a = "c", x = "y" } (nil, row)), '{"b":2,"c":1}')
  t.equal(row.a, 1)
  t.raises(function() transform.rename { a = "b" } (nil, row) end, "there is a member 'b' already")
  t.equal(json.encode(transform.pick { "id" } (view.open '{"id":1}', {}, { columns = true })), "[{}]") -- columns that found nothing
  t.raises(function() transform.pick { "id" } (view.open "[1]") end, "takes a row or an object, not a list")
  t.raises(function() transform.pick { "id" } "x" end, "not a string")
end)

t.test("convert does what columns do, to the digit", function()
  local function converted(value, conversion)
    return json.encode(transform.convert { v = conversion } ({ v = value }).v)
  end
  t.equal(converted("5.0", "integer"), "5")
  t.equal(converted(5, "text"), '"5"')
  t.equal(converted("12345678901234567890.5", "number"), "12345678901234567890.5")
  t.equal(converted(1005, { scale = 0.001, round = 2 }), "1.01")
  t.equal(converted(-1005, { as = "number", scale = 0.001, round = 2 }), "-1.01")
  t.equal(converted(json.number "0.12345678901234567890", { round = 19 - 4 }), "0.123456789012346")
  t.equal(converted("2.5", { as = "integer", round = 0 }), "3")
  t.equal(converted(1, "bool"), "true")
  t.equal(converted(1704067200000, "time"), '"2024-01-01T00:00:00.000Z"')
  t.equal(converted("2024-01-01T01:00:00+01:00", "time"), '"2024-01-01T00:00:00.000Z"')
  t.equal(converted({ b = 1, a = 2 }, "text"), '"{\\"a\\":2,\\"b\\":1}"')
  t.equal(converted(json.null, "integer"), "null")
  t.raises(function() converted("abc", "integer") end, [[column 'v': "abc" is not an integer]])
  t.raises(function() converted("9223372036854775808", "integer") end, "does not fit into 64 bits")
  t.raises(function() converted({}, "number") end, "is not a number")
end)

t.test("convert: many at once, by functions, of views", function()
  local change = transform.convert {
    id = "text", name = function(value, row, ctx) return value .. tostring(row.big) .. ctx.x end,
    deep = function() return nil end, absent = "integer", none = "integer", tags = "json",
  }
  t.equal(json.encode(change(view.open(RECORD), nil, { x = 5 })),
    '{"big":12345678901234567890,"id":"7","name":"Ann123456789012345678905","none":null,"tags":["a",null,{"k":1}]}')
end)

t.test("explode: one row an element, the others repeated", function()
  of_all(transform.pipe(transform.pick { "id", "tags" }, transform.explode("tags", "tag")),
    '[{"id":7,"tag":"a"},{"id":7,"tag":null},{"id":7,"tag":{"k":1}}]')
  local explode = transform.explode "v"
  t.equal(json.encode(explode { k = 1, v = { 3, 4 } }), '[{"k":1,"v":3},{"k":1,"v":4}]')
  for _, nothing in ipairs { '{"k":1}', '{"k":1,"v":null}', '{"k":1,"v":[]}', '{"k":1,"v":{}}' } do
    t.equal(#explode(view.open(nothing)), 0)
    t.equal(json.encode(transform.explode("v", nil, { empty = "keep" })(json.decode(nothing))), '[{"k":1}]')
  end
  t.raises(function() explode { v = "x" } end, "explode: 'v' is a string, not a list")
  t.raises(function() explode(view.open '{"v":{"a":1}}') end, "explode: 'v' is a object, not a list")
end)

t.test("redact: dropped, masked, hashed", function()
  local row = { id = 7, name = "Ann", none = json.null, deep = { b = 1, a = 2 } }
  t.equal(json.encode(transform.redact { "name", "none", "absent" } (row)), '{"deep":{"a":2,"b":1},"id":7,"none":null}')
  t.equal(json.encode(transform.redact { "name", "id", with = "mask" } (row)), '{"deep":{"a":2,"b":1},"id":"***","name":"***","none":null}')
  local hash = require("quern.core.hash").sha256
  local made = transform.redact { "name", "id", "none", "deep", with = "hash", salt = "s" } (view.open(json.encode(row)))
  t.equal(made.name, hash "sAnn")
  t.equal(made.id, hash "s7")
  t.equal(made.deep, hash 's{"a":2,"b":1}')
  t.equal(made.none, json.null)
  made = transform.redact { "name", with = "hash", salt = function(ctx) return ctx.params.salt end } (nil, row, { params = { salt = "p" } })
  t.equal(made.name, hash "pAnn")
  t.equal(transform.redact { "name", with = "hash" } (row).name, hash "Ann")
  t.equal(row.name, "Ann")
end)

t.test("pipe: rows of one stage are those of the next, with the same record", function()
  local seen = {}
  local pipe = transform.pipe(
    transform.flatten { path = "p" },
    function(record, row, ctx)
      seen[#seen + 1] = record.id .. #row.p .. tostring(ctx.columns) .. tostring(ctx.page)
      if #row.p == 2 then return nil end
      return { row, {} }
    end,
    transform.convert { p = function(value) return #value end },
    transform.rename { p = "depth" })
  local rows = pipe(view.open(TREE), {}, { page = 4 })
  t.equal(json.encode(rows), '[{"depth":3,"metrics":{}},{},{"depth":3,"metrics":{"n":{"value":2}}},{}]')
  t.same(seen, { "a2true4", "a3true4", "a3true4", "a2true4" })
  t.equal(#transform.pipe(function() return nil end, error) {}, 0)
  t.equal(json.encode(transform.pipe(function(record) return record end, transform.pick { "k" }) (view.open '{"k":1,"l":2}')), '[{"k":1}]')
  t.raises(function() transform.pipe(function() return 5 end) {} end, "transform 1 answered a number")
end)

t.test("makers say what they take, at the caller's line", function()
  local function refused(fn, pattern) t.raises(fn, "transform_test.*" .. pattern) end
  refused(function() transform.pick {} end, "takes a list of names")
  refused(function() transform.pick { "a", 5 } end, "name 2 is a number")
  refused(function() transform.rename { "a" } end, "takes names")
  refused(function() transform.rename { a = "x", b = "x" } end, "two members become 'x'")
  refused(function() transform.convert {} end, "takes conversions by name")
  refused(function() transform.convert { a = 5 } end, "'a' must be a type")
  refused(function() transform.convert { a = "integr" } end, "as = 'integr' is not one of any, text, integer")
  refused(function() transform.convert { a = { rond = 2 } } end, "did you mean 'round'")
  refused(function() transform.convert { a = { as = "text", round = 2 } } end, "scale and round are for numbers")
  refused(function() transform.explode() end, "takes the name of a list")
  refused(function() transform.explode("a", 5) end, "must be a text")
  refused(function() transform.explode("a", "b", { empty = "x" }) end, "'drop' or 'keep'")
  refused(function() transform.redact { with = "mask" } end, "takes a list of names")
  refused(function() transform.redact { "a", wit = "mask" } end, "did you mean 'with'")
  refused(function() transform.redact { "a", with = "sha" } end, "'hash' or 'mask'")
  refused(function() transform.redact { "a", salt = "x" } end, "a salt is for")
  refused(function() transform.pipe() end, "at least one")
  refused(function() transform.pipe(print, 5) end, "argument 2 is a number")
end)

t.test("in a run: workers load the script and its makers again", function()
  local source = [[
    local quern = require "quern"
    local change = quern.transform
    return quern.query {
      name = "people", client = { base_url = "http://api.test" }, request = function() return { path = "/x" } end,
      records = "$.items[*]",
      columns = { { "id", "$.id" }, { "ms", "$.ms" }, { "tags", "$.tags" }, { "mail", "$.mail" }, { "tag" }, { "s" } },
      transform = change.pipe(change.explode("tags", "tag", { empty = "keep" }), change.convert { ms = { scale = 0.001, round = 1 } },
        change.rename { ms = "s" }, change.redact { "mail", with = "hash", salt = "x" },
        function(_, row, ctx) if not quern.validate.enum(row.tag, { "a", "b" }) then row.tag = row.tag .. ctx.page end return row end),
      validate = function() end,
    }
  ]]
  local query = load(source, "@people.lua")()
  t.serve(function()
    return { status = 200, headers = {}, body = '{"items":[{"id":1,"ms":1250,"tags":["a","b"],"mail":"a@b"},{"id":2,"ms":null},{"id":3,"tags":["c"]}]}' }
  end)
  local output = t.path("people.ndjson")
  local summary = assert(require("quern.run").execute({
    query = query, params = {}, client = require("quern.http").client(query.client), format = "ndjson", now_ms = 0,
    cut = require("quern.chunk").bind(query.chunk, {}), script = { name = "@people.lua", path = "people.lua", source = source, dir = "." },
  }, { run_id = "test", output = output, workers = 1 }))
  local file = assert(io.open(output, "rb"), summary.message)
  local text = file:read "a"
  file:close()
  os.remove(output)
  local mail = '"' .. require("quern.core.hash").sha256 "xa@b" .. '"'
  t.equal(text, ('{"id":1,"ms":null,"tags":null,"mail":MAIL,"tag":"a1","s":1.3}\n{"id":1,"ms":null,"tags":null,"mail":MAIL,"tag":"b1","s":1.3}\n'
    .. '{"id":2,"ms":null,"tags":null,"mail":null,"tag":null,"s":null}\n{"id":3,"ms":null,"tags":null,"mail":null,"tag":"c","s":null}\n')
    :gsub("MAIL", mail))
end)
