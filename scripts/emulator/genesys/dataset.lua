--- The emulator's conversations, computed from a seed as docs/reference/emulator-data.md says. Integers only.
---
--- Nothing is stored: a conversation is its number, and each field is drawn when it is asked for.
local json = require "quern.json"
local time = require "quern.time"

local GAMMA = 0x9E3779B97F4A7C15
local DAY_MS = 86400000
local LONGEST_MS = 120000 + 605000 + 90000 -- no conversation lasts longer

local CHANNELS = { "voice", "voice", "voice", "voice", "voice", "voice", "chat", "chat", "email", "email" }
local QUEUES = { "Support", "Sales, Europe", 'Billing "priority"', "Réclamations", "技術サポート" }
local AGENTS = { "Ada Lovelace", "O'Brien, Patrick", 'Grace "Amazing" Hopper', "Łukasz Żółć", "山田 太郎", "Two\nLines", json.null, nil }
local DISPOSITIONS = { "completed", "abandoned", "transferred", "callback, requested", "", json.null, nil }
local ABANDONED = 2

local function mix(z)
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

local function below(base, k, n) return (mix(base + k * GAMMA) >> 33) % n end

local DataSet = {}
DataSet.__index = DataSet

--- A data set of `days * rate` conversations from `start_ms` on.
local function new(seed, days, rate, start_ms)
  return setmetatable({ seed = mix(seed + GAMMA), count = days * rate, rate = rate, step = DAY_MS // rate, start_ms = start_ms,
                        end_ms = start_ms + days * DAY_MS }, DataSet)
end

local function base_of(self, i) return mix(self.seed + (i + 1) * GAMMA) end

--- The first instant of conversation i, in milliseconds.
function DataSet:start(i)
  local jitter = i % self.rate == 0 and 0 or below(base_of(self, i), 1, self.step)
  return self.start_ms + i * self.step + jitter
end

--- How long it waited, was talked, was on hold, and was worked on afterwards.
function DataSet:times(i)
  local base = base_of(self, i)
  local hold = below(base, 5, 4) == 0 and below(base, 6, 90000) or 0
  return below(base, 3, 120000), 5000 + below(base, 4, 600000), hold, below(base, 7, 60000)
end

function DataSet:channel(i) return CHANNELS[below(base_of(self, i), 2, 10) + 1] end

--- Its queue and its agent, as numbers from 1.
function DataSet:queue(i) return below(base_of(self, i), 8, 5) + 1 end
function DataSet:agent(i) return below(base_of(self, i), 9, 8) + 1 end

--- Its disposition: a text, null, or nil where the member is absent.
function DataSet:disposition(i) return DISPOSITIONS[below(base_of(self, i), 10, 7) + 1] end

function DataSet:abandoned(i) return below(base_of(self, i), 10, 7) + 1 == ABANDONED end

function DataSet.queue_id(number) return ("9e3779b9-0000-4000-8000-%012d"):format(number) end
function DataSet.agent_id(number) return ("b5297a4d-0000-4000-8000-%012d"):format(number) end

local function common(self, i)
  local base = base_of(self, i)
  local queue, agent = self:queue(i), self:agent(i)
  local hex = ("%016x%016x"):format(mix(base + 11 * GAMMA), mix(base + 12 * GAMMA))
  return {
    conversationId = ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21)),
    channel = self:channel(i), queueId = self.queue_id(queue), queueName = QUEUES[queue],
    agentId = self.agent_id(agent), agentName = AGENTS[agent],
    disposition = self:disposition(i), sequence = 9007199254740993 + i,
  }
end

--- The record of the sliced dialect and of the search, as JSON text.
function DataSet:entity(i)
  local start, record = self:start(i), common(self, i)
  local wait, talk, hold, wrapup = self:times(i)
  local duration = wait + talk + hold
  record.conversationStart, record.conversationEnd = time.format(start), time.format(start + duration)
  record.metrics = { total = duration + wrapup, talk = talk, hold = hold, work = talk + hold + wrapup, wait = wait, wrapup = wrapup }
  return json.encode(record)
end

--- The record of the paged dialect, as JSON text.
function DataSet:flat(i)
  local start, record = self:start(i), common(self, i)
  local wait, talk, hold = self:times(i)
  record.startTime, record.endTime, record.duration = time.format(start), time.format(start + wait + talk + hold), wait + talk + hold
  return json.encode(record)
end

--- Numbers of the conversations with from <= start < to for which `wanted(i)` holds; with `overlap` also of those that only
--- touch the range.
function DataSet:select(from_ms, to_ms, overlap, wanted)
  local list = {}
  local reach = overlap and LONGEST_MS or 0
  local first = math.max((from_ms - reach - self.start_ms) // self.step - 1, 0)
  local last = math.min((to_ms - self.start_ms) // self.step + 1, self.count - 1)
  for i = first, last do
    local start = self:start(i)
    local inside = from_ms <= start and start < to_ms
    if not inside and overlap then
      local wait, talk, hold = self:times(i)
      inside = start == to_ms or (start < from_ms and from_ms <= start + wait + talk + hold)
    end
    if inside and (not wanted or wanted(i)) then list[#list + 1] = i end
  end
  return list
end

return { new = new }
