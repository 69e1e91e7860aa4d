--- Pagers: from an answer to the next request of a leaf.
---
--- A pager works on a copy of the leaf's request. It may change the URL, the url query, the body at a named place, and the
--- method or body of later pages; never headers, never the origin. Each pager names its stop rule:
---
--- | stop | the walk ends when |
--- | --- | --- |
--- | `count` | the page number reaches the count that the answer gives (`count` path); an answer without it falls back to `empty`, and the run's `counted` is then "not promised" |
--- | `missing` | the answer has no records member at all |
--- | `empty` | the answer holds no record |
--- | `short` | the answer holds fewer records than `size` |
--- | `link` | the answer holds no next link |
local errors = require "quern.core.error"
local options = require "quern.options"

local M = {}

---@class quern.Pager  opaque: what the functions of quern.pages give
---@field kind string
---@field facts table<string, string>  JSONPaths of what the pager reads from a page
---@field max? integer  pages a leaf; more is an error that names the bound
---@field missing_ok boolean  an answer without the records member is the end, not a fault
local meta = { __name = "quern.pager" }

local MAX_PAGES = 100000

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then return value end
  local result = {}
  for key, item in pairs(value) do result[key] = copy(item) end
  return result
end

--- A copy of a request that a pager may change.
---@param request table
---@return table
M.copy = copy

local function resolved(value, p)
  if type(value) == "function" then return value(p) end
  return value
end

--- One answer a leaf. The default.
---@return quern.Pager
function M.none()
  return setmetatable({
    kind = "none", facts = {}, missing_ok = false,
    walk = function(_, request)
      return { request = copy(request), next = function() return nil end, promised = function() return nil end }
    end,
  }, meta)
end

local STOPS = { count = true, missing = true, empty = true, short = true }

local function put_number(pager, request, size, number)
  if pager.body then
    if type(request.json) ~= "table" then
      error("quern.pages.number: body paging needs a request with a json body", 0)
    end
    request.json[pager.body] = { [pager.size_name] = size, [pager.number_name] = number }
  else
    request.query = request.query or {}
    request.query[pager.size_name] = size
    request.query[pager.number_name] = number
  end
end

local function number_done(pager, number, size, page)
  local count = math.tointeger(page.values.page_count)
  if pager.stop == "count" and count then return number >= count, true end
  if pager.stop == "missing" then return not page.present, false end
  if pager.stop == "short" then return page.count < size, false end
  return page.count == 0, false
end

--- Page numbers, in the url query or in the body.
---@param opts { size: integer|fun(p: table): integer, stop: "count"|"missing"|"empty"|"short", count?: string, body?: string, size_name?: string, number_name?: string, first?: integer, max?: integer|fun(p: table): integer }
---  `size`: records a page; `stop`: the stop rule, see above; `count`: path of the number of pages; `body`: the body member that
---  holds both (absent: they go into the url query); `size_name`, `number_name`: their names there; `first`: the first page's
---  number; `max`: the bound of pages a leaf (100000)
---@return quern.Pager
function M.number(opts)
  local pager = options.check("quern.pages.number", opts, {
    size = { type = "integer|function", required = true },
    stop = { type = "string", required = true },
    count = "string", body = "string",
    size_name = { type = "string", default = "pageSize" },
    number_name = { type = "string", default = "pageNumber" },
    first = { type = "integer", default = 1 },
    max = "integer|function",
  })
  if not STOPS[pager.stop] then
    error(("quern.pages.number: stop '%s' is not one of count, missing, empty, short"):format(pager.stop), 2)
  end
  if pager.stop == "count" and not pager.count then
    error("quern.pages.number: stop 'count' needs the option 'count', the path of the number of pages", 2)
  end
  pager.kind = "number"
  pager.missing_ok = pager.stop == "missing"
  pager.facts = { page_count = pager.count }
  function pager:walk(request, p)
    local size = resolved(self.size, p)
    local number, promised = self.first, nil
    local walk = { max = resolved(self.max, p) or MAX_PAGES, request = copy(request) }
    put_number(self, walk.request, size, number)
    function walk.next(page)
      local done, by_count = number_done(self, number - self.first + 1, size, page)
      if self.stop == "count" then promised = by_count end
      if done then return nil end
      number = number + 1
      local following = copy(walk.request)
      put_number(self, following, size, number)
      walk.request = following
      return following
    end
    function walk.promised() return promised end
    return walk
  end
  return setmetatable(pager, meta)
