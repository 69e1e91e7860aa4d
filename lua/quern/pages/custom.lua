--- Walks whose next request a script makes. What it answers is checked: a pager changes neither headers nor origin.
local errors = require "quern.core.error"
local secrets = require "quern.core.secret"
local place = require "quern.pages.place"

local M = {}

-- The name of the fact that is the whole page; scripts' facts have FACT in front.
local VIEW, FACT = "page", "fact."

--- The paths that the workers read from a page for it.
---@param facts table<string, string>?
---@param with_view boolean?
---@return table<string, string>
function M.facts(facts, with_view)
  local paths = { [VIEW] = with_view and "$" or nil }
  for name, path in pairs(facts or {}) do paths[FACT .. name] = path end
  return paths
end

local function same(a, b)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" or secrets.is(a) or secrets.is(b) then return false end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function misuse(format, ...)
  error(errors.new("script", "quern.pages.custom: " .. format:format(...), { exit = 1 }), 0)
end

-- What a script sees of a page.
local function shown(page, facts)
  local values = {}
  for name in pairs(facts or {}) do values[name] = page.values[FACT .. name] end
  return { number = page.number, count = page.count, present = page.present, headers = page.headers, values = values,
           view = page.values[VIEW] }
end

-- The request that the script answered, safe to send: or nil, err.
local function checked(following, before, page)
  if type(following) ~= "table" then
    misuse("next must return a request (a table) or nil, not a %s", type(following))
  end
  if not same(following.headers or {}, before.headers or {}) then
    misuse("next changed the headers of the request; they are the first request's, always")
  end
  if not following.url and not following.path then misuse("next returned a request without path and url") end
  following = place.copy(following)
  if following.url ~= nil then
    local url, err = page.resolve(tostring(following.url))
    if not url then return nil, err end
    following.url = url
  else
    local url, err = page.reach(following)
    if not url then return nil, err end
  end
  following.safe = before.safe
  return following
end

---@param pager table
---@param request quern.Request
---@param p table
---@return table walk
function M.walk(pager, request, p)
  local walk = { request = place.copy(request) }
  local fingerprint = require "quern.fingerprint" -- here: a worker, which makes pagers too, does not have all that it needs
  local seen = {}
  local function repeats(following)
    local hash = fingerprint.of(following)
    if not hash then return false end
    local before = seen[hash]
    seen[hash] = true
    return before
  end
  repeats(walk.request)

  function walk.next(page)
    local following = pager.next(place.copy(walk.request), shown(page, pager.names), p)
    if following == nil then return nil end
    local err
    following, err = checked(following, walk.request, page)
    if not following then return nil, err end
    if repeats(following) then
      return nil, errors.new("restart", ("the request after page %d was sent before in this walk"):format(page.number))
    end
    walk.request = following
    return following
  end
  function walk.promised() return nil end
  return walk
end

return M
