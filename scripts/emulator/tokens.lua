--- The emulator's OAuth: tokens by client credentials (form body or Basic header), their life, and a limit per token.
local base64 = require "base64"
local clock = os.time

local Tokens = {}
Tokens.__index = Tokens

local function new(p)
  return setmetatable({ p = p, live = {}, granted = 0 }, Tokens)
end

local function unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function form_fields(body)
  local fields = {}
  for name, value in body:gmatch "([^&=]+)=([^&]*)" do fields[unescape(name)] = unescape(value) end
  return fields
end

local function oauth_error(status, code, text)
  return { status = status, json = { error = code, error_description = text, description = text } }
end

--- POST /oauth/token.
function Tokens:grant(request)
  local fields = form_fields(request.body)
  local id, secret = fields.client_id, fields.client_secret
  local basic = (request.headers.authorization or ""):match "^[Bb]asic%s+(%S+)$"
  if basic then
    local pair = base64.decode(basic) or ""
    id, secret = pair:match "^(.-):(.*)$"
    id, secret = id and unescape(id), secret and unescape(secret)
  end
  if fields.grant_type ~= "client_credentials" then
    return oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
  end
  if id ~= self.p.client_id or secret ~= self.p.client_secret then
    return oauth_error(401, "invalid_client", "authentication failed")
  end
  self.granted = self.granted + 1
  local token = ("emulated-%d-%d"):format(self.p.seed, self.granted)
  self.live[token] = { expires = clock() + self.p.token_life, window = clock(), used = 0 }
  return { status = 200, json = { access_token = token, token_type = "bearer", expires_in = self.p.token_life } }
end

local function bearer(request)
  return (request.headers.authorization or ""):match "^[Bb]earer%s+(%S+)$"
end

--- Takes the request's token out of service.
function Tokens:revoke(request)
  self.live[bearer(request) or ""] = nil
end

--- Why a data request is refused: status, message, headers; nil if it is not.
function Tokens:refusal(request)
  local token = bearer(request)
  local state = token and self.live[token]
  if not state or clock() >= state.expires then
    return { status = 401, message = "Invalid login credentials." }
  end
  if self.p.limit > 0 then
    if clock() - state.window >= 60 then state.window, state.used = clock(), 0 end
    state.used = state.used + 1
    if state.used > self.p.limit then
      return { status = 429, message = "rate limit exceeded", headers = { ["Retry-After"] = tostring(60 - (clock() - state.window)) } }
    end
  end
end

return { new = new }
