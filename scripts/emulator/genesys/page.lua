--- A page of records before it is text, so that faults can change it.
---
---     { list = "entities", items = { JSON texts }, rest = { other members }, before = the item before the first,
---       next = a link, link = function(link) return member's name, its value end }
local json = require "quern.json"

local M = {}

--- The answer that holds a page; render() makes it text.
function M.answer(page)
  return { status = 200, page = page }
end

--- first and last of the items on page `number` of `size`, of `total`. A short page leaves what it lacks to the next ones:
--- `cuts` remembers how much each page of the walk was cut by.
function M.window(ask, cuts, total, size, number)
  local first = (number - 1) * size + 1
  for page, by in pairs(cuts) do
    if page < number then first = first - by end
  end
  local last = first + size - 1
  if last < total and size > 1 and not cuts[number] then
    local short = ask:meets "short"
    cuts[number] = short and math.min(short.by or size // 2, size - 1)
  end
  return first, math.min(last - (cuts[number] or 0), total)
end

--- How many pages hold `total` items, with the cuts so far.
function M.count(cuts, total, size)
  for _, by in pairs(cuts) do total = total + by end
  return -(-total // size)
end

--- Puts the page into the answer's body, members sorted by name.
function M.render(answer)
  local page = answer.page
  if not page then return answer end
  answer.page = nil
  local members = {}
  for name, value in pairs(page.rest or {}) do members[#members + 1] = { name, json.encode(value) } end
  if page.link then
    local name, value = page.link(page.next)
    members[#members + 1] = { name, json.encode(value) }
  end
  members[#members + 1] = { page.list, "[" .. table.concat(page.items, ",") .. "]" }
  table.sort(members, function(a, b) return a[1] < b[1] end)
  for index, member in ipairs(members) do members[index] = ('"%s":%s'):format(member[1], member[2]) end
  answer.headers = answer.headers or {}
  answer.headers["Content-Type"] = "application/json"
  answer.body = "{" .. table.concat(members, ",") .. "}"
  return answer
end

return M
