--- One exchange and the redirects it meets: what is sent where, and what the answer says.
---
--- Redirects are followed here, not by the transport, because of one rule: a header or body that holds a secret goes to the
--- client's own origin and the login origin only. A request without secrets may be led anywhere.
local core_http = require "quern.core.http"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local task = require "quern.core.task"
local url = require "quern.core.url"
local view = require "quern.core.view"

local M = {}

local MAX_REDIRECTS = 5
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local WORDS = 300 -- of an API's message, in bytes
local MAX_CORRELATION = 200

-- ---- responses ----

---@class quern.Response
---@field status integer  of the HTTP answer
---@field headers table<string, string>  lower-case names; repeated ones joined with ", "
---@field body userdata  bytes
---@field url string  where the answer came from, redirects followed
---@field elapsed_ms integer  of the last exchange
---@field accepted any  what `accept` answered
local Response = {}
Response.__index = Response

--- The body as text.
function Response:text() return tostring(self.body) end
--- The body decoded, or nil, err.
function Response:json() return json.decode(self.body) end
--- The body as a lazy view, or nil, err.
function Response:view() return view.open(self.body) end

local function response_of(result, sent)
  local headers = {}
  for _, pair in ipairs(result.headers) do
    local name = pair[1]:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. pair[2] or pair[2]
  end
  return setmetatable({ status = result.status, headers = headers, body = result.body, url = sent.url, elapsed_ms = result.elapsed_ms },
    Response)
end

local FIELDS = { "message", "error_description", "error", "description", "detail", "title" }

local function message_in(value)
  if type(value) ~= "table" then return nil end
  for _, field in ipairs(FIELDS) do
    if type(value[field]) == "string" and value[field] ~= "" then return value[field] end
  end
  local first = type(value.errors) == "table" and value.errors[1] or value.error
  return type(first) == "table" and type(first.message) == "string" and first.message or nil
end

--- The API's own words in an error answer, on one line, and the OAuth error code if there is one.
---@param response quern.Response
---@return string? message
---@return string? oauth_error
---@return string? context  the API's id of the exchange, where the body holds it
function M.words(response)
  local value = response:json()
  local text = message_in(value)
  if not text and (response.headers["content-type"] or ""):find "text/plain" then text = response.body:sub(1, WORDS) end
  text = text and secrets.redact(text):gsub("[%s%c]+", " "):sub(1, WORDS)
  if type(value) ~= "table" then return text ~= "" and text or nil end
  local context = type(value.contextId) == "string" and value.contextId:sub(1, MAX_CORRELATION) or nil
  return text ~= "" and text or nil, type(value.error) == "string" and value.error or nil, context
end

-- ---- naming ----

--- "POST /api/v2/things", for messages.
function M.place(request)
  if request.shown then return ("%s %s"):format(request.method, request.shown) end
  local path = request.url:match "^%a+://[^/?]*([^?]*)"
  return ("%s %s"):format(request.method, path ~= "" and path or "/")
end

--- "POST /api/v2/things at api.example.com", for messages.
function M.whole_place(request)
  if request.shown then return M.place(request) end
  return ("%s at %s"):format(M.place(request), request.url:match "^%a+://([^/?]*)" or request.url)
end

-- ---- the exchange ----

local function holds_secret(request)
  if secrets.is(request.body) then return true end
  for _, value in pairs(request.headers) do
    if secrets.is(value) then return true end
  end
  return false
end

-- May this request leave? What holds a secret goes to the lane's own origins only.
local function check_origin(lane, request)
  if not holds_secret(request) then return true end
  for _, own in ipairs(lane.own) do
    if url.same_origin(request.url, own) then return true end
  end
  return nil, errors.new("denied", ("%s would carry the client's credentials to another origin (%s); they go to %s only"):format(
    M.place(request), url.origin(request.url) or request.url, url.origin(lane.base) or lane.base), { exit = 1 })
end

