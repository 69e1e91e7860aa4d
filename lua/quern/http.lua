--- HTTP clients: a base URL, auth, limits and the failure table around single exchanges.
---
---     local api = http.client { base_url = "https://api.example.com", auth = quern.auth.bearer(token) }
---     local response, err = api:send { path = "/items", query = { page = 1 } }
---
--- A response has `status`, `headers` (lower-case names), `body` (bytes; tostring gives the text), `url`, `:text()`, `:json()`
--- and `:view()`. Errors are tables { kind, message, status, retryable, exit } that print as their message:
---
--- | kind | what it means |
--- | --- | --- |
--- | network, body | every attempt met a network fault, or a body that was not accepted |
--- | status | the API refused with a status that is not tried again |
--- | too_large, split | the chunk is too large (413, size cap; 504 thrice) |
--- | restart | an expired cursor (400), or `classify` asked for it |
--- | skip | `classify` asked for it |
--- | limit | a bound was passed; the message names it |
--- | auth, forbidden, invalid, tls, denied | the run ends (`exit`) |
--- | deferred | the API is unavailable, or asks for a longer wait than allowed |
local attempt = require "quern.attempt"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local url = require "quern.core.url"
local authorizer = require "quern.authorizer"
local auth = require "quern.auth"
local bodies = require "quern.body"
local flow = require "quern.core.flow"
local grant = require "quern.grant"
local limit = require "quern.limit"
local options = require "quern.options"
local patience = require "quern.patience"
local retry = require "quern.retry"
local secrets = require "quern.core.secret"

local M = {}

---@class quern.ClientOptions
---@field base_url string|table  the API, with its path prefix if it has one; a text or `quern.env "NAME"`
---@field auth? quern.Auth  without it no credentials are sent
---@field headers? table<string, any>  sent with every request; values are texts, quern.env or quern.secret.env
---@field limit? quern.Limit|quern.LimitOptions  how many requests, how fast
---@field retry? quern.RetryPolicy|quern.RetryOptions  how long and how often
---@field name? string  for the script's own use
---@field variables? string[]  names of further variables that `plan` shows

---@class quern.Request
---@field method? string  default GET; POST when there is a body
---@field path? string  taken under the base URL, whose prefix it never leaves
---@field url? string  instead of `path`: relative or absolute
---@field query? table<string, any>  url query: names to values; a list value repeats the name; names are sorted
---@field headers? table<string, any>  more headers; `Accept: application/json` is sent unless given
---@field json? any  a body: written as JSON with sorted members
---@field form? table<string, any>  a body: application/x-www-form-urlencoded
---@field body? any  a body as it is
---@field safe? boolean  false: must not be sent twice, so it is repeated only if it surely never arrived

---@class quern.Client
local Client = {}
Client.__index = Client

local CLIENT = { base_url = "string|table", auth = "table", headers = "table", limit = "table", retry = "table", name = "string",
                 variables = "table" }
local REQUEST = { method = "string", path = "string", url = "string", query = "table", headers = "table", json = "any", form = "table",
                  body = "any", safe = "boolean" }

-- A URL of the options, read and checked.
local function base_of(value, what)
  local text, err = grant.resolve(value, what, true)
  if err then return nil, err end
  if type(text) ~= "string" then return nil, errors.new("usage", ("the client has no %s"):format(what), { exit = 2 }) end
  local joined, url_err = url.join(text, "")
  if not joined then return nil, errors.new("usage", ("%s '%s': %s"):format(what, text, tostring(url_err)), { exit = 2 }) end
  return text
end

-- The lane of the token endpoint (see quern.attempt): a gate and a circuit of its own.
local function login_lane(client, token_url)
  local lane = {
    base = token_url, own = { token_url }, gate = limit.gate(limit.new {}), policy = client.policy,
    breaker = flow.breaker(client.policy.breaker_ms), counts = client.counts, hint = authorizer.HINT,
  }
  lane.patience = patience.of(lane)
  return lane
end

