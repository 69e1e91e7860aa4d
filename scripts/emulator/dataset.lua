--- The emulator's conversations, computed from a seed as docs/reference/emulator-data.md says. Integers only.
local json = require "quern.json"
local time = require "quern.time"

local GAMMA = 0x9E3779B97F4A7C15
local DAY_MS = 86400000
local LONGEST_MS = 120000 + 605000 + 90000 -- no conversation lasts longer

local CHANNELS = { "voice", "voice", "voice", "voice", "voice", "voice", "chat", "chat", "email", "email" }
local QUEUES = { "Support", "Sales, Europe", 'Billing "priority"', "Réclamations", "技術サポート" }
local AGENTS = { "Ada Lovelace", "O'Brien, Patrick", 'Grace "Amazing" Hopper', "Łukasz Żółć", "山田 太郎", "Two\nLines", json.null, nil }
local DISPOSITIONS = { "completed", "abandoned", "transferred", "callback, requested", "", json.null, nil }

local function mix(z)
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

local DataSet = {}
DataSet.__index = DataSet

--- A data set of `days * rate` conversations from `start_ms` on.
local function new(seed, days, rate, start_ms)
  return setmetatable({ seed = mix(seed + GAMMA), count = days * rate, rate = rate, step = DAY_MS // rate, start_ms = start_ms },
    DataSet)
end

local function generator(self, i)
  local base = mix(self.seed + (i + 1) * GAMMA)
  local function word(k) return mix(base + k * GAMMA) end
  local function below(k, n) return (word(k) >> 33) % n end
  return word, below
end

--- Number i: start, end and channel are plain; `entity()` and `flat()` make the two dialects' records as JSON text.
function DataSet:conversation(i)
  local word, below = generator(self, i)
  local jitter = i % self.rate == 0 and 0 or below(1, self.step)
  local wait, talk, wrapup = below(3, 120000), 5000 + below(4, 600000), below(7, 60000)
  local hold = below(5, 4) == 0 and below(6, 90000) or 0
  local duration = wait + talk + hold
  local start = self.start_ms + i * self.step + jitter
  local c = { start_ms = start, end_ms = start + duration, channel = CHANNELS[below(2, 10) + 1], queue = below(8, 5) + 1 }

  local function common()
    local agent = below(9, 8) + 1
    local hex = ("%016x%016x"):format(word(11), word(12))
    return {
      conversationId = ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21)),
      channel = c.channel, queueId = self.queue_id(c.queue), queueName = QUEUES[c.queue],
      agentId = ("b5297a4d-0000-4000-8000-%012d"):format(agent), agentName = AGENTS[agent],
      disposition = DISPOSITIONS[below(10, 7) + 1], sequence = 9007199254740993 + i,
    }
  end
  function c.entity()
    local record = common()
    record.conversationStart, record.conversationEnd = time.format(start), time.format(start + duration)
    record.metrics = { total = duration + wrapup, talk = talk, hold = hold, work = talk + hold + wrapup, wait = wait, wrapup = wrapup }
    return json.encode(record)
  end
  function c.flat()
    local record = common()
    record.startTime, record.endTime, record.duration = time.format(start), time.format(start + duration), duration
    return json.encode(record)
  end
  return c
end

function DataSet.queue_id(number)
  return ("9e3779b9-0000-4000-8000-%012d"):format(number)
end

--- Conversations with from <= start < to for which `wanted(c)`; with `overlap` also those that only touch the range.
function DataSet:select(from_ms, to_ms, overlap, wanted)
  local list = {}
  local first = math.max((from_ms - LONGEST_MS - self.start_ms) // self.step - 1, 0)
  local last = math.min((to_ms - self.start_ms) // self.step + 2, self.count) - 1
  for i = first, last do
    local c = self:conversation(i)
    local owned = from_ms <= c.start_ms and c.start_ms < to_ms
    local touched = overlap and (c.start_ms == to_ms or (c.start_ms < from_ms and from_ms <= c.end_ms))
    if (owned or touched) and wanted(c) then list[#list + 1] = c end
  end
  return list
end

return { new = new }
