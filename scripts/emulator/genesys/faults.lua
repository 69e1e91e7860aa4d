--- Faults on demand: rules such as "429:times=2,retry_after=1", and which requests each of them meets.
---
---     KIND[:key=value,...]
---     KIND   an HTTP status from 400 to 599, or a name in kinds.lua
---     times  how often at most (default 1, with every or share: no bound)
---     skip   requests that pass first (default 0)
---     every  meet each n-th request             share  meet this share of requests, 0 … 1, seeded
---     on     which requests: data (default: all but token), token, a dialect (sliced, paged, intervals, tree, search) or a step of
---            the search (submit, poll, results, cancel)
---     path   only requests whose path and url query contain this text
---
--- Other keys belong to a kind. The value of `message` is the rest of the rule, commas included.
local json = require "quern.json"
local log = require "quern.log"
local validate = require "quern.validate"
local kinds = require "genesys.kinds"
local page = require "genesys.page"

local COMMON = { times = "number", skip = "number", every = "number", share = "number", on = "text", path = "text" }
local ON = { "data", "token", "sliced", "paged", "intervals", "tree", "search", "submit", "poll", "results", "cancel" }

local M = {}

local function sorted(...)
  local names = {}
  for _, set in ipairs { ... } do
    for name in pairs(set) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- Raises the problem's words, if there is one.
local function must(text, problem)
  if problem then error(("fault '%s': %s"):format(text, problem.message), 0) end
end

local function kind_of(text, word)
  local status = math.tointeger(tonumber(word))
  if status then
    must(text, validate.integer(status, { name = "status", min = 400, max = 599 }))
    return kinds.status, status
  end
  must(text, word == "status" and { message = "write the status itself, such as 503" } or validate.enum(word, sorted(kinds), "kind"))
  return kinds[word]
end

local function pairs_of(text, rest)
  local given = {}
  local before, message = ("," .. rest):match "^(.-),message=(.*)$"
  for pair in (before or rest):gmatch "[^,]+" do
    local key, value = pair:match "^([^=]+)=(.+)$"
    if not key then error(("fault '%s': '%s' is not written key=value"):format(text, pair), 0) end
    given[key] = value
  end
  given.message = message
  return given
end

-- Reads a rule; raises a text that says what is wrong.
local function parse(text)
  local word, rest = text:match "^([^:]*):?(.*)$"
  local kind, status = kind_of(text, word)
  local own = kind.keys or {}
  local rule = { kind = kind, word = word, name = status and "status" or word, status = status, on = "data", met = 0, seen = 0 }
  for key, value in pairs(pairs_of(text, rest)) do
    local wanted = COMMON[key] or own[key]
    must(text, not wanted and validate.enum(key, sorted(COMMON, own), "key") or nil)
    rule[key] = wanted == "number" and (math.tointeger(tonumber(value)) or tonumber(value)) or wanted ~= "number" and value or nil
    if rule[key] == nil then error(("fault '%s': %s=%s is not a number"):format(text, key, value), 0) end
  end
  for key, wanted in pairs(own) do
    if wanted == "text!" and not rule[key] then error(("fault '%s': it needs %s=..."):format(text, key), 0) end
  end
  must(text, validate.enum(rule.on, ON, "on"))
  must(text, rule.every and validate.integer(rule.every, { name = "every", min = 1 }))
  rule.times = rule.times or ((rule.every or rule.share) and math.huge or 1)
  return rule
end

local Faults = {}
Faults.__index = Faults

--- All rules, with a seeded source of chance. Nil and what is wrong, if a rule is none.
function M.new(texts, seed)
  local rules = {}
  for index, text in ipairs(texts or {}) do
    local ok, rule = pcall(parse, text)
    if not ok then return nil, rule end
    rules[index] = rule
  end
  return setmetatable({ rules = rules, state = seed }, Faults)
end

--- A number from 0 to 1.
function Faults:chance()
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return (self.state >> 11) / (1 << 53)
end

local function concerns(rule, ask)
  if not ask.names[rule.on] then return false end
  return not rule.path or (ask.path .. "?" .. ask.request.query):find(rule.path, 1, true) ~= nil
end

local function due(self, rule)
  if rule.over and os.time() < rule.over then return true end -- an outage goes on
  if rule.seen <= (rule.skip or 0) or rule.met >= rule.times then return false end
  if rule.every and (rule.seen - (rule.skip or 0)) % rule.every ~= 0 then return false end
  return not rule.share or self:chance() < rule.share
end

-- Counts a request that a rule concerns; true if it meets it.
local function counts(self, rule, ask)
  rule.seen = rule.seen + 1
  if not due(self, rule) then return false end
  rule.met = rule.met + 1
  log.debug(("fault %s: %s %s"):format(rule.word, ask.request.method, ask.path), { fault = rule.word, step = ask.step })
  return true
end

--- The rule of this kind that the request meets, or nil.
function Faults:meets(name, ask)
  local met
  for _, rule in ipairs(self.rules) do
    if rule.name == name and concerns(rule, ask) and counts(self, rule, ask) then met = met or rule end
  end
  return met
end

--- An answer in place of the right one, or nil: then the request is to be carried out.
function Faults:instead(ask)
  local met
  for _, rule in ipairs(self.rules) do
    if rule.kind.instead and concerns(rule, ask) and counts(self, rule, ask) then met = met or rule end
  end
  return met and met.kind.instead(met, ask)
end

local function change(self, stage, ask, answer)
  for _, rule in ipairs(self.rules) do
    local kind = rule.kind
    if kind[stage] and concerns(rule, ask) and (not kind.fits or kind.fits(rule, ask, answer)) and counts(self, rule, ask) then
      answer = kind[stage](rule, ask, answer) or answer
    end
  end
  return answer
end

--- The right answer as the rules want it: first its page, then its text.
function Faults:spoil(ask, answer)
  answer = page.render(change(self, "page", ask, answer))
  if answer.json ~= nil then
    answer.headers = answer.headers or {}
    answer.headers["Content-Type"] = "application/json"
    answer.body, answer.json = json.encode(answer.json), nil
  end
  answer.body = answer.body or ""
  return change(self, "body", ask, answer)
end

return M
