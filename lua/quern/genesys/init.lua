--- Genesys Cloud: regions, clients, and the environment they read.
---
--- | variable | meaning |
--- | --- | --- |
--- | `GENESYS_BASE_URL` | API base, may carry a path prefix; wins over the region |
--- | `GENESYS_LOGIN_URL` | login host; with a base URL the token URL is `<base>/oauth/token` unless this is set |
--- | `GENESYS_REGION` | "eu-west-1", "eu_west_1" or a domain such as "mypurecloud.ie" (default us-east-1) |
--- | `GENESYS_CLIENT_ID`, `GENESYS_CLIENT_SECRET` | the OAuth client (client credentials grant) |
local auth = require "quern.auth"
local errors = require "quern.core.error"
local job = require "quern.job"
local options = require "quern.options"
local url = require "quern.core.url"
local validate = require "quern.validate"

local M = {}

-- Region to domain. Source: the official SDKs' region lists (platform-client-sdk-javascript 262, CLI 166).
local DOMAINS = {
  us_east_1 = "mypurecloud.com", us_east_2 = "use2.us-gov-pure.cloud", us_west_2 = "usw2.pure.cloud",
  ca_central_1 = "cac1.pure.cloud", mx_central_1 = "mxc1.pure.cloud", sa_east_1 = "sae1.pure.cloud",
  eu_west_1 = "mypurecloud.ie", eu_west_2 = "euw2.pure.cloud", eu_central_1 = "mypurecloud.de",
  eu_central_2 = "euc2.pure.cloud", eusc_de_east_1 = "edee1.eusc-pure.cloud", me_central_1 = "mec1.pure.cloud",
  ap_south_1 = "aps1.pure.cloud", ap_southeast_1 = "apse1.pure.cloud", ap_southeast_2 = "mypurecloud.com.au",
  ap_northeast_1 = "mypurecloud.jp", ap_northeast_2 = "apne2.pure.cloud", ap_northeast_3 = "apne3.pure.cloud",
}

--- The domain of a region given in any of its spellings. Raises kind "usage" for one that is not known.
---@param region string
---@return string domain
function M.domain(region)
  local key = region:lower():gsub("-", "_")
  if DOMAINS[key] then return DOMAINS[key] end
  for _, domain in pairs(DOMAINS) do
    if domain == region:lower() then return domain end
  end
  local near = options.nearest(key, DOMAINS)
  error(errors.new("usage", ("GENESYS_REGION '%s' is not a Genesys Cloud region%s; use one such as eu-west-1, or set GENESYS_BASE_URL"):format(
    region, near and (", did you mean %s?"):format((near:gsub("_", "-"))) or ""), { exit = 2 }), 0)
end

local function trimmed(text)
  return (text:gsub("/+$", ""))
end

-- API base and token URL from the environment.
local function hosts()
  local env = require "quern.core.env" -- not there in a worker, where nothing may be read
  local base, login = env.get "GENESYS_BASE_URL", env.get "GENESYS_LOGIN_URL"
  local domain = M.domain(env.get "GENESYS_REGION" or "us-east-1")
  local api = trimmed(base or "https://api." .. domain)
  if login then return api, trimmed(login) .. "/oauth/token" end
  return api, (base and api or "https://login." .. domain) .. "/oauth/token"
end

--- A client factory: base URL, client credentials and limits from the environment, read when the run begins.
---@param opts { credentials?: "basic"|"form", scope?: string, rate?: string, pace?: string|fun(p: table): string?, headers?: table<string, any> }
---  `credentials`: how id and secret travel to the token endpoint (default "basic"); `scope`: asked for with the token;
---  `rate`: such as "300/min"; `pace`: least time between requests; `headers`: sent with every request.
---@return fun(p: table): table
function M.client_with(opts)
  opts = options.check("quern.genesys.client_with", opts, {
    credentials = { type = "string", default = "basic" }, scope = "string", rate = "string", pace = "string|function",
    headers = "table",
  })
  return function(p)
    local base_url, token_url = hosts()
    local pace = opts.pace
    if type(pace) == "function" then pace = pace(p) end
    return {
      base_url = base_url,
      auth = auth.client_credentials {
        token_url = token_url, style = opts.credentials, scope = opts.scope,
        id = { kind = "env", name = "GENESYS_CLIENT_ID" },
        secret = { kind = "secret_env", name = "GENESYS_CLIENT_SECRET" },
      },
      headers = opts.headers,
      limit = { rate = opts.rate, pace = pace },
      variables = { "GENESYS_BASE_URL", "GENESYS_LOGIN_URL", "GENESYS_REGION" },
    }
  end
end

--- The client of the real service: Basic credentials, 300 requests a minute.
M.client = M.client_with { rate = "300/min" }

--- A client of the tutorials' dialects: no rate of its own.
---@param opts { credentials?: "basic"|"form", scope?: string, pace?: string|fun(p: table): string?, headers?: table<string, any> }
function M.tutorial(opts)
  return M.client_with(opts)
end

--- The details query, which the tutorials' searches submit to as well.
M.DETAILS_QUERY = "/api/v2/analytics/conversations/details/query"

--- The job behind a search of the tutorials: submitted to the details query with the header `x-genesys-async: true`, polled at
--- `.../jobs/ID` until its `status` is complete or failed, read at `.../results/ID`.
---@param opts { every?: string|fun(p: table): string, polls?: integer|fun(p: table): integer }
---  `every`: wait between two polls, which does not grow; `polls`: how many at most
---@return quern.Job
function M.search_job(opts)
  opts = options.check("quern.genesys.search_job", opts, { every = "string|function", polls = "integer|function" })
  local function at(kind, id) return M.DETAILS_QUERY .. kind .. url.encode(id):gsub("%+", "%%20") end -- a path knows no "+" for a space
  return job.new {
    id = "$.jobId", state = "$.status", complete = { "complete" }, failed = { "failed" }, message = "$.message",
    poll = function(id) return { path = at("/jobs/", id) } end,
    results = function(id, p) return { path = at("/results/", id), query = { pageSize = p.page_size } } end,
    cancel = function(id) return { method = "DELETE", path = at("/jobs/", id) } end,
    webhook = { url = { kind = "env", name = "GENESYS_WEBHOOK_URL", default = "" },
                set = function(request, address) request.json.webhookUrl = address end },
    every = opts.every, growth = 1, polls = opts.polls,
  }
end

--- The limits of a search: at most 365 days; `filterBy` at most 4 levels deep with 20 expressions each; one to three `groupBy`;
--- pages of at most 10000.
---@param p { from: quern.Instant, to: quern.Instant, filterBy: table, groupBy: table, page_size: integer }
---@return quern.Error? problem
function M.validate_search(p)
  return validate.range(p.from, p.to, { max = "P365D" })
    or validate.expression(p.filterBy, { name = "filterBy", depth = 4, count = 20 })
    or validate.list(p.groupBy, { name = "groupBy", min = 1, max = 3 })
    or validate.integer(p.page_size, { name = "page_size", min = 1, max = 10000 })
end

return M
