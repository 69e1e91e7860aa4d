--- Walks that count: page numbers and offsets.
---
--- What the API says of the number of pages, or of records, is a promise. The walk goes by the highest that one of its pages gave;
--- a promise that is not kept is told at the end, as the second value of `promised`.
local errors = require "quern.core.error"
local place = require "quern.pages.place"

local M = {}

local MAX_EMPTY = 10 -- empty pages in a row after which a walk ends, whatever the API promises

local function doubt(format, ...)
  return errors.new("restart", format:format(...), { counted = true })
end

-- A count that an answer gives; nonsense is none.
local function count_of(value)
  local count = math.tointeger(value)
  return count and count >= 0 and count or nil
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
  local walk = { request = place.copy(request) }

  local function put(target)
    place.put(target, pager.body, { [pager.size_name] = size, [pager.number_name] = pager.first + read }, where)
  end

  local function done(page)
    local count = pager.stop == "count" and count_of(page.values.page_count)
    if not count then
      walk.by_count = false
      return ended(pager.stop, size, page)
    end
    walk.by_count, promised = true, math.max(promised or 0, count)
    return read >= promised or empty >= MAX_EMPTY
  end

  put(walk.request)
  function walk.next(page)
    read, empty = read + 1, page.items == 0 and empty + 1 or 0
    if done(page) then return nil end
    walk.request = place.copy(walk.request)
    put(walk.request)
    return walk.request
  end

  function walk.promised()
    if not walk.by_count then return walk.by_count end
    if empty == 0 or promised <= 1 then return true end
    return true, doubt("the API promised %d pages, and page %d is empty; where that is its habit, take stop = \"empty\"",
      promised, read - empty + 1)
  end
  return walk
end

---@param pager table
---@param request quern.Request
---@param p table
---@return table walk
function M.offset(pager, request, p)
  local where, size = "quern.pages.offset", place.size(pager.size, p, "quern.pages.offset")
  local offset, read, promised = pager.first, 0, nil -- read: records of the walk; promised: their number
  local walk = { request = place.copy(request) }

  local function put(target)
    place.put(target, pager.body, { [pager.size_name] = size, [pager.offset_name] = offset }, where)
  end

  local function done(page)
    local total = pager.stop == "count" and count_of(page.values.offset_total)
    if not total then
      walk.by_count = false
      return ended(pager.stop, size, page)
    end
    walk.by_count, promised = true, math.max(promised or 0, total)
    return read >= promised or page.items == 0
  end

  put(walk.request)
  function walk.next(page)
    read = read + page.items
    if done(page) then return nil end
    -- By what came, not by what was asked for: an API may send fewer than `size` and have more.
    offset = offset + (page.items > 0 and page.items or size)
    walk.request = place.copy(walk.request)
    put(walk.request)
    return walk.request
  end

  function walk.promised()
    if not walk.by_count or read == promised then return walk.by_count end
    return true, doubt("the API promised %d records and sent %d", promised, read)
  end
  return walk
end

return M
