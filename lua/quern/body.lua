--- Request bodies: JSON, forms, texts. A body that holds a secret is a secret itself.
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local url = require "quern.core.url"
local grant = require "quern.grant"
local options = require "quern.options"

local M = {}

local function is_plain(value)
  return type(value) == "table" and (getmetatable(value) == nil or json.is_array(value))
end

-- A copy of a JSON value with a mark in the place of each secret; the secrets are collected in `found`.
local function marked(value, found)
  value = grant.must(value)
  if secrets.is(value) then
    found[#found + 1] = value
    return found.mark .. #found
  end
  if not is_plain(value) then return value end
  local copy = json.is_array(value) and json.array {} or {}
  for key, item in pairs(value) do copy[key] = marked(item, found) end
  return copy
end

-- The JSON text; the marks are replaced once it is encoded, so that no secret ever passes the encoder.
local function json_text(value)
  local found = { mark = "secret-mark-7d1f0c52-" } -- a value that spells this by chance would have to end in a number in use
  local text = json.encode(marked(value, found))
  if #found == 0 then return text end
  local result, at = "", 1
  for start, index, stop in text:gmatch('()"' .. found.mark:gsub("%-", "%%-") .. '(%d+)"()') do
    result = result .. text:sub(at, start - 1) .. found[tonumber(index)]:json()
    at = stop
  end
  return result .. text:sub(at)
end

local function form_text(form)
  local text = ""
  for index, name in ipairs(options.names(form)) do
    local value = grant.must(form[name])
    text = text .. (index > 1 and "&" or "") .. url.encode(name) .. "=" .. (secrets.is(value) and value:form() or url.encode(tostring(value)))
  end
  return text
end

--- The body of a request and, in `headers`, its type. Raises kind "usage" for a variable that is not set.
---@param request { json?: any, form?: table, body?: any }
---@param headers table<string, any>
---@return string|userdata|nil
function M.of(request, headers)
  if request.json ~= nil then
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
    return json_text(request.json)
  elseif request.form then
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return form_text(request.form)
  end
  return request.body
end

return M
