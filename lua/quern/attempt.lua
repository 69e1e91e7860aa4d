--- One request with its retries: gate, auth, exchange, redirects, and what the failure table says to the answer.
local core_http = require "quern.core.http"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local flow = require "quern.core.flow"
local header = require "quern.core.header"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local task = require "quern.core.task"
local url = require "quern.core.url"
local view = require "quern.core.view"

local M = {}

local MAX_REDIRECTS = 5
local NETWORK = { dns = true, connect = true, timeout = true, reset = true, truncated = true, failed = true }
local CLASSES = { retry = true, split = true, restart = true, fail = true, skip = true }

-- ---- responses ----

---@class quern.Response
---@field status integer
---@field headers table<string, string>  lower-case names; repeated ones joined with ", "
---@field body userdata  bytes
---@field url string
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
  return setmetatable({ status = result.status, headers = headers, body = result.body, url = sent.url }, Response)
end

-- The API's own words in an error body, one line.
local function api_message(response)
  local value = response:json()
  local text
  if type(value) == "table" then
    for _, field in ipairs { "message", "error_description", "error", "description", "title", "detail" } do
      if type(value[field]) == "string" and value[field] ~= "" then
        text = value[field]
        break
      end
    end
  end
  if not text and (response.headers["content-type"] or ""):find "text/plain" then text = response.body:sub(1, 300) end
  text = text and text:gsub("%s+", " "):sub(1, 300)
  return text, type(value) == "table" and type(value.error) == "string" and value.error or nil
end

-- ---- the exchange ----

local function place(request)
  local path = request.url:match "^%a+://[^/?]*([^?]*)"
  return ("%s %s"):format(request.method, path ~= "" and path or "/")
end

local function host(request)
  return request.url:match "^%a+://([^/?]*)" or request.url
end

