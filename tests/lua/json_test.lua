-- quern.json: what survives the way there and back, and what is refused where.
local t = require "harness"
local json = require "quern.json"

local function back(text) return json.encode(assert(json.decode(text))) end

local function refused(value, pattern)
  local ok, err = pcall(json.encode, value)
  t.equal(ok, false)
  t.equal(err.kind, "json")
  t.match(tostring(err), pattern)
end

t.test("integers stay 64-bit integers", function()
  t.equal(math.type(json.decode "9007199254740993"), "integer")
  t.equal(json.decode "9223372036854775807", math.maxinteger)
  t.equal(json.decode "-9223372036854775808", math.mininteger)
  t.equal(back "[170000000000012,9007199254740993,-1,0]", "[170000000000012,9007199254740993,-1,0]")
end)

t.test("floats are written with the fewest digits and keep their kind", function()
  t.equal(math.type(json.decode "1.0"), "float")
  t.equal(back "[0.1,1.0,1e2,-0.0,0.30000000000000004,1e21,2.5E-9]", "[0.1,1.0,100.0,-0.0,0.30000000000000004,1e+21,2.5e-9]")
  t.equal(json.encode(2 ^ 53), "9007199254740992.0")
  t.equal(json.encode(1 / 3), "0.3333333333333333")
end)

t.test("a number that is no float keeps its text", function()
  for _, text in ipairs { "1e400", "0.12345678901234567890", "123456789012345678901234567890", "9223372036854775808", "-1E-400" } do
    local value = json.decode(text)
    t.equal(type(value), "userdata")
    t.equal(tostring(value), text)
    t.equal(json.encode { n = value }, '{"n":' .. text .. "}")
  end
  t.ok(json.number "1e400" == json.number "10e399")
  t.ok(json.number "1e400" ~= json.number "1e401")
  t.equal(json.encode(json.number "1.50"), "1.50")
  t.raises(function() json.number "abc" end, "not a number as JSON writes it")
  t.raises(function() json.number "01" end, "not a number")
  t.raises(function() json.number "1 " end, "not a number")
  t.raises(function() json.number "1\0" end, "not a number")
end)

t.test("null is neither nil nor missing", function()
  local value = json.decode '{"a":null}'
  t.ok(value.a == json.null)
  t.equal(value.b, nil)
  t.equal(tostring(json.null), "null")
  t.equal(back '{"a":null,"b":[null]}', '{"a":null,"b":[null]}')
end)

t.test("an empty array stays one", function()
  t.equal(back "[[],{}]", "[[],{}]")
  t.equal(json.encode {}, "{}")
  t.equal(json.encode(json.array {}), "[]")
  t.equal(json.encode(json.array()), "[]")
  t.equal(json.encode { 1, 2 }, "[1,2]")
  t.ok(json.is_array(json.decode "[]"))
  t.ok(json.is_array(json.array()))
  t.ok(not json.is_array(json.decode "{}"))
  t.ok(not json.is_array {})
  t.ok(not json.is_array "x")
  local list = {}
  t.ok(json.array(list) == list and json.array(list) == list)
  t.raises(function() json.array(setmetatable({}, {})) end, "metatable of its own")
end)

t.test("members are sorted by their bytes", function()
  t.equal(json.encode { b = 1, a = 2, ["é"] = 3, A = 4, [""] = 5, ab = 6, ["a\0"] = 7 },
    '{"":5,"A":4,"a":2,"a\\u0000":7,"ab":6,"b":1,"é":3}')
end)

