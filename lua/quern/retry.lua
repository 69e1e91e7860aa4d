--- Retry policies: how long and how often a request is tried again. The decisions are the failure table's.
---
---     client = { base_url = "https://api.example.com", retry = quern.retry { max_elapsed = "5m" } }
local options = require "quern.options"
local param = require "quern.param"

local M = {}

local meta = { __name = "quern.retry.policy" }

---@class quern.RetryPolicy
---@field attempts integer  with the first one (default 6)
---@field base_ms integer  bound of the first backoff (default 1 s)
---@field cap_ms integer  bound of every backoff (default 60 s)
---@field elapsed_ms integer  for one request with all its retries (default 15 min)
---@field max_wait_ms integer  a longer Retry-After defers (default 180 s)
---@field unavailable_ms integer  least wait after a 503 (default 30 s)
---@field breaker_ms integer  nothing but 503 for this long defers the run (default 5 min)
---@field jitter boolean  full jitter (default true)

local DURATIONS = { base = "base_ms", cap = "cap_ms", max_elapsed = "elapsed_ms", max_wait = "max_wait_ms",
                    unavailable = "unavailable_ms", breaker = "breaker_ms" }

--- A policy. Durations are texts: "500ms", "30s", "5m", "PT5M".
---@param opts? { attempts?: integer, base?: string, cap?: string, max_elapsed?: string, max_wait?: string, unavailable?: string, breaker?: string, jitter?: boolean }
---@return quern.RetryPolicy
function M.new(opts)
  opts = options.check("quern.retry", opts, {
    attempts = { type = "integer", default = 6 }, jitter = { type = "boolean", default = true },
    base = { type = "string", default = "1s" }, cap = { type = "string", default = "60s" },
    max_elapsed = { type = "string", default = "15m" }, max_wait = { type = "string", default = "180s" },
    unavailable = { type = "string", default = "30s" }, breaker = { type = "string", default = "5m" },
  })
  if opts.attempts < 1 then error("quern.retry: attempts must be at least 1", 2) end
  local policy = { attempts = opts.attempts, jitter = opts.jitter }
  for name, field in pairs(DURATIONS) do
    policy[field] = param.duration_ms(opts[name])
    if not policy[field] then error(("quern.retry: %s '%s' is not a duration such as \"30s\""):format(name, opts[name]), 2) end
  end
  return setmetatable(policy, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return M
