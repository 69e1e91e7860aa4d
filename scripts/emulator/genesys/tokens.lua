--- The emulator's OAuth: tokens by client credentials (form body or Basic header), their life, and a limit per token.
local base64 = require "genesys.base64"
local urls = require "genesys.urls"
local clock = os.time

local Tokens = {}
Tokens.__index = Tokens

local function new(p)
  return setmetatable({ p = p, live = {}, granted = 0 }, Tokens)
end

local function oauth_error(status, code, text)
  return { status = status, json = { error = code, error_description = text, description = text } }
end

-- Id and secret, and the way they came.
local function credentials(request, fields)
  local basic = (request.headers.authorization or ""):match "^[Bb]asic%s+(%S+)$"
  if not basic then return fields.client_id, fields.client_secret, "form" end
  local id, secret = (base64.decode(basic) or ""):match "^(.-):(.*)$"
  return id and urls.unescape(id), secret and urls.unescape(secret), "basic"
end

local function forget_expired(live)
  for token, state in pairs(live) do
    if clock() >= state.expires then live[token] = nil end
  end
end

--- POST /oauth/token.
function Tokens:grant(request)
  local fields = urls.fields(request.body)
  local id, secret, way = credentials(request, fields)
  if fields.grant_type ~= "client_credentials" then
    return oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
  end
  if id ~= self.p.client_id or secret ~= self.p.client_secret then
    return oauth_error(401, "invalid_client", "authentication failed")
  end
  forget_expired(self.live)
  self.granted = self.granted + 1
  local token = ("emulated-%d-%d"):format(self.p.seed, self.granted)
  self.live[token] = { expires = clock() + self.p.token_life, window = clock(), used = 0, way = way, scope = fields.scope or "" }
  return { status = 200, json = { access_token = token, token_type = "bearer", expires_in = self.p.token_life } }
end

local function bearer(request)
  return (request.headers.authorization or ""):match "^[Bb]earer%s+(%S+)$"
end

--- Takes the request's token out of service.
function Tokens:revoke(request)
  self.live[bearer(request) or ""] = nil
end

--- The request's token, if it is one of ours: `way` ("form" or "basic") and `scope` say how it was asked for.
function Tokens:of(request)
  local state = self.live[bearer(request) or ""]
  return state and clock() < state.expires and state or nil
end

--- Seconds that the token must wait before its next request; nil if it may send this one.
function Tokens:over_limit(state)
  if self.p.limit == 0 then return nil end
  if clock() - state.window >= 60 then state.window, state.used = clock(), 0 end
  state.used = state.used + 1
  return state.used > self.p.limit and 60 - (clock() - state.window) or nil
end

return { new = new }
