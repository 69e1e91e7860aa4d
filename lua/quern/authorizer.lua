--- The auth of one client at work: the header of a request, and what a 401 means.
---
--- A static authorizer always gives the same header. A client-credentials authorizer fetches one token for all who wait
--- (quern.core.flow decides who fetches and when), through the client's own failure table.
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

function Static.refused()
  return "denied"
end

function Static.accepted() end

local function static(name, value)
  return setmetatable({ name = name, value = value }, Static)
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

local HINT = "check the client id and secret, and that the region or base URL is the client's own"

local function denied(message)
  return errors.new("auth", message, { exit = 4 })
end

-- A body that is a token answer; anything else is a broken body and is retried.
local function accept(response)
  local value, err = json.decode(response.body)
  if type(value) ~= "table" then
    return nil, errors.new("body", "the token answer is not JSON" .. (err and ": " .. tostring(err) or ""))
  end
  if type(value.access_token) ~= "string" or value.access_token == "" then
    return nil, errors.new("body", "the token answer holds no access_token")
  end
  return { secret = secrets.new(value.access_token), expires_in = math.tointeger(tonumber(value.expires_in)) }
end

-- What the token endpoint's refusal means for the run.
local function explain(err)
  local oauth_error = err.oauth_error
  if err.status == 401 or oauth_error == "invalid_client" or oauth_error == "unauthorized_client" then
    return denied(("the token endpoint refused the client (%s): %s"):format(oauth_error or err.status, HINT))
  end
  if err.status == 400 then return denied(("the token endpoint refused: %s; %s"):format(tostring(err.message), HINT)) end
  return err
end

function Token:fetch()
  local _ <close> = setmetatable({}, { __close = function()
    if not self.fetched then self.oauth:failed() end
    self.changed:set()
  end })
  self.fetched = false
  local response, err = self.send(token_request(self.auth), { accept = accept })
  if not response then return nil, explain(err) end
  self.secret = "Bearer " .. response.accepted.secret
  self.generation = self.oauth:fetched(response.accepted.expires_in, task.now())
  self.fetched = true
  event.emit { type = "token", generation = self.generation, expires_in = response.accepted.expires_in }
  return true
end

function Token:header()
  while true do
    local need, generation = self.oauth:ask(task.now())
    if need == "have" then return "Authorization", self.secret, generation end
    if need == "fetch" then
      local ok, err = self:fetch()
      if not ok then
        self.failure = err
        return nil, err
      end
      self.failure = nil
      if self.oauth:ask(task.now()) ~= "have" then -- a token that lives no time at all is still good for the request at hand
        self.oauth:failed()
        return "Authorization", self.secret, self.generation
      end
    else
      self.changed:wait()
      if self.failure then return nil, self.failure end
    end
  end
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

local makers = {
  bearer = function(auth)
    return static("Authorization", "Bearer " .. as_secret(resolve(auth, "token", "the bearer token")))
  end,
  basic = function(auth)
    return static("Authorization", as_secret(resolve(auth, "secret", "the password")):basic(resolve(auth, "user", "the user")))
  end,
  api_key = function(auth)
    return static(auth.header, as_secret(resolve(auth, "secret", "the API key")))
  end,
  client_credentials = function(auth, send)
    return setmetatable({
      send = send, oauth = flow.oauth(), changed = task.event(),
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
