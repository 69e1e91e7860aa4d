--- Retry policies: how long and how often a request is tried again. The decisions are the failure table's.
---
---     client = { base_url = "https://api.example.com", retry = quern.retry { max_elapsed = "5m" } }
local options = require "quern.options"
local param = require "quern.param"

local M = {}

local meta = { __name = "quern.retry.policy" }

---@class quern.RetryPolicy  opaque: what quern.retry gives
---@field attempts integer
---@field base_ms integer
---@field cap_ms integer
---@field elapsed_ms integer
---@field max_wait_ms integer
---@field unavailable_ms integer
---@field breaker_ms integer
---@field jitter boolean

---@class quern.RetryOptions
---@field attempts? integer  how often a request is sent at most, the first one included
---@field base? string  bound of the first backoff; it doubles
---@field cap? string  bound of every backoff
---@field max_elapsed? string  for one request with all its retries
---@field max_wait? string  a Retry-After of a 429 that is longer defers
---@field unavailable? string  least wait after a 503
---@field breaker? string  nothing but 503 for this long defers the run
---@field jitter? boolean  wait anything from 0 to the bound

local DURATIONS = { base = "base_ms", cap = "cap_ms", max_elapsed = "elapsed_ms", max_wait = "max_wait_ms",
                    unavailable = "unavailable_ms", breaker = "breaker_ms" }

--- A policy. Durations are texts: "500ms", "30s", "5m", "PT5M".
---@param opts? quern.RetryOptions
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
