--- Walks along links: in the body, or in the Link header (RFC 8288).
local errors = require "quern.core.error"
local header = require "quern.core.header"
local place = require "quern.pages.place"

local M = {}

-- A walk along the links that `find(page)` gives: a text, nothing at the end, or nil, err.
local function walk_along(pager, request, find)
  local walk = { request = place.copy(request) }
  local seen, follow = {}, pager.follow
  function walk.next(page)
    local link, err = find(page)
    if not link then return nil, err end
    local url
    url, err = page.resolve(link)
    if not url then return nil, err end
    if seen[url] then
      return nil, errors.new("restart", ("the next link %s was seen before in this walk"):format(link))
    end
    seen[url] = true
    local following = place.copy(walk.request)
    following.url, following.path, following.query = url, nil, nil
    following.method = follow.method or following.method
    if follow.body == "none" then following.json, following.form, following.body = nil, nil, nil end
    walk.request = following
    return following
  end
  function walk.promised() return nil end
  return walk
end

---@param pager table
---@param request quern.Request
---@return table walk
function M.next_link(pager, request)
  return walk_along(pager, request, function(page)
    local link = page.values.next_link
    if link == nil or link == page.null or link == "" then return nil end
    if type(link) ~= "string" then
      return nil, errors.new("body", ("the next link at %s is a %s, not a text"):format(pager.path, type(link)))
    end
    return link
  end)
end

---@param pager table
---@param request quern.Request
---@return table walk
function M.link_header(pager, request)
  return walk_along(pager, request, function(page)
    local value = page.headers.link
    if not value then return nil end
    return header.link(value, pager.rel)
  end)
end

return M
