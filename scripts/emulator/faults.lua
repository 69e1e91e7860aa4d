--- Faults on demand: rules such as "429:times=2,retry_after=1" and which request each of them meets.
---
---     KIND[:key=value,...]
---     KIND   an HTTP status, or reset, truncate, malformed, html, slow, revoke, repeat
---     times  how often at most (default 1)      skip   requests that pass first (default 0)
---     every  meet each n-th request             share  meet this share of requests, 0 … 1, seeded
---     on     data (default) or token            retry_after  value of the Retry-After header
---     after  seconds to wait before the answer (slow: default 2)
local M = {}

local KINDS = { reset = true, truncate = true, malformed = true, html = true, slow = true, revoke = true, ["repeat"] = true }
local KEYS = { times = true, skip = true, every = true, share = true, on = true, retry_after = true, after = true }

--- Reads a rule; raises a text that says what is wrong.
local function parse(text)
  local kind, rest = text:match "^([%w_]+):?(.*)$"
  local status = kind and math.tointeger(tonumber(kind))
  if not kind or not (KINDS[kind] or (status and status >= 400 and status < 600)) then
    error(("fault '%s': the kind must be a status from 400 to 599, or reset, truncate, malformed, html, slow, revoke, repeat"):format(text), 0)
  end
  local rule = { kind = kind, status = status, on = "data", met = 0, seen = 0 }
  for pair in rest:gmatch "[^,]+" do
    local key, value = pair:match "^(%w[%w_]*)=(.+)$"
    if not key or not KEYS[key] then
      error(("fault '%s': '%s' is not one of times=, skip=, every=, share=, on=, retry_after=, after="):format(text, pair), 0)
    end
    rule[key] = (key == "on" or key == "retry_after") and value or tonumber(value)
    if not rule[key] then error(("fault '%s': '%s' is not a number"):format(text, value), 0) end
  end
  rule.times = rule.times or ((rule.every or rule.share) and math.huge or 1)
  return rule
end

local Faults = {}
Faults.__index = Faults

--- All rules, with a seeded source of chance.
function M.new(texts, seed)
  local rules = {}
  for index, text in ipairs(texts or {}) do rules[index] = parse(text) end
  return setmetatable({ rules = rules, state = seed }, Faults)
end

function Faults:chance()
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return (self.state >> 11) / (1 << 53)
end

local function meets(self, rule)
  if rule.seen <= (rule.skip or 0) or rule.met >= rule.times then return false end
  if rule.every then return (rule.seen - (rule.skip or 0)) % rule.every == 0 end
  if rule.share then return self:chance() < rule.share end
  return true
end

--- The rule that this request meets, or nil. `on` is "data" or "token".
function Faults:pick(on)
  local picked
  for _, rule in ipairs(self.rules) do
    if rule.on == on then
      rule.seen = rule.seen + 1
      if not picked and meets(self, rule) then picked = rule end
    end
  end
  if picked then picked.met = picked.met + 1 end
  return picked
end

return M
