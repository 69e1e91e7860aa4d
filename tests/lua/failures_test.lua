-- The failure table, row by row, in virtual time: the exact instants of the requests, and what the client answers.
local t = require "harness"
local http = require "quern.http"
local auth = require "quern.auth"
local task = require "quern.task"
local errors = require "quern.core.error"
local secrets = require "quern.core.secret"

local BASE = "http://api.test/v1"
local GOOD = { status = 200, headers = { { "Content-Type", "application/json" } }, body = "{}" }

local function answer(status, body, headers)
  return { status = status, body = body or "{}", headers = headers or {} }
end

local function fault(kind, fields)
  local result = { kind = kind, message = kind .. " by test" }
  for key, value in pairs(fields or {}) do result[key] = value end
  return result
end

-- Answers are used up one after another; the last one is repeated.
local function script(answers)
  local at = 0
  t.serve(function()
    at = math.min(at + 1, #answers)
    return answers[at]
  end)
end

local function client(changes)
  local spec = { base_url = BASE, retry = { jitter = false } }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return assert(http.client(spec))
end

local function post(api, request, opts)
  local full = { method = "POST", path = "/q", json = { a = 1 } }
  for key, value in pairs(request or {}) do full[key] = value end
  return api:send(full, opts)
end

local function json_only(response)
  local value, err = response:json()
  if value == nil then return nil, errors.new("body", tostring(err)) end
  return value
end

local BACKOFF = { 0, 1000, 3000, 7000, 15000, 31000 } -- six attempts: 1, 2, 4, 8, 16 s between them
local function times(n, value)
  local list = {}
  for index = 1, n do list[index] = value end
  return list
end

-- row: name, answers, expected instants (s or list of ms), expected error fields or nil for success
local rows = {
  { "a connect error is tried six times", { fault("connect", { never_sent = true }) }, BACKOFF, { kind = "network" } },
  { "a DNS failure likewise", { fault "dns" }, BACKOFF, { kind = "network" } },
  { "a reset likewise", { fault "reset" }, BACKOFF, { kind = "network" } },
  { "a truncated body likewise", { fault "truncated" }, BACKOFF, { kind = "network" } },
  { "a time-out likewise", { fault "timeout" }, BACKOFF, { kind = "network" } },
  { "500", { answer(500) }, BACKOFF, { kind = "status", status = 500 } },
  { "502", { answer(502, "<html>bad gateway</html>") }, BACKOFF, { kind = "status", status = 502 } },
  { "408", { answer(408) }, BACKOFF, { kind = "status", status = 408 } },
  { "425", { answer(425) }, BACKOFF, { kind = "status", status = 425 } },
  { "204 is no answer", { answer(204, "") }, BACKOFF, { kind = "status", status = 204 } },
  { "malformed JSON with 200", { answer(200, '{"a":') }, BACKOFF, { kind = "body" } },
  { "HTML with 200", { answer(200, "<!DOCTYPE html>") }, BACKOFF, { kind = "body" } },
  { "a fault that passes is forgotten", { fault "reset", answer(502), GOOD }, { 0, 1000, 3000 } },
  { "201 is an answer and is not sent again", { answer(201) }, { 0 } },
  { "429 waits as long as it says, in seconds", { answer(429, "{}", { { "Retry-After", "7" } }), GOOD }, { 0, 7000 } },
  { "429: IMF-fixdate", { answer(429, "{}", { { "Retry-After", "Mon, 01 Jan 2024 00:00:09 GMT" } }), GOOD }, { 0, 9000 } },
  { "429: RFC 850 date", { answer(429, "{}", { { "Retry-After", "Monday, 01-Jan-24 00:00:09 GMT" } }), GOOD }, { 0, 9000 } },
  { "429: asctime date", { answer(429, "{}", { { "Retry-After", "Mon Jan  1 00:00:09 2024" } }), GOOD }, { 0, 9000 } },
  { "429: Retry-After beats the backoff cap", { answer(429, "{}", { { "Retry-After", "170" } }), GOOD }, { 0, 170000 } },
  { "429: nonsense falls back to backoff", { answer(429, "{}", { { "Retry-After", "soon" } }), answer(429), GOOD }, { 0, 1000, 3000 } },
  { "429 uses elapsed time, never attempts", times(12, answer(429, "{}", { { "Retry-After", "60" } })),
    { 0, 60000, 120000, 180000, 240000, 300000, 360000, 420000, 480000, 540000, 600000, 660000, 720000, 780000, 840000, 900000 },
    { kind = "deferred", exit = 75, status = 429, message = "time for one request is used up" } },
  { "429 above max_wait defers", { answer(429, "{}", { { "Retry-After", "181" } }) }, { 0 }, { kind = "deferred", exit = 75 } },
  { "503 waits at least 30 s", { answer(503), answer(503, "{}", { { "Retry-After", "1" } }), GOOD }, { 0, 30000, 60000 } },
  { "503 waits longer if told", { answer(503, "{}", { { "Retry-After", "45" } }), GOOD }, { 0, 45000 } },
  { "five minutes of nothing but 503 open the circuit", { answer(503) },
    { 0, 30000, 60000, 90000, 120000, 150000, 180000, 210000, 240000, 270000 },
    { kind = "deferred", exit = 75, status = 503, message = "nothing but 503 for 300 s", ends = 300000 } },
  { "504 is tried twice, then the chunk is to be split", { answer(504) }, { 0, 1000, 3000 }, { kind = "split", status = 504 } },
  { "413 splits at once", { answer(413) }, { 0 }, { kind = "too_large", status = 413 } },
  { "an answer over the size cap splits at once", { fault "too_large" }, { 0 }, { kind = "too_large" } },
  { "400 ends the run with the API's words", { answer(400, '{"message":"no such metric"}') }, { 0 },
    { kind = "invalid", exit = 5, message = "no such metric" } },
  { "400 about the size splits", { answer(400, '{"message":"Pagination may not exceed 100000 results."}') }, { 0 }, { kind = "too_large" } },
  { "403 ends the run and hints at the permission", { answer(403, '{"message":"missing analytics:view"}') }, { 0 },
    { kind = "forbidden", exit = 4, message = "missing analytics:view.*permission" } },
  { "404 fails the leaf at once", { answer(404) }, { 0 }, { kind = "status", status = 404 } },
  { "501 fails the leaf at once", { answer(501) }, { 0 }, { kind = "status", status = 501 } },
  { "an untrusted certificate ends the run with a hint", { fault "tls" }, { 0 }, { kind = "tls", exit = 1, message = "%-%-ca%-file" } },
  { "plain http to a foreign peer ends the run", { fault "denied" }, { 0 }, { kind = "denied", exit = 1 } },
}

for _, row in ipairs(rows) do
  local name, answers, instants, expected = table.unpack(row)
  t.test(name, function()
    script(answers)
    local response, err = post(client(), nil, { accept = json_only })
    t.same(t.instants(), instants)
    if not expected then
      t.ok(response)
      return
    end
    t.equal(response, nil)
    t.equal(err.kind, expected.kind)
    t.equal(err.exit, expected.exit)
    if expected.status then t.equal(err.status, expected.status) end
    if expected.message then t.match(err.message, expected.message) end
    if expected.ends then t.equal(t.now(), expected.ends) end
    t.ok(not err.message:find "\n")
  end)
end

t.test("messages say what, where and why", function()
  script { answer(404, '{"message":"no such\\nqueue"}') }
  local _, err = post(client())
  t.equal(err.message, "POST /v1/q at api.test answered 404: no such queue")
end)

t.test("full jitter stays within its bounds and is seeded", function()
  script { fault "reset" }
  post(client { retry = {} })
  local first, bound = t.instants(), 1000
  for index = 2, #first do
    t.ok(first[index] - first[index - 1] <= bound)
    bound = bound * 2
  end
  t.equal(#first, 6)
  t.ok(first[6] < 31000)
end)

t.test("a request that must not be repeated is repeated only if it never arrived", function()
  script { fault("reset") }
  local _, err = post(client(), { safe = false })
  t.same(t.instants(), { 0 })
  t.match(err.message, "must not be sent twice")
  script { fault("connect", { never_sent = true }), GOOD }
  t.ok(post(client(), { safe = false }))
  t.equal(#t.requests, 2)
end)

t.test("classify overrides the table", function()
  local function classified(class, answers)
    script(answers or { answer(404) })
    return post(client(), nil, { classify = function(response) return response.status == 404 and class or nil end })
  end
  t.ok(classified("retry", { answer(404), GOOD }))
  for class, kind in pairs { split = "split", restart = "restart", fail = "status", skip = "skip" } do
    local _, err = classified(class)
    t.equal(err.kind, kind)
  end
  t.raises(function() classified "explode" end, "classify answered 'explode'")
end)

-- ---- who shares a limit ----

t.test("a 429 holds back everybody who shares the limit", function()
  local calls = 0
  t.serve(function(request)
    calls = calls + 1
    if calls == 1 then return answer(429, "{}", { { "Retry-After", "10" } }) end
    return { status = 200, body = "{}", after_ms = 1 }, request
  end)
  local api = client { limit = { concurrency = 1 } }
  task.map({ 1, 2, 3 }, 3, function() return assert(post(api)) end)
  t.same(t.instants(), { 0, 10000, 10001, 10002 })
end)

t.test("first come, first served; concurrency, rate and pace are bounds", function()
  local order = {}
  t.serve(function(request)
    order[#order + 1] = request.url:match "n=(%d)"
    return { status = 200, body = "{}", after_ms = 100 }
  end)
  local function go(spec)
    local api = client { limit = spec }
    task.map({ 1, 2, 3, 4 }, 4, function(n) return assert(api:get("/x", { query = { n = n } })) end)
  end
  go { concurrency = 2 }
  t.same(t.instants(), { 0, 0, 100, 100 })
  t.same(order, { 1, 2, 3, 4 })
  t.serve(function() return { status = 200, body = "{}", after_ms = 1 } end)
  local start = t.now()
  go { rate = "2/min" }
  t.same(t.instants(), { start, start, start + 60000, start + 60000 })
  start = t.now()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1 } end)
  go { pace = "500ms" }
  t.same(t.instants(), { start, start + 500, start + 1000, start + 1500 })
end)

t.test("a cancelled request gives its turn back", function()
  t.serve(function() return { status = 200, body = "{}", after_ms = 1000 } end)
  local api = client { limit = { concurrency = 1 } }
  local first = task.spawn(function() post(api) end)
  task.sleep "100ms"
  local second = task.spawn(function() post(api) end)
  task.sleep "100ms"
  second:cancel()
  first:cancel()
  t.ok(post(api))
  t.same(t.instants(), { 0, 200 })
end)

-- ---- tokens ----

local TOKEN = "http://login.test/oauth/token"

local function oauth_client(changes)
  local spec = { auth = auth.client_credentials { token_url = TOKEN, id = "me", secret = secrets.new "hush-hush", style = "basic" } }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return client(spec)
end

-- A server of tokens t1, t2, ... that live `life` seconds; `refuse(token, n)` says which data requests are refused.
local function token_server(life, refuse)
  local state = { tokens = 0, data = 0 }
  t.serve(function(request)
    if request.url == TOKEN then
      state.tokens = state.tokens + 1
      local body = ('{"access_token":"token-%d","expires_in":%s}'):format(state.tokens, life or "null")
      return { status = 200, body = body, after_ms = 50 }
    end
    state.data = state.data + 1
    local token = request.headers.Authorization:match "Bearer (.*)"
    if refuse and refuse(token, state.data) then return { status = 401, body = '{"message":"Invalid login credentials."}', after_ms = 10 } end
    return { status = 200, body = "{}", after_ms = 10 }
  end)
  return state
end

t.test("one token for all who wait, by Basic header or form body", function()
  local state = token_server(3600)
  local api = oauth_client()
  task.map({ 1, 2, 3, 4 }, 4, function() return assert(post(api)) end)
  t.equal(state.tokens, 1)
  t.equal(t.requests[1].headers.Authorization, "Basic bWU6aHVzaC1odXNo")
  t.equal(t.requests[1].body, "grant_type=client_credentials")
  state = token_server(3600)
  api = oauth_client { auth = auth.client_credentials { token_url = TOKEN, id = "me&you", secret = secrets.new "a b", style = "form", scope = "x y" } }
  assert(post(api))
  t.equal(t.requests[1].body, "grant_type=client_credentials&scope=x+y&client_id=me%26you&client_secret=a+b")
  t.equal(state.tokens, 1)
end)

t.test("a token is renewed before it expires: at the smaller of 60 s and a tenth of its life", function()
  local state = token_server(3600)
  local api = oauth_client()
  assert(post(api))
  task.sleep(3539)
  assert(post(api))
  t.equal(state.tokens, 1)
  task.sleep(1)
  assert(post(api))
  t.equal(state.tokens, 2)
  state = token_server(100)
  api = oauth_client()
  assert(post(api))
  task.sleep(89)
  assert(post(api))
  t.equal(state.tokens, 1)
  task.sleep(1)
  assert(post(api))
  t.equal(state.tokens, 2)
end)

t.test("expires_in absent counts an hour, absurd values are clamped, zero still serves the request at hand", function()
  local state = token_server(nil)
  local api = oauth_client()
  assert(post(api))
  task.sleep(3530)
  assert(post(api))
  t.equal(state.tokens, 1)
  state = token_server(999999999)
  api = oauth_client()
  assert(post(api))
  task.sleep(48 * 3600)
  assert(post(api))
  t.equal(state.tokens, 2)
  state = token_server(0)
  api = oauth_client()
  assert(post(api))
  assert(post(api))
  t.equal(state.tokens, 2)
end)

t.test("a token that expires between two pages is replaced and the page sent again", function()
  local state = token_server(3600, function(token, n) return token == "token-1" and n > 1 end)
  local api = oauth_client()
  assert(post(api))
  assert(post(api))
  t.equal(state.tokens, 2)
  t.equal(state.data, 3)
end)

t.test("a 401 for an older generation just replays", function()
  local state
  state = token_server(3600, function(token, n) return token == "token-1" and n > 4 end)
  local api = oauth_client()
  assert(post(api))
  task.map({ 1, 2, 3, 4, 5, 6 }, 6, function() return assert(post(api)) end)
  t.equal(state.tokens, 2)
end)

t.test("a new generation refused before it was ever accepted ends the run", function()
  local state = token_server(3600, function() return true end)
  local response, err = post(oauth_client())
  t.equal(response, nil)
  t.equal(err.kind, "auth")
  t.equal(err.exit, 4)
  t.match(err.message, "Invalid login credentials.*region")
  t.equal(state.tokens, 2) -- the first may have been revoked since; its replacement was not
  t.same(t.instants(), { 0, 50, 60, 110 })
end)

t.test("three 401 for one request end the run", function()
  local refused = 0
  local state = token_server(3600, function(_, n)
    if n == 1 then return false end
    refused = refused + 1
    return true
  end)
  local api = oauth_client()
  assert(post(api))
  local _, err = post(api)
  t.equal(err.exit, 4)
  t.ok(refused <= 3)
  t.ok(state.tokens <= 3)
end)

t.test("invalid_client ends the run and mentions the region", function()
  t.serve(function() return answer(401, '{"error":"invalid_client","error_description":"authentication failed"}') end)
  local _, err = post(oauth_client())
  t.equal(err.kind, "auth")
  t.equal(err.exit, 4)
  t.match(err.message, "invalid_client.*region")
  t.equal(#t.requests, 1)
  t.serve(function() return answer(400, '{"error":"invalid_client"}') end)
  _, err = post(oauth_client())
  t.equal(err.exit, 4)
end)

t.test("the token endpoint follows the same table", function()
  local calls = 0
  t.serve(function(request)
    calls = calls + 1
    if calls == 1 then return answer(503) end
    if calls == 2 then return answer(429, "{}", { { "Retry-After", "5" } }) end
    if calls == 3 then return answer(200, "<html>") end
    return request.url == TOKEN and answer(200, '{"access_token":"x-token"}') or GOOD
  end)
  assert(post(oauth_client()))
  t.same(t.instants(), { 0, 30000, 35000, 36000, 36000 })
end)

t.test("a static token that is refused ends the run", function()
  script { answer(401, '{"message":"no"}') }
  local _, err = post(client { auth = auth.bearer(secrets.new "static-token") })
  t.equal(err.exit, 4)
  t.equal(#t.requests, 1)
end)

-- ---- origins and redirects ----

t.test("a redirect within the origin is followed, 303 by GET without a body", function()
  t.serve(function(request)
    if request.url:find "/q$" then return answer(303, "", { { "Location", "/v1/other" } }) end
    t.equal(request.method, "GET")
    t.equal(request.body, "")
    t.equal(request.headers.Authorization, "Bearer static-token")
    return GOOD
  end)
  assert(post(client { auth = auth.bearer(secrets.new "static-token") }))
  t.equal(t.requests[2].url, "http://api.test/v1/other")
end)

t.test("307 keeps method and body; a loop of redirects has a bound", function()
  script { answer(307, "", { { "Location", "/v1/q2" } }), GOOD }
  assert(post(client()))
  t.equal(t.requests[2].method, "POST")
  t.equal(t.requests[2].body, '{"a":1}')
  script { answer(302, "", { { "Location", "/v1/q" } }) }
  local _, err = post(client())
  t.match(err.message, "more than 5 redirects")
end)

t.test("a redirect to another origin is refused: it never sees a credential", function()
  t.serve(function(request)
    t.ok(request.url:find "^http://api.test/")
    return answer(302, "", { { "Location", "http://evil.test/v1/q" } })
  end)
  local _, err = post(client { auth = auth.bearer(secrets.new "static-token") })
  t.equal(err.kind, "denied")
  t.equal(err.exit, 1)
  t.match(err.message, "evil.test")
  t.equal(#t.requests, 1)
end)

t.test("a next link to another origin is refused, one under the prefix is not", function()
  local api = client()
  t.equal(api:resolve("/v1/next?page=2", BASE .. "/q"), "http://api.test/v1/next?page=2")
  t.equal(api:resolve("/next", BASE .. "/q"), "http://api.test/v1/next")
  local link, err = api:resolve("http://evil.test/next", BASE .. "/q")
  t.equal(link, nil)
  t.match(err.message, "another origin")
end)

-- ---- secrets and variables ----

t.test("no event and no error ever holds a secret or one of its forms", function()
  t.serve(function(request)
    if request.url == TOKEN then return answer(400, '{"error":"x","error_description":"bad secret hush-hush in bWU6aHVzaC1odXNo"}') end
    return GOOD
  end)
  local _, err = post(oauth_client())
  t.ok(err)
  local log = require "quern.log"
  log.info("the secret is hush-hush", { form = "hush%2Dhush" })
  t.ok(#t.event_text() > 0)
  t.ok(not t.event_text():find("hush-hush", 1, true))
  t.ok(not t.event_text():find("aHVzaC1odXNo", 1, true))
end)

t.test("a variable that is not set is named before anything is sent", function()
  t.setenv("QUERN_TEST_TOKEN", nil)
  t.serve(function() return GOOD end)
  local api, err = http.client { base_url = BASE, auth = auth.bearer { kind = "secret_env", name = "QUERN_TEST_TOKEN" } }
  t.equal(api, nil)
  t.equal(err.exit, 2)
  t.match(err.message, "QUERN_TEST_TOKEN")
  t.equal(#t.requests, 0)
end)

t.test("a misspelt option of a client is refused", function()
  t.raises(function() http.client { base_ur = BASE } end, "no option 'base_ur'; did you mean 'base_url'%?")
end)
