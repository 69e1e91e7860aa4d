--- interval_report: POST aggregates/query. Counts in buckets of time, 100 a page; `nextPage` leads on, the body is sent each time.
local quern = require "quern"
local validate = require "quern.validate"
local page = require "genesys.page"
local urls = require "genesys.urls"

local MINUTE_MS = 60000
local QUARTER_MS = 15 * MINUTE_MS
local BUCKETS = { PT15M = QUARTER_MS, PT30M = 2 * QUARTER_MS, PT1H = 60 * MINUTE_MS, P1D = 24 * 60 * MINUTE_MS }
local METRICS = { "conversationCount", "handledCount", "abandonedCount", "averageHandleTime" }
local PAGE = 100

-- Conversations, abandoned ones and work of the others in the quarter of an hour from `from` on. Every bucket is made of these.
local function count_quarter(data, from)
  local quarter = { count = 0, abandoned = 0, work = 0 }
  for _, i in ipairs(data:select(from, from + QUARTER_MS)) do
    quarter.count = quarter.count + 1
    if data:abandoned(i) then
      quarter.abandoned = quarter.abandoned + 1
    else
      local _, talk, hold, wrapup = data:times(i)
      quarter.work = quarter.work + talk + hold + wrapup
    end
  end
  return quarter
end

local function bucket_text(api, from, to)
  local data, count, abandoned, work = api.data, 0, 0, 0
  for at = math.max(from, data.start_ms), math.min(to, data.end_ms) - 1, QUARTER_MS do
    local quarter = api.quarters[at]
    if not quarter then
      quarter = count_quarter(data, at)
      api.quarters[at] = quarter
    end
    count, abandoned, work = count + quarter.count, abandoned + quarter.abandoned, work + quarter.work
  end
  local handled = count - abandoned
  return ('{"date":"%s","metrics":{"abandonedCount":%d,"averageHandleTime":%s,"conversationCount":%d,"handledCount":%d}}'):format(
    quern.time.format(from), abandoned, handled > 0 and work // handled or "null", count, handled)
end

local function answer(ask)
  ask:token_by("form", "analytics:conversation:view")
  local body = ask:json()
  ask:valid(validate.duration(body.interval, { name = "interval", among = { "PT15M", "PT30M", "PT1H", "P1D" } }))
  ask:exactly(body.groupBy, { "date" }, "groupBy")
  ask:among(body.metrics, METRICS, "metrics")
  local size = BUCKETS[body.interval]
  local from, to = ask:dates(body, size, "a multiple of " .. body.interval)
  local total = (to - from) // size
  if total > ask.api.p.max_buckets then
    ask:refuse(413, "the result holds %d buckets, more than %d; ask for a smaller range", total, ask.api.p.max_buckets)
  end
  local number = ask:number("page", 1, { min = 1 })
  local walk = ask.api.walks:once("intervals " .. ask.request.body, function() return { cuts = {} } end)
  local first, last = page.window(ask, walk.cuts, total, PAGE, number)
  local items = {}
  local function bucket(index) return bucket_text(ask.api, from + (index - 1) * size, from + index * size) end
  for index = first, last do items[#items + 1] = bucket(index) end
  return page.answer {
    list = "entities", items = items, before = first > 1 and first <= total and bucket(first - 1) or nil,
    rest = { page = number, pageSize = PAGE },
    next = last < total and ask:link("page=" .. urls.escape(tostring(number + 1))) or nil,
    link = function(link) return "nextPage", link or quern.null end,
  }
end

return { answer = answer }