local function header_list(request, name, value)
  local list = {}
  for key, item in pairs(request.headers) do
    if item ~= nil and (not name or key:lower() ~= name:lower()) then
      list[#list + 1] = { key, secrets.is(item) and item or tostring(item) }
    end
  end
  if name then list[#list + 1] = { name, value } end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function exchange(client, request, name, value)
  client.counts.requests = client.counts.requests + 1
  return core_http.send {
    method = request.method, url = request.url, headers = header_list(request, name, value), body = request.body,
    once = request.safe == false or nil,
  }
end

-- Where a redirect leads: a new request, or nil, err. Only to the client's own origin (RFC 9110 §15.4).
local function redirected(client, request, response)
  local location = response.headers.location
  if not location then return nil, errors.new("status", "a redirect without Location", { status = response.status }) end
  local following, err = url.resolve(client.base, request.url, location)
  if not following then return nil, errors.new("denied", tostring(err), { exit = 1 }) end
  if not url.same_origin(following, request.url) then
    return nil, errors.new("denied", ("%s was redirected to another origin (%s), where the client's credentials must not go"):format(
      place(request), url.origin(following) or "?"), { exit = 1 })
  end
  local copy = {}
  for key, item in pairs(request) do copy[key] = item end
  copy.url = following
  local status = response.status
  if status == 303 or ((status == 301 or status == 302) and request.method == "POST") then
    copy.method, copy.body = "GET", nil
    copy.headers = {}
    for key, item in pairs(request.headers) do
      if key:lower() ~= "content-type" then copy.headers[key] = item end
    end
  end
  return copy
end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- One turn through the gate: the exchange and the redirects it meets. Answers result, response, generation.
local function turn(client, request)
  local name, value, generation
  if request.authorize and client.authorizer then
    name, value, generation = client.authorizer:header()
    if not name then return nil, value end
  end
  -- a token request is made while its requester holds no turn, so the gate cannot be full of those who wait for a token
  local ticket <close> = client.gate:enter()
  for _ = 0, MAX_REDIRECTS do
    local result = exchange(client, request, name, value)
    if result.kind ~= "answer" then return result, nil, generation, request end
    local response = response_of(result, request)
    event.emit { type = "request", method = request.method, url = request.url, status = result.status, ms = result.elapsed_ms,
                 bytes = #result.body }
    if not REDIRECTS[result.status] then return result, response, generation, request end
    local following, err = redirected(client, request, response)
    if not following then return nil, err end
    request = following
  end
  return nil, errors.new("denied", ("%s: more than %d redirects"):format(place(request), MAX_REDIRECTS), { exit = 1 })
end

-- ---- what an outcome means ----

local function network_message(request, result)
  return ("%s: %s"):format(place(request), result.message ~= "" and result.message or result.kind .. " " .. host(request))
end

local HINTS = {
  [401] = "the API does not accept the credentials",
  [403] = "the client lacks a permission: give its role the scope or permission that this endpoint needs",
}

local function status_message(request, response, text)
  local hint = HINTS[response.status]
  return ("%s at %s answered %d%s%s"):format(place(request), host(request), response.status, text and ": " .. text or "",
    hint and "; " .. hint or "")
end

-- The outcome of one turn, in the words of quern.core.flow, and its error.
local function outcome_of(request, result, response, opts)
  if result.kind ~= "answer" then
    local kind = NETWORK[result.kind] and "network" or result.kind
    local hint = kind == "tls" and "; if the server's certificate is issued by your own authority, name it with --ca-file" or ""
    return { outcome = kind, never_sent = result.never_sent },
      errors.new(kind, network_message(request, result) .. hint, { retryable = kind == "network", cause = result.kind })
  end
  if response.status >= 200 and response.status < 300 and response.status ~= 204 or (response.status == 204 and opts.empty_ok) then
    if not opts.accept then return nil end
    local value, err = opts.accept(response)
    if value ~= nil then
      response.accepted = value
      return nil
    end
    return { outcome = "body" }, errors.new("body", ("%s: %s"):format(place(request), tostring(err and err.message or err)),
      { retryable = true, status = response.status })
  end
  local text, oauth_error = api_message(response)
  return {
    outcome = "status", status = response.status,
    retry_after_ms = response.headers["retry-after"] and header.retry_after(response.headers["retry-after"], task.wall()) or nil,
    about_size = response.status == 400 and text ~= nil and flow.about_size(text) or nil,
  }, errors.new("status", status_message(request, response, text), { status = response.status, oauth_error = oauth_error })
end

local END_KINDS = { [400] = "invalid", [401] = "auth", [403] = "forbidden" }

-- ---- the loop ----

local Sending = {}
Sending.__index = Sending

function Sending:wait(ms, shared, err, what)
  self.client.counts.retries = self.client.counts.retries + 1
  self.tries = self.tries + 1
  local why = err.cause or (err.kind == "status" and tostring(err.status)) or err.kind
  local causes = self.client.counts.causes
  causes[why] = (causes[why] or 0) + 1
  event.emit { type = "retry", why = why, status = err.status, wait_ms = ms, attempt = self.tries, leaf = self.opts.leaf,
               message = tostring(err.message) }
  if ms >= 1000 then
    event.emit { type = "waiting", reason = what or why, ms = ms }
  end
  if shared then self.client.gate:hold(ms) end
  task.sleep(ms)
end

local function deferred(err, why)
  return errors.new("deferred", ("%s; %s"):format(tostring(err.message), why), { exit = 75, status = err.status })
end

-- 401: replay with a newer token, or the end.
function Sending:unauthorized(err, generation)
  local authorizer = self.client.authorizer
  local verdict = self.request.authorize and authorizer and authorizer:refused(generation) or "denied"
  if verdict == "replay" then return true end
  return false, errors.new("auth", tostring(err.message), { exit = 4, status = 401, oauth_error = err.oauth_error })
end

function Sending:apply(action, wait_ms, shared, exit, why, err, generation)
  if action == "wait" then
    self:wait(wait_ms, shared, err)
    return true
  elseif action == "auth" then
    return self:unauthorized(err, generation)
  elseif action == "split" then
    return false, errors.new("too_large", tostring(err.message), { status = err.status })
  elseif action == "defer" then
    event.emit { type = "alert", reason = tostring(err.message) }
    return false, deferred(err, why)
  elseif action == "end" then
    err.exit = exit
    err.kind = END_KINDS[err.status] or err.kind
    return false, err
  end
  if why then err.message = ("%s; %s"):format(tostring(err.message), why) end
  return false, err
end

-- What the script's classify says to an answer, or nil.
function Sending:classified(response)
  local classify = self.opts.classify
  if not classify or not response then return nil end
  local class = classify(response)
  if class ~= nil and not CLASSES[class] then
    error(errors.new("script", ("classify answered '%s'; it may answer retry, split, restart, fail, skip or nil"):format(tostring(class)),
      { exit = 1 }), 0)
  end
  return class
end

local function as_classified(class, request, response)
  local message = ("%s at %s answered %d, which the query classifies as %s"):format(place(request), host(request), response.status, class)
  if class == "retry" then return { outcome = "network" }, errors.new("status", message, { status = response.status, retryable = true }) end
  local kind = class == "fail" and "status" or class
  return nil, errors.new(kind, message, { status = response.status })
end

-- Judges one turn: response when it is good; else whether to go on, and the error.
function Sending:judge(result, response, generation, sent)
  local class = self:classified(response)
  local outcome, err
  if class then
    outcome, err = as_classified(class, sent, response)
    if not outcome then return nil, false, err end
  else
    outcome, err = outcome_of(sent, result, response, self.opts)
  end
  local client, now = self.client, task.now()
  if client.breaker:note(outcome ~= nil and outcome.status == 503, client.policy.breaker_ms, now) then
    event.emit { type = "alert", reason = "the circuit is open: the API answers nothing but 503" }
    return nil, false, deferred(err or errors.new("status", place(sent)), "nothing but 503 for too long")
  end
  if result.kind == "answer" and result.status ~= 401 and generation and client.authorizer then
    client.authorizer:accepted(generation)
  end
  if not outcome then return response end
  outcome.safe = self.request.safe ~= false
  outcome.chance = task.random()
  local action, wait_ms, shared, exit, why = self.state:decide(outcome, now)
  return nil, self:apply(action, wait_ms, shared, exit, why, err, generation)
end

--- Sends until an answer is accepted or the failure table ends it. Waits.
---@async
---@param client quern.Client
---@param request { method: string, url: string, headers: table, body: any, safe: boolean?, authorize: boolean? }
---@param opts { accept: function?, classify: function?, leaf: string?, empty_ok: boolean? }  `empty_ok`: 204 is an answer
---@return quern.Response? response
---@return table? err
function M.send(client, request, opts)
  local sending = setmetatable({ client = client, request = request, opts = opts, state = flow.retry(client.policy), tries = 1 }, Sending)
  sending.state:begin(task.now())
  while true do
    local result, response, generation, sent = turn(client, request)
    if not result then return nil, response end
    local good, again, err = sending:judge(result, response, generation, sent)
    if good then return good end
    if not again then return nil, err end
  end
end

return M
