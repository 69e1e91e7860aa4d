--- aggregate_tree: POST aggregate/query. Hours, their queues, and for the first queue its agents: nested `groups`. The first request
--- has a body; `links.next` names its query, and is posted without one.
local json = require "quern.json"
local quern = require "quern"
local validate = require "quern.validate"
local page = require "genesys.page"
local urls = require "genesys.urls"

local HOUR_MS = 3600000
local METRICS = { "conversationCount", "handleDurationSum", "wrapupDurationSum" }
local CHANNELS = { "voice", "chat", "email", "callback", "message" }
local SIZES = { min = 1, max = 1000 }

-- ---- the query

-- The channels that the clauses of a filter tree ask for.
local function collect_channels(ask, filter, found)
  if type(filter) ~= "table" then ask:refuse(400, "filter: an object is expected, not a %s", type(filter)) end
  if filter.dimension ~= nil then
    ask:valid(validate.enum(filter.dimension, { "mediaType" }, "filter: dimension")
      or validate.enum(filter.operator, { "equals" }, "filter: operator") or validate.enum(filter.value, CHANNELS, "filter: value"))
    found[#found + 1] = filter.value
  end
  if filter.expression ~= nil then collect_channels(ask, filter.expression, found) end
  for _, clause in ipairs(type(filter.clauses) == "table" and filter.clauses or {}) do collect_channels(ask, clause, found) end
end

-- The channel that a filter asks for; nil: every one.
local function channel_of(ask, filter)
  local found = {}
  if filter ~= nil and filter ~= json.null then collect_channels(ask, filter, found) end
  if #found > 1 then ask:refuse(400, "filter: this server knows one mediaType clause, not %d", #found) end
  return found[1]
end

-- Checks the first request's body and remembers it under a name that links.next can carry.
local function open(ask, body)
  if not tostring(body.dateFrom):find "%.%d%d%dZ$" or not tostring(body.dateTo):find "%.%d%d%dZ$" then
    ask:refuse(400, "dateFrom and dateTo must have milliseconds, such as 2024-01-01T00:00:00.000Z")
  end
  local from, to = ask:dates(body, HOUR_MS, "full hours")
  ask:exactly(body.groupBy, { "interval", "routing.queue.id" }, "groupBy")
  ask:among(body.metrics, METRICS, "metrics")
  ask:valid(validate.enum(body.interval, { "PT1H" }, "interval")
    or validate.integer(body.pageSize, { name = "pageSize", min = SIZES.min, max = SIZES.max })
    or validate.integer(body.pageNumber, { name = "pageNumber", min = 1 }))
  local hours, most = (to - from) // HOUR_MS, ask.api.p.max_hours
  if hours > most then ask:refuse(413, "the result holds %d hours, more than %d; ask for a smaller range", hours, most) end
  local api = ask.api
  local name = api.query_names:once(ask.request.body, function()
    api.queries_named = api.queries_named + 1
    return ("q-%d"):format(api.queries_named)
  end)
  return api.queries:once(name, function()
    local channel = channel_of(ask, body.filter)
    local wanted = channel and function(i) return api.data:channel(i) == channel end
    return { name = name, from = from, hours = hours, wanted = wanted, cuts = {}, count = #api.data:select(from, to, false, wanted) }
  end)
end

-- ---- the nodes

local function sums() return { count = 0, handle = 0, wrapup = 0 } end

local function add(to, handle, wrapup)
  to.count, to.handle, to.wrapup = to.count + 1, to.handle + handle, to.wrapup + wrapup
end

local function node(id, totals, groups)
  return ('{%s"id":"%s","metrics":{"conversationCount":{"value":%d},"handleDurationSum":{"value":%d},"wrapupDurationSum":{"value":%d}}}'):format(
    groups and '"groups":[' .. table.concat(groups, ",") .. "]," or "", id, totals.count, totals.handle, totals.wrapup)
end

-- Nodes of a table by number, 1 to `most`, in order; `id` names a number.
local function nodes(list, most, id, groups)
  local texts = {}
  for number = 1, most do
    if list[number] then texts[#texts + 1] = node(id(number), list[number], groups and groups(number)) end
  end
  return texts
end

-- The node of one hour.
local function hour_text(data, query, from)
  local whole, queues, agents = sums(), {}, {}
  for _, i in ipairs(data:select(from, from + HOUR_MS, false, query.wanted)) do
    local _, talk, hold, wrapup = data:times(i)
    local queue, agent = data:queue(i), data:agent(i)
    queues[queue] = queues[queue] or sums()
    add(whole, talk + hold, wrapup)
    add(queues[queue], talk + hold, wrapup)
    if queue == 1 then
      agents[agent] = agents[agent] or sums()
      add(agents[agent], talk + hold, wrapup)
    end
  end
  local function groups(queue)
    if queue == 1 then return nodes(agents, 8, data.agent_id) end
    return queue == 2 and {} or nil
  end
  return node(quern.time.format(from), whole, whole.count > 0 and nodes(queues, 5, data.queue_id, groups) or nil)
end

-- ---- the answer

-- The query of this request, and which page of it is wanted.
local function wanted_page(ask)
  if not ask.query.query then
    local body = ask:json()
    local query = open(ask, body)
    return query, body.pageSize, body.pageNumber
  end
  if ask.request.body ~= "" then ask:refuse(400, "a page of links.next is asked for without a body") end
  local query = ask.api.queries:get(ask.query.query)
  if not query then ask:refuse(400, "there is no query %q, or it was too long ago", ask.query.query) end
  return query, ask:number("pageSize", 25, SIZES), ask:number("pageNumber", 1, { min = 1 })
end

local function answer(ask)
  ask:token_by "basic"
  local query, size, number = wanted_page(ask)
  local first, last = page.window(ask, query.cuts, query.hours, size, number)
  local items = {}
  local function hour(index) return hour_text(ask.api.data, query, query.from + (index - 1) * HOUR_MS) end
  for index = first, last do items[#items + 1] = hour(index) end
  local following = ("pageNumber=%d&pageSize=%d&query=%s"):format(number + 1, size, urls.escape(query.name))
  return page.answer {
    list = "entities", items = items, before = first > 1 and first <= query.hours and hour(first - 1) or nil,
    rest = { pageNumber = number, pageSize = size, summary = { totalConversations = query.count }, total = 1 },
    next = last < query.hours and ask:link(following) or nil,
    link = function(link) return "links", { next = link } end,
  }
end

return { answer = answer }
