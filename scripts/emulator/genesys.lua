--- A local API that speaks the tutorials' dialects of Genesys Cloud: for trying quern without an account, and for its tests.
---
---     quern emulate --port 8080 --days 90 --fault 429:times=1,retry_after=2
---
--- Requests tell the dialect by what they carry: `dateFrom` is details_sliced, `interval` is details_paged. The data set is
--- described in docs/reference/emulator-data.md, fault rules in faults.lua.
local quern = require "quern"
local json = require "quern.json"
local time = require "quern.time"
local dataset = require "dataset"
local faults = require "faults"
local tokens = require "tokens"

local DETAILS = "/api/v2/analytics/conversations/details/query"
local ERROR_CODES = { [400] = "bad.request", [401] = "bad.credentials", [404] = "not.found", [413] = "request.entity.too.large",
                      [429] = "too.many.requests", [503] = "service.unavailable" }

local function problem(status, message, headers)
  return { status = status, headers = headers, json = { message = message, code = ERROR_CODES[status] or "error", status = status,
                                                        details = json.array {}, errors = json.array {} } }
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list or {}) do set[item] = true end
  return set
end

local function query_number(query, name)
  return math.tointeger(tonumber((("&" .. query):match("&" .. name .. "=(%d+)"))))
end

-- POST details/query with dateFrom and dateTo: one answer, 413 above max_records.
local function sliced(api, body)
  local from, to = time.parse(body.dateFrom), time.parse(body.dateTo)
  if not from or not to then return problem(400, "dateFrom and dateTo must be ISO 8601 instants") end
  local channels = set_of(body.filter and body.filter.values)
  local found = api.data:select(from, to, api.p.overlap, function(c) return channels[c.channel] end)
  if #found > api.p.max_records then
    return problem(413, ("the result holds %d records, more than %d; ask for a smaller range"):format(#found, api.p.max_records))
  end
  local texts = {}
  for index, c in ipairs(found) do texts[index] = c.entity() end
  return { status = 200, body = '{"entities":[' .. table.concat(texts, ",") .. "]}" }
end

local function queue_filter(body)
  for _, filter in ipairs(body.filters or {}) do
    if filter.type == "queueId" then return set_of(filter.values) end
  end
end

-- POST details/query with interval: numbered pages.
local function paged(api, body, query)
  local from_text, to_text = tostring(body.interval):match "^(.-)/(.+)$"
  local from, to = time.parse(from_text or ""), time.parse(to_text or "")
  local size, number = query_number(query, "pageSize") or 25, query_number(query, "pageNumber") or 1
  if not from or not to then return problem(400, "interval must be two ISO 8601 instants with a slash between") end
  if size < 1 or size > 1000 then return problem(400, "pageSize must be from 1 to 1000") end
  local queues = queue_filter(body)
  local found = api.data:select(from, to, false, function(c) return not queues or queues[api.data.queue_id(c.queue)] end)
  if #found > api.p.max_paged_records then
    return problem(413, ("the result holds %d records, more than %d; ask for a smaller range"):format(#found, api.p.max_paged_records))
  end
  local texts = {}
  for index = (number - 1) * size + 1, math.min(number * size, #found) do texts[#texts + 1] = found[index].flat() end
  local count = api.p.page_count and (',"pageCount":%d'):format(-(-#found // size)) or ""
  return { status = 200, body = ('{"conversations":[%s]%s,"pageNumber":%d,"pageSize":%d,"total":%d}'):format(
    table.concat(texts, ","), count, number, size, #found) }
end

local function details(api, request)
  local body = json.decode(request.body)
  if type(body) ~= "table" then return problem(400, "the request body is not a JSON object") end
  if body.dateFrom then return sliced(api, body) end
  if body.interval then return paged(api, body, request.query) end
  return problem(400, "give dateFrom and dateTo, or interval")
end

local HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"

-- An answer as a fault rule wants it; `answer` is what would have been sent.
local function spoil(api, rule, request, answer)
  if rule.status then
    return problem(rule.status, ("emulated fault %d"):format(rule.status), rule.retry_after and { ["Retry-After"] = rule.retry_after })
  elseif rule.kind == "reset" then
    return { fault = "reset" }
  elseif rule.kind == "truncate" then
    answer.fault, answer.cut = "truncate", #(answer.body or "") // 2
  elseif rule.kind == "malformed" then
    answer.body = (answer.body or "{}"):sub(1, -2)
  elseif rule.kind == "html" then
    return { status = 200, headers = { ["Content-Type"] = "text/html" }, body = HTML }
  elseif rule.kind == "slow" then
    answer.after = rule.after or 2
  elseif rule.kind == "revoke" then
    api.tokens:revoke(request)
    return problem(401, "the token was revoked")
  elseif rule.kind == "repeat" then
    return api.previous or answer
  end
  return answer
end

local function data_answer(api, request)
  local refusal = api.tokens:refusal(request)
  if refusal then return problem(refusal.status, refusal.message, refusal.headers) end
  local rule = api.faults:pick "data"
  -- a fault that needs no answer is not worth making one for
  local answer = (rule and rule.status) and {} or details(api, request)
  if rule then answer = spoil(api, rule, request, answer) end
  if answer.status == 200 and not answer.fault then api.previous = { status = 200, headers = answer.headers, body = answer.body } end
  if api.p.delay_ms > 0 and not answer.after then answer.after = api.faults:chance() * api.p.delay_ms / 1000 end
  return answer
end

local function token_answer(api, request)
  local rule = api.faults:pick "token"
  if rule then return spoil(api, rule, request, { status = 200, body = "" }) end
  return api.tokens:grant(request)
end

local function route(api, request)
  local path = request.path
  if path:sub(1, #api.p.prefix) ~= api.p.prefix then return problem(404, "no such path") end
  path = path:sub(#api.p.prefix + 1)
  if request.method == "POST" and path == "/oauth/token" then return token_answer(api, request) end
  if request.method == "POST" and path == DETAILS then return data_answer(api, request) end
  return problem(404, ("no %s %s here"):format(request.method, path))
end

return quern.serve {
  name = "genesys",
  summary = "The tutorials' dialects of the Genesys Cloud analytics API, on this machine",
  params = {
    seed = quern.param.integer { default = 1, summary = "of the data set and of chance" },
    days = quern.param.integer { default = 90, min = 1, summary = "length of the data set" },
    rate = quern.param.integer { default = 240, min = 1, max = 86400000, summary = "conversations a day" },
    start = quern.param.time { default = "2024-01-01", summary = "first day of the data set" },
    prefix = quern.param.string { default = "", summary = "path prefix of the API" },
    max_records = quern.param.integer { default = 5000, min = 1, summary = "details_sliced: 413 above" },
    max_paged_records = quern.param.integer { default = 100000, min = 1, summary = "details_paged: 413 above" },
    page_count = quern.param.bool { default = true, summary = "details_paged: send pageCount" },
    overlap = quern.param.bool { default = false, summary = "details_sliced: also send conversations that only touch the range" },
    limit = quern.param.integer { default = 0, summary = "requests a minute and token; 0: no limit" },
    token_life = quern.param.integer { default = 3600, min = 1, summary = "seconds" },
    delay_ms = quern.param.integer { default = 0, min = 0, summary = "answers wait up to this long, seeded" },
    client_id = quern.param.string { default = "demo" },
    client_secret = quern.param.string { default = "demo-secret" },
    fault = quern.param.list { summary = "fault rules" },
  },
  handler = function(p)
    local api = {
      p = p,
      data = dataset.new(p.seed, p.days, p.rate, p.start.ms),
      faults = faults.new(p.fault, p.seed),
      tokens = tokens.new(p),
    }
    return function(request) return route(api, request) end
  end,
}
