--- The pages of a run that are under way, and the memory they may take.
---
--- A page is under way from its request until its rows are with the sequencer. It takes its bytes, an index of about the same size, and
--- its rows; how large it is, is known only when it has come, so the largest so far stands for those to come. Where there is no room,
--- leaves wait before they ask for their next page, the first in plan order the shortest. One page may always come, so no run stands
--- still. Rows that wait for an earlier leaf take memory, too, and then disk. Writing them there and reading them back costs a run
--- that keeps a core busy more than it wins, so in such a run later leaves wait for the first one instead.
local task = require "quern.core.task"
local errors = require "quern.core.error"
local event = require "quern.core.event"

local M = {}

local DEFAULT = 128 << 20
local ROWS_SHARE = 8 -- this part of the memory is for rows that wait
local FACTOR = 2.6 -- of a page's bytes: page, index, rows
local LARGE = 512 << 10 -- smaller pages may be as many as leaves want
local LEAST = 1 << 20
local UNITS = { [""] = 1, K = 1 << 10, M = 1 << 20, G = 1 << 30 }
local BUSY, SAMPLE_MS, LOOK_MS = 0.5, 100, 25

---@class quern.Window
---@field memory integer  the limit in bytes
---@field waits integer  how often a leaf waited for memory
---@field wait_ms integer  how long, all leaves together
local Window = {}
Window.__index = Window

--- Bytes of rows that may wait in memory.
---@param memory integer?  the limit of the run
---@return integer bytes
function M.rows_memory(memory)
  return (memory or DEFAULT) // ROWS_SHARE
end

--- A size as people write it: a whole number of bytes, or with K, M or G (of 1024).
---@param size string|integer|nil
---@return integer? bytes  nil without an error: no size was given
---@return table? err  kind "usage", exit 2
function M.size(size)
  if size == nil then return nil end
  local digits, unit = tostring(size):match "^(%d+)([KMG]?)$"
  local number = digits and #digits <= 12 and math.tointeger(tonumber(digits))
  local bytes = number and number * UNITS[unit]
  if bytes and bytes >= LEAST and bytes <= 1 << 50 then return bytes end
  return nil, errors.new("usage", ("--memory '%s' is not a size from 1M on: write a number of bytes, or one with K, M or G, such as 64M")
    :format(size), { exit = 2 })
end

--- A run's window.
---@param opts { memory: integer?, pages: integer, rows: fun(): integer }  bytes; how many large pages may be under way; bytes of rows that wait
---@return quern.Window
function M.new(opts)
  local memory = opts.memory or DEFAULT
  local rows = M.rows_memory(opts.memory)
  return setmetatable({
    memory = memory, room = memory - rows, rows_full = rows // 4 * 3, rows = opts.rows, most = opts.pages,
    patient = opts.memory ~= nil, -- the limit was asked for: the first page comes alone, to be measured
    pages = 0, bytes = 0, largest = 0, cost = 0, walks = {}, waiting = {}, changed = task.event(), waits = 0, wait_ms = 0,
    sampled_ms = task.now(), sampled_cpu = task.cpu(), busy = false,
  }, Window)
end

--- A leaf's walk begins. place: what plan order goes by.
---@param leaf quern.Leaf
---@param place integer
function Window:begin(leaf, place)
  leaf.place, leaf.under_way, leaf.cost = place, 0, 0
  self.walks[leaf] = true
end

--- The walk is over, however: whatever it still had under way is let go.
---@param leaf quern.Leaf
function Window:finish(leaf)
  self.walks[leaf] = nil
  self.pages, self.bytes = self.pages - leaf.under_way, self.bytes - leaf.cost
  leaf.under_way, leaf.cost = 0, 0
  if next(self.waiting) then self.changed:set() end
end

local function is_first(leaf, among)
  for other in pairs(among) do
    if other.place < leaf.place then return false end
  end
  return true
end

-- Has the process kept a core busy of late?
function Window:is_busy()
  local now = task.now()
  if now - self.sampled_ms >= SAMPLE_MS then
    local cpu = task.cpu()
    self.busy = cpu - self.sampled_cpu >= BUSY * (now - self.sampled_ms)
    self.sampled_ms, self.sampled_cpu = now, cpu
  end
  return self.busy
end

-- Why the leaf may not have its next page now: "memory", "pages", "rows"; nil: it may.
function Window:refusal(leaf)
  if self.pages > 0 then
    if self.patient and self.largest == 0 or self.bytes + self.cost > self.room then return "memory" end
    if self.pages >= self.most and self.cost >= LARGE then return "pages" end
  end
  if self.rows() >= self.rows_full and not is_first(leaf, self.walks) and self:is_busy() then return "rows" end
  if next(self.waiting) and not is_first(leaf, self.waiting) then return "turn" end
end

function Window:tell(leaf)
  if self.waits > 1 then return end
  event.emit { type = "memory", leaf = leaf.label, limit = self.memory, pages = self.pages, bytes = math.floor(self.bytes) }
end

function Window:wait(leaf, why)
  local started, memory = task.now(), false
  self.waiting[leaf] = true
  local _ <close> = setmetatable({}, { __close = function()
    self.waiting[leaf] = nil
    if memory then self.wait_ms = self.wait_ms + task.now() - started end
    self.changed:set() -- it was somebody's turn to wait behind it
  end })
  while why do
    if why == "memory" and not memory and self.largest > 0 then
      memory, self.waits = true, self.waits + 1
      self:tell(leaf)
    end
    self.changed:wait(why == "rows" and LOOK_MS or nil)
    why = self:refusal(leaf)
  end
end

--- The leaf asks for its next page. Waits until there is room.
---@async
---@param leaf quern.Leaf
---@return number cost  what it is taken to take, for `came` and `leave`
function Window:enter(leaf)
  local why = self:refusal(leaf)
  if why then self:wait(leaf, why) end
  local cost = self.cost
  self.pages, self.bytes = self.pages + 1, self.bytes + cost
  leaf.under_way, leaf.cost = leaf.under_way + 1, leaf.cost + cost
  return cost
end

--- The page has come: its size is known.
---@param leaf quern.Leaf
---@param cost number  from `enter`
---@param bytes integer
---@return number cost  what it takes
function Window:came(leaf, cost, bytes)
  local real = FACTOR * bytes
  self.bytes, leaf.cost = self.bytes + real - cost, leaf.cost + real - cost
  if bytes > self.largest then self.largest, self.cost = bytes, real end
  if next(self.waiting) then self.changed:set() end
  return real
end

--- The page's rows are with the sequencer, or it brought none.
---@param leaf quern.Leaf
---@param cost number
function Window:leave(leaf, cost)
  self.pages, self.bytes = self.pages - 1, self.bytes - cost
  leaf.under_way, leaf.cost = leaf.under_way - 1, leaf.cost - cost
  if next(self.waiting) then self.changed:set() end
end

return M
