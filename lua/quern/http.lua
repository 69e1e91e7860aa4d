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
--- | restart, skip | what `classify` asked for |
--- | auth, forbidden, invalid, tls, denied | the run ends (`exit`) |
--- | deferred | the API is unavailable, or asks for a longer wait than allowed |
local attempt = require "quern.attempt"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local url = require "quern.core.url"
local authorizer = require "quern.authorizer"
local auth = require "quern.auth"
local flow = require "quern.core.flow"
local grant = require "quern.grant"
local limit = require "quern.limit"
local options = require "quern.options"
local retry = require "quern.retry"

local M = {}

---@class quern.Client
local Client = {}
Client.__index = Client

local CLIENT = { base_url = "string|table", auth = "table", headers = "table", limit = "table", retry = "table", name = "string",
                 variables = "table" }
local REQUEST = { method = "string", path = "string", url = "string", query = "table", headers = "table", json = "any", form = "table",
                  body = "any", safe = "boolean" }

--- A client. Reads the variables that its options declare; raises kind "usage" for one that is not set.
---@param spec { base_url: string|table, auth?: quern.Auth, headers?: table<string, any>, limit?: table, retry?: table, variables?: string[] }
---@return quern.Client? client
---@return table? err
function M.client(spec)
  local opts = options.check("client", spec, CLIENT, 2)
  if opts.auth and not auth.is(opts.auth) then error("client: auth must be made by quern.auth, such as quern.auth.bearer(...)", 2) end
  local variables = {}
  grant.variables(spec, variables)
  for _, name in ipairs(opts.variables or {}) do variables[name] = true end
  local base, err = grant.resolve(opts.base_url, "the API's base URL")
  if err then return nil, err end
  if not base then return nil, errors.new("usage", "the client has no base_url", { exit = 2 }) end
  local joined, url_err = url.join(base, "")
  if not joined then return nil, errors.new("usage", "base_url: " .. tostring(url_err), { exit = 2 }) end
  local limits = limit.is(opts.limit) and opts.limit or limit.new(opts.limit)
  local client = setmetatable({
    base = base, fixed_headers = {}, names = variables, limit_spec = limits, gate = limit.gate(limits),
    policy = retry.is(opts.retry) and opts.retry or retry.new(opts.retry),
    breaker = flow.breaker(), counts = { requests = 0, retries = 0, causes = {} }, origins_set = {},
  }, Client)
  for name, value in pairs(opts.headers or {}) do
    client.fixed_headers[name], err = grant.resolve(value, "header " .. name)
    if err then return nil, err end
  end
  if opts.auth then
    local ok, made = pcall(authorizer.new, opts.auth, function(request, how) return attempt.send(client, request, how) end)
    if not ok then return nil, made end
    client.authorizer = made
    if made.auth then client.token_url = made.auth.token_url end
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
    for _, item in ipairs(type(value) == "table" and value or { value }) do
      pairs_list[#pairs_list + 1] = { name, tostring(item) }
    end
  end
  if #pairs_list == 0 then return absolute end
  return url.with_query(absolute, pairs_list)
end

local function form_text(form)
  local parts = {}
  for _, name in ipairs(options.names(form)) do parts[#parts + 1] = url.encode(name) .. "=" .. url.encode(tostring(form[name])) end
  return table.concat(parts, "&")
end

local function body_of(request, headers)
  if request.json ~= nil then
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
    return json.encode(request.json)
  elseif request.form then
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return form_text(request.form)
  end
  return request.body
end

--- Sends a request and waits for an answer that is accepted, through auth, limit and the failure table.
---@async
---@param request { method?: string, path?: string, url?: string, query?: table, headers?: table, json?: any, form?: table, body?: any, safe?: boolean }
---  `path` is taken under the base URL; `url` may be relative or absolute; `safe` = false: must not be sent twice.
---@param opts? { accept?: fun(response: table): any, table?, classify?: fun(response: table): string?, leaf?: string }
---  `accept` answers a value (put into `response.accepted`) or nil, err: then the body counts as broken.
---@return table? response
---@return table? err
function Client:send(request, opts)
  request = options.check("request", request, REQUEST, 3)
  local absolute, err = target(self, request)
  if not absolute then return nil, err end
  local headers = { Accept = "application/json" }
  for name, value in pairs(self.fixed_headers) do headers[name] = value end
  for name, value in pairs(request.headers or {}) do headers[name] = value end
  local body = body_of(request, headers)
  return attempt.send(self, {
    method = request.method or (body and "POST" or "GET"), url = absolute, headers = headers, body = body, safe = request.safe,
    authorize = true,
  }, opts or {})
end

for _, method in ipairs { "get", "post", "put", "delete" } do
  --- `client:get(path, request?)` and so on: send with the method and path filled in.
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
  return flow.least_ms(self.limit_spec, requests) / 1000
end

return M
