--- Walks that count: page numbers and offsets.
---
--- What the API says of the number of pages, or of records, is a promise. The walk goes by the highest that one of its pages gave;
--- a promise that is not kept is told at the end, as the second value of `promised`.
local errors = require "quern.core.error"
local place = require "quern.pages.place"

local M = {}

local MAX_EMPTY = 10 -- empty pages in a row after which a walk ends, whatever the API promises
local ALL_EMPTY = "10 pages in a row hold an empty list, and the list does not go missing; where that is the end, take stop = \"empty\""

local function doubt(format, ...)
  return errors.new("restart", format:format(...), { counted = true })
end

-- The highest count so far: of a page, if it gives one (nonsense is none), and of those before it.
local function highest(promised, value)
  local count = math.tointeger(value)
  if not count or count < 0 then return promised end
  return math.max(promised or 0, count)
end

-- Has the walk ended, by the rules that need no count?
local function ended(stop, size, page)
  if stop == "missing" then return not page.present end
  if stop == "short" then return page.items < size end
  return page.items == 0
end

---@param pager table
---@param request quern.Request
---@param p table
---@return table walk
function M.number(pager, request, p)
  local where, size = "quern.pages.number", place.size(pager.size, p, "quern.pages.number")
  local read, empty, promised = 0, 0, nil -- pages read, empty ones at the end, the number of pages
  local stuck = false
  local walk = { request = place.copy(request) }

  local function put(target)
    place.put(target, pager.body, { [pager.size_name] = size, [pager.number_name] = pager.first + read }, where)
  end

  local function done(page)
    promised = highest(promised, pager.stop == "count" and page.values.page_count)
    if not promised then return ended(pager.stop, size, page) end
    return read >= promised
  end

  put(walk.request)
  function walk.next(page)
    read, empty = read + 1, page.items == 0 and empty + 1 or 0
    if done(page) then return nil end
    stuck = empty >= MAX_EMPTY
    if stuck then return nil end
    walk.request = place.copy(walk.request)
    put(walk.request)
    return walk.request
  end

  function walk.promised()
    if not promised then return false, stuck and doubt(ALL_EMPTY) or nil end
    if empty == 0 or promised <= 1 then return true end
    local err = doubt("the API promised %d pages, and page %d is empty; where that is its habit, take stop = \"empty\"",
      promised, read - empty + 1)
    err.habit = read >= promised -- all pages were read: if it happens again, it is the count that is wrong
    return true, err
  end
  return walk
end

---@param pager table
---@param request quern.Request
---@param p table
---@return table walk
function M.offset(pager, request, p)
  local where, size = "quern.pages.offset", place.size(pager.size, p, "quern.pages.offset")
  local offset, read, empty, promised = pager.first, 0, 0, nil -- records read, empty pages at the end, the number of records
  local stuck = false
  local walk = { request = place.copy(request) }

  local function put(target)
    place.put(target, pager.body, { [pager.size_name] = size, [pager.offset_name] = offset }, where)
  end

  local function done(page)
    promised = highest(promised, pager.stop == "count" and page.values.offset_total)
    if not promised then return ended(pager.stop, size, page) end
    return read >= promised or page.items == 0
  end

  put(walk.request)
  function walk.next(page)
    read, empty = read + page.items, page.items == 0 and empty + 1 or 0
    if done(page) then return nil end
    stuck = empty >= MAX_EMPTY
    if stuck then return nil end
    -- By what came, not by what was asked for: an API may send fewer than `size` and have more.
    offset = offset + (page.items > 0 and page.items or size)
    walk.request = place.copy(walk.request)
    put(walk.request)
    return walk.request
  end

  function walk.promised()
    if not promised then return false, stuck and doubt(ALL_EMPTY) or nil end
    if read == promised then return true end
    return true, doubt("the API promised %d records and sent %d", promised, read)
  end
  return walk
end

return M
