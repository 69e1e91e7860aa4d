-- Records as lazy views: reading, walking, comparing, copying, and what they refuse.
local t = require "harness"
local json = require "quern.json"
local view = require "quern.core.view"

local TEXT = [[ { "id" : 7, "name":"A\u0301 b", "list":[10,null,{"x":[1,2]},"s"], "none":null, "big":1e400,
  "id": 8, "end":true, "\u0061b": "c", "len": {"__len":1}, "":0 } ]]

t.test("members and elements", function()
  local rec = assert(view.open(TEXT))
  t.equal(type(rec), "userdata")
  t.equal(rec.id, 8)
  t.equal(rec.name, "A\u{301} b")
  t.equal(rec.ab, "c")
  t.equal(rec["end"], true)
  t.equal(rec[""], 0)
  t.equal(rec.missing, nil)
  t.equal(rec[1], nil)
  t.ok(rec.none == json.null and view.is_null(rec.none))
  t.ok(not view.is_null(rec.missing))
  t.equal(tostring(rec.big), "1e400")
  t.equal(rec.list[1], 10)
  t.equal(rec.list[3].x[2], 2)
  t.equal(rec.list[5], nil)
  t.equal(rec.list[0], nil)
  t.equal(rec.list[-1], nil)
  t.equal(rec.list[2.0], json.null)
  t.equal(rec.list[1.5], nil)
  t.equal(rec.list["1"], nil)
  t.equal(rec.list.x, nil)
  t.equal(rec[true], nil)
  t.equal(rec.len.__len, 1)
  t.equal(#rec.list, 4)
  t.equal(#rec, 0)
  t.equal(#rec.list[3].x, 2)
end)

t.test("scalars at the root are plain values", function()
  t.equal(view.open "5", 5)
  t.equal(view.open '"x"', "x")
  t.ok(view.open "null" == json.null)
end)

t.test("elements in any order", function()
  local text = {}
  for i = 1, 1000 do text[i] = tostring(i) end
  local list = assert(view.open("[" .. table.concat(text, ",") .. "]"))
  for i = 1, 1000 do t.equal(list[i], i) end
  for i = 1000, 1, -37 do t.equal(list[i], i) end
  t.equal(list[1], 1)
  t.equal(list[999], 999)
end)

t.test("members read again and again, in another order, missing, twice there, escaped, and of another shape", function()
  local list = view.open [=[ [ {"a":1,"b":{"a":10,"z":[0]},"c":3}, {"c":6,"b":[],"a":4}, {"b":7}, {"a":8,"a":9,"c":{"a":5},"c":11},
    {"\u0061":12,"a\u0000":13}, {"":{"a":1},"b":{"b":{"a":2}},"a":14}, {}, [], {"A":1,"aa":2,"c":"c"} ] ]=]
  local seen = {}
  for _ = 1, 3 do
    for _, item in ipairs(list) do
      for _, name in ipairs { "a", "c", "a" } do seen[#seen + 1] = tostring(item[name]) end
    end
  end
  t.equal(table.concat(seen, " "), (("1 3 1 4 6 4 nil nil nil 9 11 9 12 nil 12 14 nil 14 nil nil nil nil nil nil nil c nil "):rep(3):sub(1, -2)))
  t.equal(list[5]["a\0"], 13)
  t.equal(list[6].b.b.a, 2)
  t.equal(list[1].b.z[1], 0)
end)

t.test("objects of many members: in any order, several at once, twice there, missing, escaped, of another document", function()
  local function wide(count, extra)
    local parts = {}
    for i = 1, count do parts[i] = ('"n%d":%s'):format(i, i % 7 == 0 and ('{"n%d":[%d]}'):format(i, i) or i) end
    return "{" .. table.concat(parts, ",") .. (extra or "") .. "}"
  end
  local kinds = { wide(23), wide(24), wide(100, ',"n5":55,"n5":555'), wide(60, ',"\\u006e5":56'), wide(30), wide(300) }
  local list = view.open("[" .. table.concat(kinds, ",") .. "]")
  local counts, five = { 23, 24, 100, 60, 30, 300 }, { 5, 5, 555, 56, 5, 5 }
  for round = 1, 3 do
    for place, count in ipairs(counts) do
      local first, last, step = 1, count, 1
      if round == 2 then first, last, step = count, 1, -1 end
      local item = list[place]
      for i = first, last, step do
        local value = item["n" .. i]
        if i % 7 == 0 then t.equal(value["n" .. i][1], i) else t.equal(value, i == 5 and five[place] or i) end
      end
      t.equal(item["n" .. count + 1], nil)
      t.equal(item.n, nil)
      t.equal(item[1], nil)
    end
  end
  for i = 1, 20 do -- more of them at once than are remembered, each a view of its own
    for place in ipairs(counts) do t.equal(list[place]["n" .. i + (i % 7 == 0 and 1 or 0)], i == 5 and five[place] or i + (i % 7 == 0 and 1 or 0)) end
  end
  local other = view.open(wide(100, ',"x":1'))
  for _ = 1, 10 do t.equal(other.x, 1) end
  t.equal(list[3].x, nil)
end)

t.test("arrays walked by several at once, backward and anew", function()
  local list = view.open "[[1,2,3],[[4],[5,6]],[],[7]]"
  local seen = {}
  for _, one in ipairs(list) do
    for _, two in ipairs(list) do seen[#seen + 1] = #one * #two end
  end
  t.equal(table.concat(seen, " "), "9 6 0 3 6 4 0 2 0 0 0 0 3 2 0 1")
  for i = #list, 1, -1 do t.equal(#list[i], ({ 3, 2, 0, 1 })[i]) end
  local inner = list[2]
  t.equal(inner[2][2] + inner[1][1] + inner[2][1], 15)
  t.equal(inner[3], nil)
  t.equal(inner[2][2], 6)
  local step, same, first = ipairs(inner)
  t.equal(select("#", step(same, 2)), 0)
  t.equal(step(same, first), 1)
  t.raises(function() step("x", 0) end, "quern.view expected")
end)

t.test("ipairs stays Lua's own for everything else", function()
  local seen = {}
  for i, value in ipairs { "a", "b" } do seen[i] = value end
  t.equal(table.concat(seen, ","), "a,b")
  for _ in ipairs(setmetatable({}, { __index = function(_, i) return i < 3 and i * 2 or nil end })) do seen[#seen + 1] = "x" end
  t.equal(#seen, 4)
  for _ in ipairs(view.open('{"1":2}')) do error("an object has no elements") end
  t.equal(pcall(ipairs), false)
  t.equal(pcall(function() for _ in ipairs(nil) do error("unreached") end end), false)
end)

t.test("ipairs goes through nulls to the end", function()
  local seen = {}
  for i, value in ipairs(view.open(TEXT).list) do seen[i] = view.is_view(value) and "view" or tostring(value) end
  t.equal(table.concat(seen, " "), "10 null view s")
end)

t.test("pairs keeps the order of the text, and the last of duplicates", function()
  local names = {}
  for name, value in pairs(view.open(TEXT)) do names[#names + 1] = name .. (name == "id" and value or "") end
  t.equal(table.concat(names, " "), "name list none big id8 end ab len ")
  local sum = 0
  for i, value in pairs(view.open "[5,6,7]") do sum = sum + i * value end
  t.equal(sum, 5 + 12 + 21)
  for _ in pairs(view.open "{}") do error "nothing is there" end
  for _ in pairs(view.open "[]") do error "nothing is there" end
end)

t.test("equal means the same place", function()
  local rec = view.open '{"a":[1],"b":[1]}'
  t.ok(rec.a == rec.a)
  t.ok(rec.a ~= rec.b)
  t.ok(rec.a ~= view.open '{"a":[1],"b":[1]}'.a)
end)

t.test("text, whole and shortened", function()
  t.equal(view.raw(view.open(' [1, {"a" : 2.50}] ')[2]), '{"a" : 2.50}')
  t.equal(tostring(view.open '{"a" : 1}'), '{"a" : 1}')
  local long = tostring(view.open('["' .. ("é"):rep(500) .. '"]'))
  t.ok(#long <= 203 and utf8.len(long) and long:sub(-3) == "...")
  t.raises(function() view.raw "x" end, "quern.view expected")
end)

t.test("records are read-only", function()
  local rec = view.open "{}"
  t.raises(function() rec.a = 1 end, "records are read%-only; copy with quern%.table%(rec%)")
  t.equal(getmetatable(rec), "quern.view")
end)

t.test("a copy is plain tables", function()
  local copy = view.table(view.open '{"a":[1,{"b":null}],"c":[]}')
  t.equal(type(copy), "table")
  copy.a[1] = 2
  t.equal(json.encode(copy), '{"a":[2,{"b":null}],"c":[]}')
  t.equal(view.table(5), 5)
  t.equal(view.table(nil), nil)
end)

t.test("views keep their document", function()
  local inner
  do inner = view.open('{"a":{"b":[1,2,3]}}').a.b end
  collectgarbage()
  collectgarbage()
  t.equal(inner[3], 3)
  t.ok(json.is_array(inner))
end)

t.test("what is not JSON is refused", function()
  local rec, err = view.open "[1,"
  t.equal(rec, nil)
  t.equal(err.kind, "json")
  t.match(err.message, "^not JSON: expected a value, but the text ends at byte 3")
  t.equal(err.offset, 3)
end)

t.test("paths", function()
  local rec = view.open '{"m":[{"n":"t","v":1},{"n":"h","v":2},{"n":"t","v":3}],"k":{"x":null}}'
  local all = view.path "$.m[?@.n == 't'].v"
  t.equal(json.encode(all:select(rec)), "[1,3]")
  t.equal(all:one(rec), 1)
  t.equal(all:singular(), false)
  t.equal(view.path "$.m[1].v":one(rec), 2)
  t.equal(view.path "$.m[1].v":singular(), true)
  t.ok(view.path "$.k.x":one(rec) == json.null)
  t.equal(view.path "$.k.y":one(rec), nil)
  t.equal(view.path "$.z[*]":one(rec), nil)
  t.equal(view.path "$.v":one(rec.m[3]), 3) -- $ is the record
  t.equal(json.encode(view.path "$.z[*]":select(rec)), "[]")
  t.ok(view.is_view(view.path "$.m":one(rec)))
  local ok, err = pcall(view.path, "$.a[01]")
  t.equal(ok, false)
  t.equal(err.kind, "usage")
  t.match(err.message, "^path '%$%.a%[01%]': column 5: leading zeros are not allowed$")
end)
