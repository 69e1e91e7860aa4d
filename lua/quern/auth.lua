--- How requests are authorised. Values may be texts, secret handles, or descriptors of quern.env and quern.secret.env, which
--- are read when the run begins.
---
---     auth = quern.auth.bearer(quern.secret.env "API_TOKEN")
---     auth = quern.auth.client_credentials { token_url = "...", id = quern.env "ID", secret = quern.secret.env "SECRET" }
local options = require "quern.options"

local M = {}

local meta = { __name = "quern.auth" }

---@class quern.Auth  opaque: what the functions of quern.auth give
---@field kind "bearer"|"basic"|"api_key"|"client_credentials"

---@class quern.ClientCredentials
---@field token_url string|table  where tokens are fetched
---@field id string|table|userdata  the client's id
---@field secret string|table|userdata  the client's secret
---@field scope? string  what is asked for; words with spaces between them
---@field style? "basic"|"form"  id and secret in a Basic header, or in the form body

local VALUE = "string|table|userdata"

local function make(kind, fields)
  fields.kind = kind
  return setmetatable(fields, meta)
end

local function is_options(value, field)
  return type(value) == "table" and value.kind == nil and value[field] ~= nil
end

--- A static token: `Authorization: Bearer ...`. Takes the token, or `{ token = ... }`.
---@param token string|table|userdata|{ token: string|table|userdata }
---  `token`: the token
---@return quern.Auth
function M.bearer(token)
  if is_options(token, "token") then
    token = options.check("quern.auth.bearer", token, { token = { type = VALUE, required = true } }).token
  end
  if not options.is_type(token, VALUE) then error("quern.auth.bearer takes a token: quern.secret.env \"NAME\"", 2) end
  return make("bearer", { token = token })
end

--- `Authorization: Basic ...` (RFC 7617). Takes user and secret, or `{ user = ..., secret = ... }`.
---@param user string|table|{ user: string|table, secret: string|table|userdata }
---  `user`: the name; `secret`: the password
---@param secret? string|table|userdata
---@return quern.Auth
function M.basic(user, secret)
  if is_options(user, "user") then
    local given = options.check("quern.auth.basic", user, {
      user = { type = "string|table", required = true }, secret = { type = VALUE, required = true },
    })
    user, secret = given.user, given.secret
  end
  if not options.is_type(user, "string|table") or not options.is_type(secret, VALUE) then
    error("quern.auth.basic takes a user and a secret", 2)
  end
  return make("basic", { user = user, secret = secret })
end

--- A header that holds a key.
---@param opts { header: string, secret: string|table|userdata }
---  `header`: the header's name; `secret`: its value
---@return quern.Auth
function M.api_key(opts)
  return make("api_key", options.check("quern.auth.api_key", opts, {
    header = { type = "string", required = true }, secret = { type = VALUE, required = true },
  }))
end

--- OAuth 2 client credentials (RFC 6749 §4.4). One token for all requests of the client, renewed before it expires.
---@param opts quern.ClientCredentials
---@return quern.Auth
function M.client_credentials(opts)
  local auth = options.check("quern.auth.client_credentials", opts, {
    token_url = { type = "string|table", required = true }, id = { type = VALUE, required = true },
    secret = { type = VALUE, required = true }, scope = "string", style = { type = "string", default = "basic" },
  })
  if auth.style ~= "basic" and auth.style ~= "form" then
    error(("quern.auth.client_credentials: style is 'basic' or 'form', not '%s'"):format(auth.style), 2)
  end
  return make("client_credentials", auth)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return options.strict("quern.auth", M, { is = true })
