-- quern.pages: from an answer to the next request.
local t = require "harness"
local pages = require "quern.pages"

local function page(fields)
  local result = { number = 1, present = true, count = 0, values = {}, null = false, resolve = function(link) return link end }
  for key, value in pairs(fields) do result[key] = value end
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
  t.equal(walk.next(page { values = { next_link = false }, null = false }), nil)
end)

t.test("next_link: later requests may drop the body or change the method", function()
  local walk = pages.next_link { path = "$.next", follow = { method = "GET", body = "none" } }:walk(request, {})
  local following = walk.next(page { values = { next_link = "/n" } })
  t.equal(following.json, nil)
  t.equal(following.method, "GET")
end)