local function header_list(headers)
  local list = {}
  for name, value in pairs(headers) do list[#list + 1] = { name, secrets.is(value) and value or tostring(value) } end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

-- ---- the event ----

---@class quern.Told  the event of one exchange: told once, when it is known what became of the answer. A `<close>` value
local Told = {}
Told.__index = Told

local CORRELATION = { "inin-correlation-id", "x-correlation-id", "x-request-id", "correlation-id", "request-id" }

--- Tells the event now, with what is known.
function Told:tell()
  local fields = self.fields
  self.fields = nil
  if fields then event.emit(fields) end
end

function Told:__close()
  self:tell()
end

--- More members of the event; those that are there stay.
---@param more { records?: integer, correlation?: string, error?: string }
function Told:add(more)
  for name, value in pairs(more) do
    if self.fields[name] == nil then self.fields[name] = value end
  end
end

-- The API's own id of the exchange.
local function correlation(response)
  for _, name in ipairs(CORRELATION) do
    local value = response.headers[name]
    if value and value ~= "" then return value:sub(1, MAX_CORRELATION) end
  end
end

-- One exchange, redirects not followed; its event is the caller's to tell, unless it did not come to its end.
local function once(lane, request, note)
  lane.counts.requests = lane.counts.requests + 1
  local started_ms = task.now()
  local told = setmetatable({ fields = { type = "request", method = request.method, url = request.shown or request.url,
                                         attempt = note.attempt, leaf = note.leaf } }, Told)
  local sent, result = pcall(core_http.send, {
    method = request.method, url = request.url, headers = header_list(request.headers), body = request.body,
    once = request.safe == false or nil,
  })
  if not sent then -- cancelled: what the server did with the request is not known
    if errors.is(result) then
      told:add { kind = result.kind, error = tostring(result.message), ms = task.now() - started_ms }
      told:tell()
    end
    error(result, 0)
  end
  if result.kind ~= "answer" then
    told:add { kind = result.kind, error = result.message, ms = result.elapsed_ms }
    return result, nil, told
  end
  local response = response_of(result, request)
  told:add { status = result.status, ms = result.elapsed_ms, bytes = #result.body, correlation = correlation(response) }
  return result, response, told
end

-- The request that a redirect asks for (RFC 9110 §15.4): 303, and POST by 301 or 302, go on as GET without a body.
local function redirected(lane, request, response)
  local location = response.headers.location
  if not location then
    return nil, errors.new("status", ("%s answered %d without a Location"):format(M.whole_place(request), response.status),
      { status = response.status })
  end
  local target, err = url.resolve(lane.base, request.url, location)
  if not target then
    return nil, errors.new("denied", ("%s was redirected: %s"):format(M.whole_place(request), tostring(err)), { exit = 1 })
  end
  local status, following = response.status, {}
  for key, value in pairs(request) do following[key] = value end
  following.url = target
  if (status == 303 and request.method ~= "HEAD") or ((status == 301 or status == 302) and request.method == "POST") then
    following.method, following.body, following.headers = "GET", nil, {}
    for name, value in pairs(request.headers) do
      if name:lower() ~= "content-type" then following.headers[name] = value end
    end
  end
  return following
end

--- Sends and follows redirects. Waits.
---@async
---@param lane table  base, own (URLs whose origins may see secrets), counts
---@param request table  method, url, headers, body, safe; `shown`: what messages and events say instead of its URL
---@param note { attempt: integer, leaf: string? }  for events
---@return table? result  of quern.core.http, not a redirect
---@return quern.Response|table? response  nil when the result is not an answer; the error when there is no result
---@return table? request  the one that was sent last
---@return quern.Told? told  the event of the last exchange: to be told once it is known what became of its answer; a `<close>` value
function M.send(lane, request, note)
  for _ = 0, MAX_REDIRECTS do
    local ok, err = check_origin(lane, request)
    if not ok then return nil, err end
    local result, response, told = once(lane, request, note)
    if not response or not REDIRECTS[result.status] then return result, response, request, told end
    told:tell()
    response.body:release()
    request, err = redirected(lane, request, response)
    if not request then return nil, err end
  end
  return nil, errors.new("limit", ("%s: more than %d redirects"):format(M.whole_place(request), MAX_REDIRECTS), { bound = "redirects" })
end

return M
