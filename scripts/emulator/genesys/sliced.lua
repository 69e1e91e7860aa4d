--- details_sliced: POST details/query with dateFrom and dateTo. One answer; 413 above max_records.
local page = require "genesys.page"

local function set_of(list)
  local set = {}
  for _, item in ipairs(type(list) == "table" and list or {}) do set[item] = true end
  return set
end

local function answer(ask, body)
  local api = ask.api
  local from, to = ask:dates(body)
  local channels = set_of(type(body.filter) == "table" and body.filter.values)
  local found = api.data:select(from, to, api.p.overlap, function(i) return channels[api.data:channel(i)] end)
  if #found > api.p.max_records then
    ask:refuse(413, "the result holds %d records, more than %d; ask for a smaller range", #found, api.p.max_records)
  end
  local items = {}
  for index, i in ipairs(found) do items[index] = api.data:entity(i) end
  return page.answer { list = "entities", items = items }
end

return { answer = answer, set_of = set_of }
