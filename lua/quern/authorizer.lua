--- The auth of one client at work: the header of a request, and what a 401 means.
---
--- A static authorizer always gives the same header. A client-credentials authorizer fetches one token for all who wait
--- (quern.core.flow decides who fetches and when), through the same failure table as any request.
local errors = require "quern.core.error"
local event = require "quern.core.event"
local flow = require "quern.core.flow"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local task = require "quern.core.task"
local url = require "quern.core.url"
local grant = require "quern.grant"

local M = {}

local function as_secret(value)
  return secrets.is(value) and value or secrets.new(value)
end

-- ---- static kinds ----

local Static = {}
Static.__index = Static

--- Name and value of the header, and the generation they belong to. Waits (client credentials only).
---@async
function Static:header()
  return self.name, self.value, 0
end

function Static.holds()
  return true
end

function Static.refused()
  return "denied"
end

function Static.accepted() end

local function static(name, value, source)
  return setmetatable({ name = name, value = value, hint = "the API does not accept " .. source }, Static)
end

-- ---- client credentials ----

local Token = {}
Token.__index = Token

local function token_request(auth)
  local headers, body = {}, "grant_type=client_credentials"
  if auth.scope then body = body .. "&scope=" .. url.encode(auth.scope) end
  if auth.style == "basic" then
    -- RFC 6749 §2.3.1: id and secret are form-encoded before they go into the header
    headers.Authorization = auth.secret:form():basic(url.encode(auth.id))
  else
    body = body .. "&client_id=" .. url.encode(auth.id) .. "&client_secret=" .. auth.secret:form()
  end
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  return { method = "POST", url = auth.token_url, headers = headers, body = body }
end

--- What to do about a refusal by the token endpoint.
M.HINT = "check the client id and secret, and that the region or base URL is the client's own"

local function denied(message)
  return errors.new("auth", message, { exit = 4 })
end

local function whole_seconds(value)
  value = tonumber(value)
  return value and value == value and math.floor(math.max(-1, math.min(value, 1e9))) or nil
end

-- A body that is a token answer; anything else is a broken body and is retried.
local function accept(response)
  local value, err = json.decode(response.body)
  if type(value) ~= "table" then
    return nil, errors.new("body", "the token answer is not JSON" .. (err and ": " .. tostring(err) or ""))
  end
  if type(value.access_token) ~= "string" or not value.access_token:find "^%g+$" then
    return nil, errors.new("body", "the token answer holds no access_token")
  end
  return { secret = secrets.new(value.access_token), expires_in = whole_seconds(value.expires_in) }
end

local ABOUT_LEAVES = { too_large = true, split = true, restart = true, skip = true }

-- What the token endpoint's refusal means for the run. Nothing it says is about the size of a leaf.
local function explain(err)
  local oauth_error = err.oauth_error
  if err.status == 401 or (err.status == 400 and oauth_error) then
    local hint = err.status == 401 and "" or "; " .. M.HINT -- a 401 has its hint from the lane
    return denied(("the token endpoint refused the client (%s): %s%s"):format(oauth_error or err.status, tostring(err.message), hint))
  end
  if ABOUT_LEAVES[err.kind] then err.kind = "status" end
  return err
end

local function copy_of(err)
  local fields = {}
  for key, value in pairs(err) do fields[key] = value end
  return errors.new(err.kind, tostring(err.message), fields)
end

-- Fetches for all who wait. They learn from the flight how it ended; a cancelled one ends without an error, and another
-- waiter takes over.
function Token:fetch()
  local flight = {}
  self.flight = flight
  local _ <close> = setmetatable({}, { __close = function()
    if not flight.landed then self.oauth:failed() end
    self.changed:set()
  end })
  local response, err = self.send(token_request(self.auth), { accept = accept })
  if not response then
    flight.err = explain(err)
    return nil, copy_of(flight.err)
  end
  local token = response.accepted
  self.secret = "Bearer " .. token.secret
  local generation = self.oauth:fetched(token.expires_in, task.now() - response.elapsed_ms)
  flight.landed = true
  event.emit { type = "token", generation = generation, expires_in = token.expires_in }
  return "Authorization", self.secret, generation -- even if it lives no time at all, it is good for the request at hand
end

function Token:header()
  while true do
    local need, generation = self.oauth:ask(task.now())
    if need == "have" then return "Authorization", self.secret, generation end
    if need == "fetch" then return self:fetch() end
    local flight = self.flight
    self.changed:wait()
    if flight.err then return nil, copy_of(flight.err) end
  end
end

--- Whether requests still carry the token of this generation: if not, a 401 for it tells nothing new.
function Token:holds(generation)
  return self.oauth:holds(generation)
end

--- A 401 for a request of this generation: "replay" or "denied".
function Token:refused(generation)
  return self.oauth:refused(generation)
end

function Token:accepted(generation)
  self.oauth:accepted(generation)
end

local function resolve(auth, field, purpose)
  local value, err = grant.resolve(auth[field], purpose)
  if err then error(err, 0) end
  return value
end

-- "the bearer token (SHOP_TOKEN)": the variable is named where there is one.
local function source(auth, field, purpose)
  local declared = auth[field]
  return type(declared) == "table" and declared.name and ("%s (%s)"):format(purpose, declared.name) or purpose
end

local makers = {
  bearer = function(auth)
    return static("Authorization", "Bearer " .. as_secret(resolve(auth, "token", "the bearer token")), source(auth, "token", "the bearer token"))
  end,
  basic = function(auth)
    return static("Authorization", as_secret(resolve(auth, "secret", "the password")):basic(resolve(auth, "user", "the user")),
      source(auth, "secret", "the user or password"))
  end,
  api_key = function(auth)
    return static(auth.header, as_secret(resolve(auth, "secret", "the API key")), source(auth, "secret", "the API key"))
  end,
  client_credentials = function(auth, send)
    return setmetatable({
      send = send, oauth = flow.oauth(), changed = task.event(), hint = "the API does not accept its tokens: " .. M.HINT,
      auth = {
        id = resolve(auth, "id", "the OAuth client's id"),
        secret = as_secret(resolve(auth, "secret", "the OAuth client's secret")),
        token_url = resolve(auth, "token_url", "the token URL"), scope = auth.scope, style = auth.style,
      },
    }, Token)
  end,
}

--- The authorizer of a quern.auth value. Reads its variables; raises kind "usage" for one that is not set.
---@param auth quern.Auth
---@param send fun(request: table, opts: table): table?, table?  sends a token request through the failure table
function M.new(auth, send)
  return makers[auth.kind](auth, send)
end

return M
