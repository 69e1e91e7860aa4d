-- quern.pages: from an answer to the next request.
local t = require "harness"
local json = require "quern.json"
local pages = require "quern.pages"
local view = require "quern.core.view"

local ORIGIN = "http://h"

-- A page as a leaf gives it to a walk; the API is at ORIGIN.
local function page(fields)
  local result = { number = 1, present = true, count = 0, values = {}, headers = {}, null = json.null }
  for key, value in pairs(fields) do result[key] = value end
  result.items = result.items or result.count
  function result.resolve(link)
    if link:find "^%a+:" and link:sub(1, #ORIGIN) ~= ORIGIN then return nil, { kind = "denied" } end
    return link
  end
  function result.reach(following) return result.resolve(following.path) end
  return result
end

local request = { method = "POST", path = "/x", json = { a = 1 } }

t.test("number: the position goes into the url query, the script's request stays as it was", function()
  local walk = pages.number { size = 10, stop = "empty" }:walk(request, {})
  t.equal(walk.request.query.pageNumber, 1)
  t.equal(walk.request.query.pageSize, 10)
  t.equal(request.query, nil)
  local following = walk.next(page { count = 10 })
  t.equal(following.query.pageNumber, 2)
  t.equal(walk.next(page { count = 0 }), nil)
end)

t.test("number: or into the body at a named place", function()
  local walk = pages.number { size = 100, stop = "missing", body = "paging" }:walk(request, {})
  t.equal(walk.request.json.paging.pageNumber, 1)
  t.equal(walk.next(page { count = 0 }).json.paging.pageNumber, 2) -- an empty array is not the end here
  t.equal(walk.next(page { present = false }), nil)
  t.equal(request.json.paging, nil)
end)

t.test("number: a count ends the walk and is a promise; without it the first empty page does", function()
  local pager = pages.number { size = 10, stop = "count", count = "$.pageCount" }
  local walk = pager:walk(request, {})
  t.equal(walk.next(page { count = 10, values = { page_count = 2 } }).query.pageNumber, 2)
  t.equal(walk.next(page { count = 3, values = { page_count = 2 } }), nil)
  t.equal(walk.promised(), true)
  walk = pager:walk(request, {})
  t.equal(walk.next(page { count = 10 }).query.pageNumber, 2)
  t.equal(walk.next(page { count = 0 }), nil)
  t.equal(walk.promised(), false)
end)

t.test("number: short stops at a page that is not full", function()
  local walk = pages.number { size = 10, stop = "short" }:walk(request, {})
  t.equal(walk.next(page { count = 10 }).query.pageNumber, 2)
  t.equal(walk.next(page { count = 9 }), nil)
end)

t.test("next_link: follows until null, refuses a link seen before", function()
  local walk = pages.next_link { path = "$.next" }:walk({ path = "/x", query = { q = 1 } }, {})
  local following = walk.next(page { values = { next_link = "/x?page=2" } })
  t.equal(following.url, "/x?page=2")
  t.equal(following.query, nil)
  local again, err = walk.next(page { values = { next_link = "/x?page=2" } })
  t.equal(again, nil)
  t.equal(err.kind, "restart")
  walk = pages.next_link { path = "$.next" }:walk({ path = "/x" }, {})
  t.equal(walk.next(page { values = { next_link = nil } }), nil)
  t.equal(walk.next(page { values = { next_link = json.null } }), nil)
end)

t.test("next_link: later requests may drop the body or change the method", function()
  local walk = pages.next_link { path = "$.next", follow = { method = "GET", body = "none" } }:walk(request, {})
  local following = walk.next(page { values = { next_link = "/n" } })
  t.equal(following.json, nil)
  t.equal(following.method, "GET")
end)

t.test("number: the place in the body may be the body itself, or deep in it; what stands there stays", function()
  local given = { path = "/x", json = { q = 1, paging = { sort = "up" } } }
  local walk = pages.number { size = 5, stop = "empty", body = "paging" }:walk(given, {})
  t.equal(json.encode(walk.request.json), '{"paging":{"pageNumber":1,"pageSize":5,"sort":"up"},"q":1}')
  walk = pages.number { size = 5, stop = "empty", body = "paging.page" }:walk(given, {})
  t.equal(json.encode(walk.next(page { count = 5 }).json), '{"paging":{"page":{"pageNumber":2,"pageSize":5},"sort":"up"},"q":1}')
  walk = pages.number { size = 5, stop = "empty", body = true }:walk(given, {})
  t.equal(walk.request.json.pageNumber, 1)
  t.equal(json.encode(given.json), '{"paging":{"sort":"up"},"q":1}')
  t.raises(function() pages.number { size = 5, stop = "empty", body = "q" }:walk(given, {}) end, "'q' is no object")
  t.raises(function() pages.number { size = 5, stop = "empty", body = "q" }:walk({ path = "/x" }, {}) end, "needs a request with a json body")
end)

t.test("number: the highest count rules; a last page that is empty breaks the promise", function()
  local pager = pages.number { size = 2, stop = "count", count = "$.n" }
  local walk = pager:walk(request, {})
  for number, count in ipairs { 3, 1, 3 } do -- the second page lies low
    local following = walk.next(page { count = 2, values = { page_count = count } })
    t.equal(following and following.query.pageNumber, number < 3 and number + 1 or nil)
  end
  t.equal(select("#", walk.promised()), 1)
  walk = pager:walk(request, {})
  for _, count in ipairs { 2, 1, 0, 0 } do walk.next(page { count = count, values = { page_count = 4 } }) end
  local promised, problem = walk.promised()
  t.equal(promised, true)
  t.equal(problem.kind, "restart")
  t.match(problem.message, "promised 4 pages, and page 3 is empty")
  walk = pager:walk(request, {})
  t.equal(walk.next(page { count = 0, values = { page_count = 1 } }), nil)
  t.equal(select(2, walk.promised()), nil) -- one empty page is how many APIs say: nothing
end)

t.test("number and offset: the first page may be the only one that tells", function()
  local walk = pages.number { size = 2, stop = "count", count = "$.n" }:walk(request, {})
  t.ok(walk.next(page { count = 2, values = { page_count = 2 } }))
  t.equal(walk.next(page { count = 2 }), nil)
  t.equal(walk.promised(), true)
  walk = pages.offset { size = 2, stop = "count", total = "$.n" }:walk(request, {})
  t.ok(walk.next(page { count = 2, values = { offset_total = 3 } }))
  t.equal(walk.next(page { count = 1 }), nil)
  t.equal(walk.promised(), true)
end)

t.test("number: an absurd count ends after ten empty pages", function()
  local walk = pages.number { size = 2, stop = "count", count = "$.n" }:walk(request, {})
  local number = 0
  repeat
    number = number + 1
    local following = walk.next(page { count = number < 3 and 2 or 0, values = { page_count = 1000000000 } })
  until not following
  t.equal(number, 12)
  t.match(select(2, walk.promised()).message, "page 3 is empty")
end)

t.test("missing: a list that stays empty and never goes missing is in doubt", function()
  for _, pager in ipairs { pages.number { size = 2, stop = "missing" }, pages.offset { size = 2, stop = "missing" } } do
    local walk = pager:walk(request, {})
    t.ok(walk.next(page { count = 2 }))
    for _ = 1, 9 do t.ok(walk.next(page { count = 0 })) end
    t.equal(walk.next(page { count = 0 }), nil)
    local promised, problem = walk.promised()
    t.equal(promised, false)
    t.match(problem.message, "10 pages in a row hold an empty list")
    walk = pager:walk(request, {})
    for _ = 1, 9 do walk.next(page { count = 0 }) end
    t.equal(walk.next(page { present = false }), nil) -- the missing one is the end, however many were empty
    t.equal(select(2, walk.promised()), nil)
  end
end)

t.test("number: nonsense for a count is none", function()
  local walk = pages.number { size = 2, stop = "count", count = "$.n" }:walk(request, {})
  for _, count in ipairs { "many", -1, 1.5, json.null } do t.ok(walk.next(page { count = 1, values = { page_count = count } })) end
  t.equal(walk.next(page { count = 0 }), nil)
  t.equal(walk.promised(), false)
end)

t.test("number: records of the outermost level count", function()
  local walk = pages.number { size = 2, stop = "short" }:walk(request, {})
  t.ok(walk.next(page { count = 0, items = 2 }))
  t.ok(walk.next(page { count = 1, items = 2 }))
  t.equal(walk.next(page { count = 9, items = 1 }), nil)
end)

t.test("offset: goes on by what came, in the url query or in the body", function()
  local walk = pages.offset { size = 10, stop = "empty" }:walk(request, {})
  t.equal(walk.request.query.offset, 0)
  t.equal(walk.request.query.limit, 10)
  t.equal(walk.next(page { count = 10 }).query.offset, 10)
  t.equal(walk.next(page { count = 7 }).query.offset, 17)
  t.equal(walk.next(page { count = 0 }), nil)
  walk = pages.offset { size = 10, stop = "short", offset_name = "from", size_name = "n", body = "page", first = 1 }:walk(request, {})
  t.equal(json.encode(walk.request.json), '{"a":1,"page":{"from":1,"n":10}}')
  t.equal(walk.next(page { count = 10 }).json.page.from, 11)
  t.equal(walk.next(page { count = 9 }), nil)
  walk = pages.offset { size = 10, stop = "missing" }:walk(request, {})
  t.equal(walk.next(page { count = 0 }).query.offset, 10) -- an empty array is not the end here
  t.equal(walk.next(page { present = false }), nil)
end)

t.test("offset: a total ends the walk; one that is too high or too low breaks the promise", function()
  local pager = pages.offset { size = function(p) return p.size end, stop = "count", total = "$.total" }
  local function walked(counts, total)
    local walk = pager:walk(request, { size = 10 })
    for index, count in ipairs(counts) do
      local following = walk.next(page { count = count, values = { offset_total = type(total) == "table" and total[index] or total } })
      t.equal(following == nil, index == #counts)
    end
    local promised, problem = walk.promised()
    return promised, problem and problem.message
  end
  local promised, problem = walked({ 10, 10, 5 }, 25)
  t.equal(promised, true)
  t.equal(problem, nil)
  t.match(select(2, walked({ 10, 5, 0 }, 25)), "promised 25 records and sent 15") -- too high: ends at the empty page
  t.match(select(2, walked({ 10, 10 }, 15)), "promised 15 records and sent 20")
  t.equal(select(2, walked({ 10, 10, 5 }, { 25, 10, 25 })), nil) -- the highest rules
  t.equal(walked({ 10, 0 }, "x"), false) -- none: the empty page ends it
  t.equal(walked({ 0 }, 0), true)
end)

t.test("link_header: the link of a relation, relative or not; none is the end, a broken header an error", function()
  local walk = pages.link_header {}:walk(request, {})
  local following = walk.next(page { headers = { link = '<p0>; rel="prev", </x?page=2>; rel="next"' } })
  t.equal(following.url, "/x?page=2")
  t.equal(following.json.a, 1)
  t.equal(walk.next(page {}), nil)
  t.equal(walk.next(page { headers = { link = '<p0>; rel="prev"' } }), nil)
  local none, err = walk.next(page { headers = { link = "p3; rel=next" } })
  t.equal(none, nil)
  t.equal(err.kind, "body")
  t.match(err.message, "Link header")
  none, err = walk.next(page { headers = { link = "</x?page=2>; rel=next" } })
  t.equal(none, nil)
  t.equal(err.kind, "restart")
  none, err = walk.next(page { headers = { link = "<http://other/x>; rel=next" } })
  t.equal(none, nil)
  t.equal(err.kind, "denied")
  walk = pages.link_header { rel = "More", follow = { method = "GET", body = "none" } }:walk(request, {})
  following = walk.next(page { headers = { link = "<a>; rel=next, <b>; rel=more" } })
  t.equal(following.url, "b")
  t.equal(following.method, "GET")
  t.equal(following.json, nil)
end)

t.test("cursor: into the url query or the body; a number keeps its text; one seen before begins again", function()
  local walk = pages.cursor { path = "$.c", name = "after", size = 5 }:walk(request, {})
  t.equal(walk.request.query.pageSize, 5)
  t.equal(walk.request.query.after, nil)
  t.equal(walk.next(page { values = { cursor = "a b&" } }).query.after, "a b&")
  t.equal(walk.next(page { values = { cursor = 7 } }).query.after, "7")
  t.equal(walk.next(page { values = { cursor = json.number "12345678901234567890" } }).query.after, "12345678901234567890")
  local none, err = walk.next(page { values = { cursor = 7 } })
  t.equal(none, nil)
  t.equal(err.kind, "restart")
  t.equal(select(2, walk.next(page { values = { cursor = view.open '{"k":1}' } })).kind, "body")
  t.equal(select(2, walk.next(page { values = { cursor = true } })).kind, "body")
  for _, value in ipairs { "", json.null } do t.equal(select("#", walk.next(page { values = { cursor = value } })), 1) end
  t.equal(walk.next(page {}), nil)
  walk = pages.cursor { path = "$.c", name = "after", body = "page", stable = true }:walk(request, {})
  t.equal(json.encode(walk.request.json), '{"a":1}')
  t.equal(json.encode(walk.next(page { values = { cursor = 7 } }).json), '{"a":1,"page":{"after":7}}')
  t.equal(json.encode(walk.next(page { values = { cursor = view.open '[1,"x"]' } }).json), '{"a":1,"page":{"after":[1,"x"]}}')
  t.equal(select(2, walk.next(page { values = { cursor = view.open '[1, "x"]' } })).kind, "restart")
  t.equal(json.encode(request), '{"json":{"a":1},"method":"POST","path":"/x"}')
end)

local function custom(next, changes)
  local opts = { next = next }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return pages.custom(opts):walk({ path = "/x", headers = { A = "1" }, json = { ids = json.array { 1 } } }, { of = "p" })
end

t.test("custom: gets a copy of the request, the page and the parameters", function()
  local walk = custom(function(following, got, p)
    t.equal(got.values.last, 9)
    t.equal(got.values.total, 2)
    t.equal(got.headers.etag, "e")
    t.equal(got.number, 3)
    t.equal(got.present, true)
    t.equal(got.view, nil)
    following.query = { after = got.values.last, of = p.of }
    following.json.ids[1] = 2
    return following
  end, { facts = { last = "$.last", total = "$.total" } })
  local first = walk.request
  local following = walk.next(page { number = 3, headers = { etag = "e" }, values = { ["fact.last"] = 9, ["fact.total"] = 2, total = 5 } })
  t.equal(following.query.of, "p")
  t.equal(json.encode(first.json), '{"ids":[1]}')
  t.equal(walk.promised(), nil)
  t.equal(custom(function() end).next(page {}), nil)
end)

t.test("custom: no other headers, no other origin, nothing sent twice", function()
  local function fails(change, pattern)
    t.raises(function() custom(change).next(page {}) end, pattern)
  end
  fails(function(r) r.headers.A = "2"; return r end, "changed the headers")
  fails(function(r) r.headers = nil; return r end, "changed the headers")
  fails(function(r) r.headers.B = "2"; return r end, "changed the headers")
  fails(function(r) r.path = nil; return r end, "without path and url")
  fails(function() return "/next" end, "must return a request %(a table%) or nil, not a string")
  fails(function() error("no luck", 0) end, "no luck")
  for _, place in ipairs { "url", "path" } do
    local none, err = custom(function(r) r[place] = "http://other/x"; return r end).next(page {})
    t.equal(none, nil)
    t.equal(err.kind, "denied")
  end
  local none, err = custom(function(r) return r end).next(page { number = 1 })
  t.equal(none, nil)
  t.equal(err.kind, "restart")
  local walk = custom(function(r) r.safe = true; r.query = { n = 1 }; return r end)
  t.equal(walk.next(page {}).safe, nil)
  t.equal(select(2, walk.next(page {})).kind, "restart")
end)

t.test("options are checked, and a near name is suggested", function()
  t.raises(function() pages.number { size = 1, stop = "emty" } end, "did you mean 'empty'")
  t.raises(function() pages.number { size = 0, stop = "empty" }:walk(request, {}) end, "must be a whole number from 1, not 0")
  t.raises(function() pages.offset { size = 1, stop = "count" } end, "needs the option 'total'")
  t.raises(function() pages.offset { size = 1, stop = "empty", ofset_name = "x" } end, "did you mean 'offset_name'")
  t.raises(function() pages.offset { stop = "empty" } end, "needs the option 'size'")
  t.raises(function() pages.cursor { path = "$.c" } end, "needs the option 'name'")
  t.raises(function() pages.link_header { folow = {} } end, "did you mean 'follow'")
  t.raises(function() pages.link_header { rel = " " } end, "rel is empty")
  t.raises(function() pages.link_header { follow = { body = "some" } } end, "'same' or 'none'")
  t.raises(function() pages.custom {} end, "needs the option 'next'")
  t.raises(function() pages.custom { next = print, facts = { "$.a" } } end, "names and JSONPaths")
  t.raises(function() return pages.offst end, "did you mean 'offset'")
end)
