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
local options = require "quern.options"

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

local function trimmed(url)
  return (url:gsub("/+$", ""))
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
---@param opts { credentials?: "basic"|"form", scope?: string, rate?: string, pace?: string|fun(p: table): string? }
---  `credentials`: how id and secret travel to the token endpoint; `scope`: what is asked of it; `rate`: such as "300/min";
---  `pace`: least time between requests
---@return fun(p: table): table
function M.client_with(opts)
  opts = options.check("quern.genesys.client_with", opts, {
    credentials = { type = "string", default = "basic" }, scope = "string", rate = "string", pace = "string|function",
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
      limit = { rate = opts.rate, pace = pace },
      variables = { "GENESYS_BASE_URL", "GENESYS_LOGIN_URL", "GENESYS_REGION" },
    }
  end
end

--- The client of the real service: Basic credentials, 300 requests a minute.
M.client = M.client_with { rate = "300/min" }

--- A client of the tutorials' dialects: as client_with, and no rate unless it is given.
---@param opts { credentials?: "basic"|"form", scope?: string, rate?: string, pace?: string|fun(p: table): string? }
---@return fun(p: table): table
function M.tutorial(opts)
  return M.client_with(opts)
end

return M
