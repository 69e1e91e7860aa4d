--- A map that keeps what was put in last: the oldest entry makes room for a new one.
local Recent = {}
Recent.__index = Recent

--- A map of at most `most` entries.
local function new(most)
  return setmetatable({ most = most, values = {}, ring = {}, at = 0 }, Recent)
end

function Recent:get(key) return self.values[key] end

function Recent:put(key, value)
  if self.values[key] == nil then
    self.at = self.at % self.most + 1
    local oldest = self.ring[self.at]
    if oldest ~= nil then self.values[oldest] = nil end
    self.ring[self.at] = key
  end
  self.values[key] = value
  return value
end

--- The value of a key; if there is none, what make() gives.
function Recent:once(key, make)
  local value = self.values[key]
  if value == nil then value = self:put(key, make()) end
  return value
end

return { new = new }
