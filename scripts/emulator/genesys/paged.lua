--- details_paged: POST details/query with interval. Numbered pages; the count of pages is told unless page_count is off.
local page = require "genesys.page"
local set_of = require "genesys.sliced".set_of

local function queues_of(ask, body)
  if body.filters == nil then return nil end
  if type(body.filters) ~= "table" then ask:refuse(400, "filters must be a list") end
  for _, filter in ipairs(body.filters) do
    if type(filter) == "table" and filter.type == "queueId" then return set_of(filter.values) end
  end
end

-- What a query finds, and how its pages were cut: kept for its next pages.
local function find(ask, body)
  local data = ask.api.data
  local from, to = ask:range(tostring(body.interval):match "^(.-)/", tostring(body.interval):match "/(.+)$",
    "first of interval", "second of interval")
  local queues = queues_of(ask, body)
  return { cuts = {}, found = data:select(from, to, false, function(i) return not queues or queues[data.queue_id(data:queue(i))] end) }
end

local function answer(ask, body)
  local p, data = ask.api.p, ask.api.data
  local size, number = ask:number("pageSize", 25, { min = 1, max = 1000 }), ask:number("pageNumber", 1, { min = 1 })
  local walk = ask.api.walks:once("paged " .. size .. ask.request.body, function() return find(ask, body) end)
  local found, cuts = walk.found, walk.cuts
  if #found > p.max_paged_records then
    ask:refuse(413, "the result holds %d records, more than %d; ask for a smaller range", #found, p.max_paged_records)
  end
  local first, last = page.window(ask, cuts, #found, size, number)
  local items = {}
  for index = first, last do items[#items + 1] = data:flat(found[index]) end
  return page.answer {
    list = "conversations", items = items, before = found[first - 1] and data:flat(found[first - 1]),
    rest = { pageCount = p.page_count and page.count(cuts, #found, size) or nil, pageNumber = number, pageSize = size, total = #found },
  }
end

return { answer = answer }