local function add_auth(client, given)
  local lane
  local ok, made = pcall(authorizer.new, given, function(request, how) return attempt.send(lane, request, how) end)
  if not ok then return nil, made end
  if made.auth then
    local token_url, err = base_of(made.auth.token_url, "token_url")
    if not token_url then return nil, err end
    client.token_url = token_url
    client.own[#client.own + 1] = token_url
    lane = login_lane(client, token_url)
    client.login = lane
  end
  client.authorizer = made
  return true
end

--- A client. Reads the variables that its options declare; answers an error of kind "usage" for one that is not set.
---@param spec quern.ClientOptions
---@return quern.Client? client
---@return table? err
function M.client(spec)
  local opts = options.check("client", spec, CLIENT, 3)
  if opts.auth and not auth.is(opts.auth) then error("client: auth must be made by quern.auth, such as quern.auth.bearer(...)", 2) end
  local variables = {}
  grant.variables(spec, variables)
  for _, name in ipairs(opts.variables or {}) do variables[name] = true end
  local base, err = base_of(opts.base_url, "base_url")
  if not base then return nil, err end
  local limits = limit.is(opts.limit) and opts.limit or limit.new(opts.limit)
  local policy = retry.is(opts.retry) and opts.retry or retry.new(opts.retry)
  local client = setmetatable({
    base = base, own = { base }, fixed_headers = {}, names = variables, limit = limits, gate = limit.gate(limits), policy = policy,
    breaker = flow.breaker(policy.breaker_ms), counts = { requests = 0, retries = 0, causes = {} },
  }, Client)
  client.patience = patience.of(client)
  for name, value in pairs(opts.headers or {}) do
    client.fixed_headers[name], err = grant.resolve(value, "header " .. name)
    if err then return nil, err end
  end
  if opts.auth then
    local ok, auth_err = add_auth(client, opts.auth)
    if not ok then return nil, auth_err end
  end
  return client
end

-- The absolute URL of a request, with its url query.
local function target(client, request)
  local absolute, err
  if request.url then absolute, err = url.resolve(client.base, client.base, request.url)
  else absolute, err = url.join(client.base, request.path or "") end
  if not absolute then return nil, errors.new("invalid", tostring(err), { exit = 5 }) end
  local pairs_list = {}
  for _, name in ipairs(options.names(request.query or {})) do
    local value = request.query[name]
    local list = type(value) == "table" and (not getmetatable(value) or json.is_array(value)) and value or { value }
    for _, item in ipairs(list) do
      if secrets.is(item) then
        return nil, errors.new("usage", ("url query '%s' is a secret: URLs are logged by servers; send it in a header"):format(name), { exit = 2 })
      end
      pairs_list[#pairs_list + 1] = { name, tostring(item) }
    end
  end
  if #pairs_list == 0 then return absolute end
  return url.with_query(absolute, pairs_list)
end

--- Sends a request and waits for an answer that is accepted, through auth, limit and the failure table.
---@async
---@param request quern.Request
---@param opts? { accept?: fun(response: table): any, table?, classify?: fun(response: table): string?, leaf?: string, empty_ok?: boolean, on_wait?: fun(reason: string, ms: integer) }
---  `accept` answers a value (put into `response.accepted`) or nil, err: with kind "body" (or none) the body counts as broken
---  and is asked for again; `classify`: the API's own policy for an answer, before the failure table; `leaf`: for events;
---  `empty_ok`: 204 goes to `accept` too; `on_wait`: told about every wait of a second or more.
---@return quern.Response? response
---@return table? err
function Client:send(request, opts)
  request = options.check("request", request, REQUEST, 3)
  local absolute, err = target(self, request)
  if not absolute then return nil, err end
  local headers = { Accept = "application/json" }
  for name, value in pairs(self.fixed_headers) do headers[name] = value end
  for name, value in pairs(request.headers or {}) do headers[name] = grant.must(value, "header " .. name) end
  local body = bodies.of(request, headers)
  return attempt.send(self, {
    method = request.method or (body and "POST" or "GET"), url = absolute, headers = headers, body = body, safe = request.safe,
  }, opts or {})
end

for _, method in ipairs { "get", "post", "put", "delete" } do
  --- As `send`, with this method and this path.
  ---@async
  ---@param path string
  ---@param request? quern.Request
  ---@return quern.Response? response
  ---@return table? err
  Client[method] = function(self, path, request)
    local filled = { method = method:upper(), path = path }
    for key, value in pairs(request or {}) do filled[key] = value end
    return self:send(filled)
  end
end

--- The absolute URL of a link found in an answer from `current_url`. A link to another origin is an error: what authorises
--- the client must not go there.
---@param link string
---@param current_url string
---@return string? url
---@return table? err
function Client:resolve(link, current_url)
  local absolute, err = url.resolve(self.base, current_url, link)
  if not absolute then return nil, errors.new("denied", ("the next link does not parse: %s"):format(tostring(err))) end
  if not url.same_origin(absolute, self.base) then
    return nil, errors.new("denied", ("the next link leads to another origin (%s); the client may only reach %s"):format(
      url.origin(absolute) or "?", self:origin()))
  end
  return absolute
end

--- The absolute URL that a request would go to; an error if that is another origin than the client's.
---@param request quern.Request
---@return string? url
---@return table? err
function Client:reach(request)
  local absolute, err = target(self, request)
  if not absolute then return nil, err end
  if not url.same_origin(absolute, self.base) then
    return nil, errors.new("denied", ("the next request leads to another origin (%s); the client may only reach %s"):format(
      url.origin(absolute) or "?", self:origin()))
  end
  return absolute
end

--- Milliseconds that the client has waited because the API was not available (`run --wait`).
---@return integer
function Client:paused_ms()
  local own, login = self.patience, self.login and self.login.patience
  return (own and own:total_ms() or 0) + (login and login:total_ms() or 0)
end

--- "https://host:443"
---@return string
function Client:origin()
  return url.origin(self.base) or self.base
end

--- Every origin the client may send to: its own and that of the token endpoint.
---@return string[]
function Client:origins()
  local list = { self:origin() }
  local login = self.token_url and url.origin(self.token_url)
  if login and login ~= list[1] then list[2] = login end
  return list
end

--- Names of the environment variables that the client reads.
---@return string[]
function Client:variables()
  return options.names(self.names)
end

--- The least time that `requests` requests take under the client's limits, in seconds.
---@param requests integer
---@return number
function Client:least_seconds(requests)
  return flow.least_ms(limit.bounds(self.limit), requests) / 1000
end

return M