t.test("strings", function()
  t.equal(back [["\u00e9\ud83d\ude00\n\/\u0007\u0000"]], [["é😀\n/\u0007\u0000"]])
  t.equal(json.decode [["\ud800x"]], "\u{FFFD}x")
  t.equal(json.encode "\"\\\t\127", [["\"\\\t]] .. "\127\"")
  t.equal(json.decode [[{"\u0061":1}]].a, 1)
end)

t.test("the last of duplicate members wins", function()
  t.equal(back '{"a":1,"b":2,"a":3}', '{"a":3,"b":2}')
end)

t.test("what is not JSON is refused with its place", function()
  local value, err = json.decode '{"a":1,}'
  t.equal(value, nil)
  t.equal(err.kind, "json")
  t.equal(err.offset, 7)
  t.match(err.message, "^not JSON: expected a member name in double quotes, found '}' at byte 7$")
  for _, text in ipairs { "", " ", "[1", "<html>", "nul", "1 2", "{'a':1}", "[1,]", "NaN", "\xff", "[01]", '"\t"', "[\0]" } do
    t.equal(json.decode(text), nil)
  end
  t.equal(json.decode "\xef\xbb\xbf[1]"[1], 1)
  t.match(select(2, json.decode(("["):rep(2000))).message, "nested deeper than 1024")
  t.raises(function() json.decode(nil) end, "string expected")
end)

t.test("what has no JSON form is refused with its place", function()
  refused({ body = { filter = { 1, print } } }, "^a function has no JSON form at %.body%.filter%[2%]$")
  refused({ ["a b"] = { coroutine.create(print) } }, '^a thread has no JSON form at %["a b"%]%[1%]$')
  refused(io.stdout, "^a userdata has no JSON form$")
  refused(nil, "^nil has no JSON form")
  refused({ a = 0 / 0 }, "^NaN has no JSON form at %.a$")
  refused({ 1, -1 / 0 }, "^an infinite number has no JSON form at %[2%]$")
  refused({ a = { "x", "\xff" } }, "^a text is not UTF%-8 and has no JSON form at %.a%[2%]$")
  refused({ ["\xff"] = 1 }, "^a name is not UTF%-8")
  refused({ x = { 1, 2, name = 3, also = 4 } }, "^an array that also has the name 'also' has no JSON form at %.x$")
  refused({ x = json.array { name = 3 } }, "^an array that also has the name 'name'")
  refused({ 1, nil, 3, nil, 5 }, "^an array without its element 2")
  refused({ a = { [5] = 1 } }, "^an array without its element 1 .* at %.a$")
  refused({ [0] = 1 }, "^a table with the key 0 has no JSON form")
  refused({ [1.5] = 1 }, "^a table with the key 1%.5 ")
  refused({ [true] = 1 }, "^a table with the key true ")
  refused(setmetatable({}, { __name = "thing" }), "^a thing has no JSON form")
  local cycle = { a = {} }
  cycle.a.b = cycle
  refused(cycle, "^a table that holds itself has no JSON form at %.a%.b$")
  local deep = {}
  for _ = 1, 2000 do deep = { deep } end
  refused(deep, "^tables nested deeper than 1000 levels at %[1%]%[1%].*%.%.%.$")
end)

t.test("a table may stand in two places", function()
  local shared = { 1 }
  t.equal(json.encode { shared, shared }, "[[1],[1]]")
end)

t.test("nesting up to 1000 is written, up to 1024 is read", function()
  local text = ("["):rep(1000) .. ("]"):rep(1000)
  t.equal(back(text), text)
  t.ok(json.decode(("["):rep(1024) .. ("]"):rep(1024)))
end)

t.test("canonical gives equal texts for equal values", function()
  t.equal(json.canonical { b = { 1, 2.0 }, a = json.null }, '{"a":null,"b":[1,2.0]}')
  local view = require "quern.core.view"
  local record = assert(view.open ' { "b" : 1.50, "a" : [ ] , "b": 2 } ')
  t.equal(json.encode { r = record }, '{"r":{"b":1.50,"a":[],"b":2}}')
  t.equal(json.canonical { r = record }, '{"r":{"a":[],"b":2}}')
end)

t.test("minify leaves everything but white space", function()
  t.equal(json.minify ' { "a b" : [ 1.50 , "\\u0041 " ] } ', '{"a b":[1.50,"\\u0041 "]}')
  t.equal(json.minify "{", nil)
end)

t.test("a finalizer that changes the table while it is written does no harm", function()
  local victim = {}
  for i = 1, 200 do victim["key" .. i] = { "value" .. i } end
  local function arm()
    setmetatable({}, { __gc = function() for i = 100, 200 do victim["key" .. i] = nil end end })
  end
  arm()
  collectgarbage "generational"
  for _ = 1, 20 do pcall(json.encode, victim) end
  collectgarbage "incremental"
end)
