--- Walks by a cursor of the answer that goes into the next request.
local errors = require "quern.core.error"
local json = require "quern.core.json"
local view = require "quern.core.view"
local place = require "quern.pages.place"

local M = {}

-- A cursor as it goes into the next request, and its text; nothing for what is none. Into a body it goes as it came, so there it
-- may be an object or a list, too.
local function read(value, in_body)
  if type(value) == "string" then return value, value end
  if type(value) == "number" or getmetatable(value) == "quern.number" then
    local text = json.encode(value)
    return in_body and value or text, text
  end
  if in_body and view.is_view(value) then return view.table(value), json.canonical(value) end
end

---@param pager table
---@param request quern.Request
---@param p table
---@return table walk
function M.walk(pager, request, p)
  local walk = { request = place.copy(request) }
  local seen, size = {}, pager.size and place.size(pager.size, p, "quern.pages.cursor")
  local function put(target, cursor)
    place.put(target, pager.body, { [pager.name] = cursor, [pager.size_name] = size or nil }, "quern.pages.cursor")
  end
  if size then put(walk.request, nil) end

  function walk.next(page)
    local value = page.values.cursor
    if value == nil or value == page.null or value == "" then return nil end
    local cursor, text = read(value, pager.body)
    if not cursor then
      return nil, errors.new("body", ("the cursor at %s is a %s, neither a text nor a number"):format(pager.path, type(value)))
    end
    if seen[text] then return nil, errors.new("restart", "the cursor of a page was seen before in this walk") end
    seen[text] = true
    local following = place.copy(walk.request)
    put(following, cursor)
    walk.request = following
    return following
  end
  function walk.promised() return nil end
  return walk
end

return M
