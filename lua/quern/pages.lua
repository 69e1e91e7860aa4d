--- Pagers: from an answer to the next request of a leaf.
---
--- A pager works on a copy of the leaf's request. It may change the URL, the url query, the body at a named place, and the
--- method or body of later pages; never headers, never the origin. `number` and `offset` name their stop rule:
---
--- | stop | the walk ends when |
--- | --- | --- |
--- | `count` | the promised pages (`count`) or records (`total`) are read; without a promise as `empty`, and "not promised" |
--- | `missing` | the answer has no records member at all |
--- | `empty` | the answer holds no record |
--- | `short` | the answer holds fewer records than `size` |
---
--- Where `records` has levels, those of the outermost level count. Any pager takes `max`, the bound of pages a leaf: a walk that
--- reaches it keeps its rows, and the leaf is a hole. A link, cursor, request or page that was seen before in the walk begins the
--- leaf again, once; then it is a hole.
local custom = require "quern.pages.custom"
local options = require "quern.options"
local place = require "quern.pages.place"

local M = {}

---@class quern.Pager  opaque: what the functions of quern.pages give
---@field kind string
---@field facts table<string, string>  JSONPaths of what the pager reads from a page
---@field max? integer  pages a leaf; more is an error that names the bound
---@field missing_ok boolean  an answer without the records member is the end, not a fault
---@field walk fun(self: quern.Pager, request: table, p: table): table  a walk: request, max, next(page), promised()
local meta = { __name = "quern.pager" }

local MAX_PAGES = 100000
local STOPS = { count = true, missing = true, empty = true, short = true }

--- A copy of a request that a pager may change.
---@param request table
---@return table
M.copy = place.copy

-- A pager of a kind, whose walks are made by a function of a module. Loaded when a walk begins: workers need no walks.
local function pager_of(pager, kind, facts, module, name)
  pager.kind, pager.facts, pager.missing_ok = kind, facts, pager.stop == "missing" or pager.missing == true
  function pager:walk(request, p)
    local walk = require(module)[name](self, request, p)
    walk.max = place.resolved(self.max, p) or MAX_PAGES
    return walk
  end
  return setmetatable(pager, meta)
end

local function check_stop(where, pager, needed, what)
  if not STOPS[pager.stop] then
    local near = options.nearest(pager.stop, STOPS)
    error(("%s: stop '%s' is not one of count, empty, missing, short%s"):format(where, pager.stop,
      near and ("; did you mean '%s'?"):format(near) or ""), 3)
  end
  if pager.stop == "count" and not pager[needed] then
    error(("%s: stop 'count' needs the option '%s', the path of the number of %s"):format(where, needed, what), 3)
  end
end

local function check_follow(where, follow)
  if follow.body ~= "same" and follow.body ~= "none" then
    error(("%s: follow.body is 'same' or 'none', not '%s'"):format(where, follow.body), 3)
  end
  return follow
end

--- One answer a leaf. The default.
---@return quern.Pager
function M.none()
  return setmetatable({
    kind = "none", facts = {}, missing_ok = false,
    walk = function(_, request)
      return { request = place.copy(request), next = function() return nil end, promised = function() return nil end }
    end,
  }, meta)
end

---@class quern.PageNumberOptions
---@field size integer|fun(p: table): integer  records a page
---@field stop "count"|"missing"|"empty"|"short"  the stop rule, see above
---@field count? string  JSONPath of the number of pages, for `stop = "count"`
---@field body? string|true  the JSON body's member that holds both ("paging", or "paging.page" for one within another); true: the
---  body itself; absent: they go into the url query
---@field size_name? string  the size's name there
---@field number_name? string  the number's name there
---@field first? integer  the first page's number
---@field max? integer|fun(p: table): integer  bound of pages a leaf (default 100000)
---@field stable? boolean  a page stays the same, so that a walk may be resumed in its middle, as with the results of a job

--- Page numbers, in the url query or in the body.
---@param opts quern.PageNumberOptions
---@return quern.Pager
function M.number(opts)
  local pager = options.check("quern.pages.number", opts, {
    size = { type = "integer|function", required = true }, stop = { type = "string", required = true }, count = "string",
    body = "string|boolean", size_name = { type = "string", default = "pageSize" },
    number_name = { type = "string", default = "pageNumber" }, first = { type = "integer", default = 1 },
    max = "integer|function", stable = "boolean",
  })
  check_stop("quern.pages.number", pager, "count", "pages")
  return pager_of(pager, "number", { page_count = pager.count }, "quern.pages.counted", "number")
end

---@class quern.PageOffsetOptions
---@field size integer|fun(p: table): integer  records a page
---@field stop "count"|"missing"|"empty"|"short"  the stop rule, see above
---@field total? string  JSONPath of the number of records of the whole leaf, for `stop = "count"`
---@field body? string|true  the JSON body's member that holds both ("paging", or "paging.page" for one within another); true: the
---  body itself; absent: they go into the url query
---@field offset_name? string  the offset's name there
---@field size_name? string  the size's name there
---@field first? integer  the first page's offset
---@field max? integer|fun(p: table): integer  bound of pages a leaf (default 100000)
---@field stable? boolean  a page stays the same, so that a walk may be resumed in its middle, as with the results of a job