end

--- A link to the next page in the body: absolute, or relative to the current page's URL.
---@param opts { path: string, follow?: { method?: string, body?: "same"|"none" }, max?: integer|fun(p: table): integer }
---  `path`: JSONPath of the link; null, empty or absent ends the walk; `follow`: later requests, the same again by default;
---  `method`: of later requests; `body`: "none" leaves the body out of later requests; `max`: the bound of pages a leaf (100000)
---@return quern.Pager
function M.next_link(opts)
  local pager = options.check("quern.pages.next_link", opts, {
    path = { type = "string", required = true },
    follow = "table",
    max = "integer|function",
  })
  local follow = options.check("quern.pages.next_link follow", pager.follow, {
    method = "string", body = { type = "string", default = "same" },
  })
  if follow.body ~= "same" and follow.body ~= "none" then
    error(("quern.pages.next_link: follow.body is 'same' or 'none', not '%s'"):format(follow.body), 2)
  end
  pager.kind = "link"
  pager.missing_ok = false
  pager.facts = { next_link = pager.path }
  function pager:walk(request, p)
    local walk = { max = resolved(self.max, p) or MAX_PAGES, request = copy(request) }
    local seen = {}
    function walk.next(page)
      local link = page.values.next_link
      if link == nil or link == page.null or link == "" then return nil end
      if type(link) ~= "string" then
        return nil, errors.new("body", ("the next link at %s is a %s, not a text"):format(self.path, type(link)))
      end
      local url, err = page.resolve(link)
      if not url then return nil, err end
      if seen[url] then
        return nil, errors.new("restart", ("the next link %s was seen before in this walk"):format(link))
      end
      seen[url] = true
      local following = copy(walk.request)
      following.url, following.path, following.query = url, nil, nil
      following.method = follow.method or following.method
      if follow.body == "none" then following.json, following.form, following.body = nil, nil, nil end
      walk.request = following
      return following
    end
    function walk.promised() return nil end
    return walk
  end
  return setmetatable(pager, meta)
end

---@class quern.CursorOptions
---@field path string  JSONPath of the cursor, a text or a whole number; null, empty or absent ends the walk
---@field name string  its name in the url query, or in the body
---@field body? boolean  it goes into the JSON body instead of the url query
---@field size? integer|fun(p: table): integer  records a page, sent beside it
---@field size_name? string  the name of that
---@field max? integer|fun(p: table): integer  bound of pages a leaf (default 100000)
---@field stable? boolean  the same cursor gives the same page later on, as with the results of a job

--- A cursor in the answer that goes into the next request.
---@param opts quern.CursorOptions
---@return quern.Pager
function M.cursor(opts)
  local pager = options.check("quern.pages.cursor", opts, {
    path = { type = "string", required = true }, name = { type = "string", required = true },
    body = "boolean", size = "integer|function", size_name = { type = "string", default = "pageSize" },
    max = "integer|function", stable = "boolean",
  })
  pager.kind = "cursor"
  pager.missing_ok = false
  pager.facts = { cursor = pager.path }
  function pager:walk(request, p)
    local walk = { max = resolved(self.max, p) or MAX_PAGES, request = copy(request) }
    local seen, size = {}, resolved(self.size, p)
    local function put(target, cursor)
      local place
      if self.body then
        if type(target.json) ~= "table" then error("quern.pages.cursor: body = true needs a request with a json body", 0) end
        place = target.json
      else
        target.query = target.query or {}
        place = target.query
      end
      place[self.name] = cursor
      if size then place[self.size_name] = size end
    end
    if size then put(walk.request, nil) end
    function walk.next(page)
      local cursor = page.values.cursor
      if cursor == nil or cursor == page.null or cursor == "" then return nil end
      if type(cursor) ~= "string" and math.type(cursor) ~= "integer" then
        return nil, errors.new("body", ("the cursor at %s is a %s, not a text"):format(self.path, type(cursor)))
      end
      if seen[cursor] then return nil, errors.new("restart", "the cursor of a page was seen before in this walk") end
      seen[cursor] = true
      local following = copy(walk.request)
      put(following, cursor)
      walk.request = following
      return following
    end
    function walk.promised() return nil end
    return walk
  end
  return setmetatable(pager, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return options.strict("quern.pages", M, { is = true, copy = true })
