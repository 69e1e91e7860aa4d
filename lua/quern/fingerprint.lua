--- What a request asks, as a hash that is the same in every run: for the audit.
---
--- It is the SHA-256 of a JSON text with sorted members: `method`, `path` (as the query gives it, without the base URL), `query`
--- (name and value pairs, sorted by name) and `body` where there is one. Headers, what a pager adds and the URL of a webhook are not
--- part of it; a secret counts as "[secret]".
local hash = require "quern.core.hash"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local grant = require "quern.grant"
local options = require "quern.options"

local M = {}

local SECRET = "[secret]"

local function unescaped(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The value with secrets masked and variables in their place.
local function plain(value)
  value = grant.must(value)
  if secrets.is(value) then return SECRET end
  if type(value) ~= "table" or (getmetatable(value) and not json.is_array(value)) then return value end
  local copy = json.is_array(value) and json.array {} or {}
  for key, item in pairs(value) do copy[key] = plain(item) end
  return copy
end

local function add(list, name, value)
  list[#list + 1] = { at = #list, json.array { name, tostring(plain(value)) } }
end

-- Pairs of the URL's own text and of the request's table, sorted by name; those of one name in their order.
local function query_of(text, query)
  local list = {}
  for pair in text:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    add(list, unescaped(name), unescaped(value))
  end
  for _, name in ipairs(options.names(query or {})) do
    local value = query[name]
    local many = type(value) == "table" and (not getmetatable(value) or json.is_array(value))
    for _, item in ipairs(many and value or { value }) do add(list, name, item) end
  end
  table.sort(list, function(a, b)
    if a[1][1] ~= b[1][1] then return a[1][1] < b[1][1] end
    return a.at < b.at
  end)
  local pairs_list = json.array {}
  for index, entry in ipairs(list) do pairs_list[index] = entry[1] end
  return pairs_list
end

local function body_of(request)
  if request.json ~= nil then return plain(request.json) end
  if request.form then return query_of("", request.form) end
  if request.body == nil then return nil end
  return secrets.is(request.body) and SECRET or tostring(request.body)
end

--- The canonical text of a request.
---@param request quern.Request
---@return string
function M.text(request)
  local target = (request.path or request.url or ""):gsub("^%a[%w+.-]*://[^/?#]*", "")
  local path, query = target:match "^([^?#]*)%??([^#]*)"
  local body = body_of(request)
  return json.canonical {
    method = request.method or (body ~= nil and "POST" or "GET"), path = "/" .. path:gsub("^/+", ""),
    query = query_of(query, request.query), body = body,
  }
end

--- Its hash: 64 hexadecimal digits; nil when the request is one that cannot be sent either.
---@param request quern.Request
---@return string?
function M.of(request)
  local ok, text = pcall(M.text, request)
  return ok and hash.sha256(text) or nil
end

return M