--- Offsets: how many records to pass over. The next one is the last plus the records that came, so an API may send fewer than
--- `size`.
---@param opts quern.PageOffsetOptions
---@return quern.Pager
function M.offset(opts)
  local pager = options.check("quern.pages.offset", opts, {
    size = { type = "integer|function", required = true }, stop = { type = "string", required = true }, total = "string",
    body = "string|boolean", offset_name = { type = "string", default = "offset" },
    size_name = { type = "string", default = "limit" }, first = { type = "integer", default = 0 }, max = "integer|function", stable = "boolean",
  })
  check_stop("quern.pages.offset", pager, "total", "records")
  return pager_of(pager, "offset", { offset_total = pager.total }, "quern.pages.counted", "offset")
end

--- A link to the next page in the body: absolute, or relative to the current page's URL.
---@param opts { path: string, follow?: { method?: string, body?: "same"|"none" }, max?: integer|fun(p: table): integer, stable?: boolean }
---  `path`: JSONPath of the link; null, empty or absent ends the walk; `follow`: later requests, the same again by default;
---  `method`: of later requests; `body`: "none" leaves the body out of later requests; `max`: the bound of pages a leaf (100000);
---  `stable`: a page stays the same, so that a walk may be resumed in its middle
---@return quern.Pager
function M.next_link(opts)
  local pager = options.check("quern.pages.next_link", opts, {
    path = { type = "string", required = true }, follow = "table", max = "integer|function", stable = "boolean",
  })
  pager.follow = check_follow("quern.pages.next_link", options.check("quern.pages.next_link follow", pager.follow, {
    method = "string", body = { type = "string", default = "same" },
  }))
  return pager_of(pager, "link", { next_link = pager.path }, "quern.pages.linked", "next_link")
end

--- A link to the next page in the Link header (RFC 8288), as GitHub has it. An answer without such a link is the last one; a
--- header that cannot be read fails the leaf.
---@param opts? { rel?: string, follow?: { method?: string, body?: "same"|"none" }, max?: integer|fun(p: table): integer, stable?: boolean }
---  `rel`: the relation type of the link; `follow`: later requests, the same again by default;
---  `method`: of later requests; `body`: "none" leaves the body out of later requests; `max`: the bound of pages a leaf (100000);
---  `stable`: a page stays the same, so that a walk may be resumed in its middle
---@return quern.Pager
function M.link_header(opts)
  local pager = options.check("quern.pages.link_header", opts, {
    rel = { type = "string", default = "next" }, follow = "table", max = "integer|function", stable = "boolean",
  })
  if pager.rel:find "^%s*$" then error("quern.pages.link_header: rel is empty; it is a relation type such as \"next\"", 2) end
  pager.follow = check_follow("quern.pages.link_header", options.check("quern.pages.link_header follow", pager.follow, {
    method = "string", body = { type = "string", default = "same" },
  }))
  return pager_of(pager, "link_header", {}, "quern.pages.linked", "link_header")
end

---@class quern.CursorOptions
---@field path string  JSONPath of the cursor, a text or a number (in a body anything); null, empty or absent ends the walk
---@field name string  its name in the url query, or in the body
---@field body? string|true  the JSON body's member that it goes into ("paging", or "paging.page" for one within another);
---  true: the body itself; absent: it goes into the url query, encoded
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
    body = "string|boolean", size = "integer|function", size_name = { type = "string", default = "pageSize" },
    max = "integer|function", stable = "boolean",
  })
  return pager_of(pager, "cursor", { cursor = pager.path }, "quern.pages.cursor", "walk")
end

---@class quern.PageOfCustom
---@field number integer  of the page in its leaf, from 1
---@field count integer  records of the page
---@field present boolean  false: the answer has no records member at all
---@field values table<string, any>  what the paths of `facts` name; nil where there is nothing
---@field headers table<string, string>  lower-case names; repeated ones joined with ", "
---@field view any  the whole answer, read in place, if `view = true`; usable in this call only

---@class quern.CustomOptions
---@field next fun(request: quern.Request, page: quern.PageOfCustom, p: table): quern.Request?  the next request, made of a
---  copy of the last one, or nil at the end. It runs on the main state and may wait
---@field facts? table<string, string>  JSONPaths of what it reads, by name; each names one place
---@field view? boolean  it gets the whole answer as `page.view`
---@field missing? boolean  an answer without the records member goes to it, too, instead of being asked for again
---@field max? integer|fun(p: table): integer  bound of pages a leaf (default 100000)
---@field stable? boolean  the same request gives the same page later on, as with the results of a job

--- A pager of one's own. It may change everything of the request but its headers, its origin and `safe`; a `url` is taken relative
--- to the page's own. A request that was sent before in the walk begins the leaf again, once.
---
---     pages = quern.pages.custom {
---       facts = { last = "$.items[-1].id" },
---       next = function(request, page)
---         if page.count == 0 then return nil end
---         request.query = { after = page.values.last }
---         return request
---       end,
---     }
---@param opts quern.CustomOptions
---@return quern.Pager
function M.custom(opts)
  local pager = options.check("quern.pages.custom", opts, {
    next = { type = "function", required = true }, facts = "table", view = "boolean", missing = "boolean",
    max = "integer|function", stable = "boolean",
  })
  for name, path in pairs(pager.facts or {}) do
    if type(name) ~= "string" or type(path) ~= "string" then
      error("quern.pages.custom: facts is a table of names and JSONPaths, such as { last = \"$.items[-1].id\" }", 2)
    end
  end
  pager.names = pager.facts
  return pager_of(pager, "custom", custom.facts(pager.names, pager.view), "quern.pages.custom", "walk")
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return options.strict("quern.pages", M, { is = true, copy = true })
