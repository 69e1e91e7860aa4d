--- A local API that speaks the tutorials' dialects of Genesys Cloud: for trying quern without an account, and for its tests.
---
---     quern emulate --port 8080 --days 90 --fault 429:times=1,retry_after=2
---
--- Each dialect has a file in genesys/: sliced, paged, intervals, tree, search. The data set and the answers are described in
--- docs/reference/emulator-data.md, fault rules in genesys/faults.lua, the faults themselves in genesys/kinds.lua.
local quern = require "quern"
local ask = require "genesys.ask"
local dataset = require "genesys.dataset"
local faults = require "genesys.faults"
local intervals = require "genesys.intervals"
local paged = require "genesys.paged"
local recent = require "genesys.recent"
local search = require "genesys.search"
local sliced = require "genesys.sliced"
local tokens = require "genesys.tokens"
local tree = require "genesys.tree"

local problem = ask.problem

-- ---- which dialect

-- The details query serves three of them; the body and a header tell which.
local function details(request)
  local headers, body = request.request.headers, request:json()
  if headers["x-genesys-async"] or body.filterBy then return search.submit, "search", "submit" end
  if body.dateFrom then return sliced.answer, "sliced", "sliced", body end
  if body.interval then return paged.answer, "paged", "paged", body end
  request:refuse(400, "give dateFrom and dateTo, or interval")
end

local function always(answer, dialect, step)
  return function() return answer, dialect, step or dialect end
end

-- Method and path below ask.ANALYTICS; a function that tells what answers, its dialect, the step of it, and the body if it was read.
local ROUTES = {
  { "POST", "^/details/query$", details },
  { "GET", "^/details/query/jobs/[^/]+$", always(search.poll, "search", "poll") },
  { "DELETE", "^/details/query/jobs/[^/]+$", always(search.cancel, "search", "cancel") },
  { "GET", "^/details/query/results/[^/]+$", always(search.results, "search", "results") },
  { "POST", "^/aggregates/query$", always(intervals.answer, "intervals") },
  { "POST", "^/aggregate/query$", always(tree.answer, "tree") },
}

local function route_of(request)
  local path = request.path:sub(1, #ask.ANALYTICS) == ask.ANALYTICS and request.path:sub(#ask.ANALYTICS + 1) or ""
  for _, route in ipairs(ROUTES) do
    if request.request.method == route[1] and path:find(route[2]) then return route[3] end
  end
  request:refuse(404, "no %s %s here", request.request.method, request.path)
end

-- ---- answering

-- What the API answers once the request is taken up: fn(...), or the refusal that it raised.
local function carried_out(fn, ...)
  local ok, answer = pcall(fn, ...)
  if not ok and not (type(answer) == "table" and answer.status) then error(answer, 0) end
  return answer
end

local function with_faults(request, names, step, fn, ...)
  for _, name in ipairs(names) do request.names[name] = true end
  request.step = step
  local api = request.api
  local answer = api.faults:instead(request)
  if answer then return answer end
  answer = api.faults:spoil(request, carried_out(fn, ...))
  if (answer.status or 200) < 300 and not answer.fault then
    api.previous[step] = { status = answer.status, headers = answer.headers, body = answer.body }
  end
  return answer
end

local function admit(request)
  local all = request.api.tokens
  local token = all:of(request.request)
  if not token then request:refuse(401, "Invalid login credentials.") end
  local wait = all:over_limit(token)
  if wait then error(problem(429, "rate limit exceeded", { ["Retry-After"] = tostring(wait) }), 0) end
  request.token = token
end

local function answer_data(request)
  local tell = route_of(request)
  admit(request)
  local answer_of, dialect, step, body = tell(request)
  local answer = with_faults(request, { "data", dialect, step }, step, answer_of, request, body)
  local api = request.api
  if api.p.delay_ms > 0 and not answer.after then answer.after = api.faults:chance() * api.p.delay_ms / 1000 end
  return answer
end

local function respond(api, request)
  local prefix = api.p.prefix
  if request.path:sub(1, #prefix) ~= prefix then return problem(404, "no such path") end
  local path = request.path:sub(#prefix + 1)
  local asked = ask.new(api, request, path)
  if request.method == "POST" and path == "/oauth/token" then
    return with_faults(asked, { "token" }, "token", function() return api.tokens:grant(request) end)
  end
  return carried_out(answer_data, asked)
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
    max_buckets = quern.param.integer { default = 5000, min = 1, summary = "interval_report: 413 above" },
    max_hours = quern.param.integer { default = 5000, min = 1, summary = "aggregate_tree: 413 above" },
    absolute_links = quern.param.bool { default = false, summary = "links to next pages have scheme and host" },
    job_ms = quern.param.integer { default = 500, min = 0, summary = "interaction_search: how long a job runs" },
    limit = quern.param.integer { default = 0, min = 0, summary = "requests a minute and token; 0: no limit" },
    token_life = quern.param.integer { default = 3600, min = 1, summary = "seconds" },
    delay_ms = quern.param.integer { default = 0, min = 0, summary = "answers wait up to this long, seeded" },
    client_id = quern.param.string { default = "demo" },
    client_secret = quern.param.string { default = "demo-secret" },
    fault = quern.param.list { summary = "fault rules" },
  },
  handler = function(p)
    local rules, wrong = faults.new(p.fault, p.seed)
    if not rules then return nil, wrong end
    local api = {
      p = p, data = dataset.new(p.seed, p.days, p.rate, p.start.ms), faults = rules, tokens = tokens.new(p),
      previous = {},                                              -- the last good answer of each step
      walks = recent.new(32),                                     -- what page after page of one query shares
      quarters = {},                                              -- counts by quarter of an hour, of intervals.lua
      query_names = recent.new(1000), queries = recent.new(1000), queries_named = 0, -- of tree.lua
      jobs = recent.new(200), jobs_made = 0,                      -- of search.lua
    }
    return function(request) return respond(api, request) end
  end,
}
