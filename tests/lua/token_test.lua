-- Tokens: one for all who wait, renewed in time, and what a 401 means.
local t = require "harness"
local helpers = require "api"
local auth = require "quern.auth"
local task = require "quern.task"
local secrets = require "quern.core.secret"

local TOKEN, GOOD, BACKOFF, answer, fault = helpers.TOKEN, helpers.GOOD, helpers.BACKOFF, helpers.answer, helpers.fault
local script, client, post, oauth_client, token_server = helpers.script, helpers.client, helpers.post, helpers.oauth_client, helpers.token_server

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

t.test("a request whose token others' 401 drop, again and again, is not to blame", function()
  local state = { tokens = 0 }
  t.serve(function(request)
    if request.url == TOKEN then
      state.tokens = state.tokens + 1
      return answer(200, ('{"access_token":"token-%d"}'):format(state.tokens))
    end
    local token = tonumber(request.headers.Authorization:match "%d+$")
    if request.url:find "/slow$" then return token <= 5 and { status = 401, body = "{}", after_ms = 1000 } or GOOD end
    if request.url:find "/first$" then return GOOD end
    return token <= 5 and { status = 401, body = "{}", after_ms = 900 } or GOOD
  end)
  local api = oauth_client()
  local slow = task.spawn(function() return api:get "/slow" end)
  for _ = 1, 5 do
    task.sleep "100ms"
    task.spawn(function() return api:get "/other" end)
    task.sleep "400ms"
    assert(api:get "/first")
    task.sleep "700ms"
  end
  local _, response, err = slow:join()
  t.equal(err, nil)
  t.equal(response.status, 200)
end)

t.test("three 401 for one request end the run, though others are served", function()
  local state, refused = { tokens = 0 }, 0
  t.serve(function(request)
    if request.url == TOKEN then
      state.tokens = state.tokens + 1
      return answer(200, ('{"access_token":"token-%d"}'):format(state.tokens))
    end
    if request.url:find "/fine$" then return GOOD end
    refused = refused + 1
    return { status = 401, body = "{}", after_ms = 100 }
  end)
  local api = oauth_client()
  local other = task.spawn(function()
    while true do
      assert(api:get "/fine")
      task.sleep "10ms"
    end
  end)
  local _, err = post(api)
  other:cancel()
  t.equal(err.exit, 4)
  t.equal(refused, 3)
  t.equal(state.tokens, 3)
end)

t.test("a token that grew old while its user waited for a turn is renewed first", function()
  local state = token_server(10)
  local api = oauth_client { limit = { pace = "20s" } }
  task.map({ 1, 2 }, 2, function() return assert(post(api)) end)
  t.equal(state.tokens, 2)
  t.same(t.instants(), { 0, 50, 20050, 20100 })
end)

t.test("others use the old token while the new one is on its way", function()
  local state, slow = { tokens = 0 }, 0
  t.serve(function(request)
    if request.url ~= TOKEN then return GOOD end
    state.tokens = state.tokens + 1
    slow = slow + 1
    return { status = 200, body = ('{"access_token":"token-%d","expires_in":100}'):format(state.tokens), after_ms = slow == 2 and 5000 or 0 }
  end)
  local api = oauth_client()
  assert(post(api))
  task.sleep "90s"
  local fetching = task.spawn(function() return assert(post(api)) end)
  task.sleep "1s"
  assert(post(api))
  t.equal(t.requests[#t.requests].headers.Authorization, "Bearer token-1")
  t.equal(t.now(), 91000)
  assert(fetching:join())
  t.equal(t.requests[#t.requests].headers.Authorization, "Bearer token-2")
end)

t.test("all who wait for a token learn how its fetch failed; nobody asks again", function()
  script { fault("connect", { never_sent = true }) }
  local api = oauth_client()
  local failures = task.map({ 1, 2, 3 }, 3, function() return (select(2, post(api))) end)
  t.same(t.instants(), BACKOFF)
  for _, err in ipairs(failures) do t.equal(err.kind, "network") end
  t.ok(failures[1] ~= failures[2]) -- each may say what it likes about its own
end)

t.test("when the one who fetches is cancelled, another takes over", function()
  local state = token_server(3600)
  local api = oauth_client()
  local first = task.spawn(function() post(api) end)
  task.sleep "10ms"
  local second = task.spawn(function() return assert(post(api)) end)
  task.sleep "10ms"
  first:cancel()
  assert(second:join())
  t.equal(state.tokens, 2)
  t.same(t.instants(), { 0, 20, 70 })
end)

t.test("what the token endpoint says is never about the size of a leaf", function()
  for status, kind in pairs { [413] = "status", [504] = "status", [404] = "status", [400] = "invalid", [403] = "forbidden" } do
    t.serve(function() return answer(status) end)
    local _, err = post(oauth_client())
    t.equal(err.kind, kind)
    t.equal(err.exit, ({ invalid = 5, forbidden = 4 })[kind])
  end
  script { answer(200, '{"access_token":"a\\nb"}') }
  local _, err = post(oauth_client())
  t.equal(err.kind, "body")
  t.equal(#t.requests, 6)
end)

t.test("the token endpoint's troubles do not hold the API's gate", function()
  local calls = 0
  t.serve(function(request)
    if request.url ~= TOKEN then return GOOD end
    calls = calls + 1
    if calls == 1 then return answer(200, '{"access_token":"token-1","expires_in":100}') end
    return answer(429, "{}", { { "Retry-After", "60" } })
  end)
  local api = oauth_client()
  assert(post(api))
  task.sleep "91s"
  local stuck = task.spawn(function() post(api) end)
  task.sleep "1s"
  assert(post(api))
  t.equal(t.now(), 92000)
  stuck:cancel()
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
  t.match(err.message, "^the token endpoint refused the client %(invalid_client%): POST /oauth/token at login.test answered 401: "
    .. "authentication failed; check the client id and secret, and that the region")
  t.equal(#t.requests, 1)
  t.serve(function() return answer(400, '{"error":"invalid_client"}') end)
  _, err = post(oauth_client())
  t.equal(err.exit, 4)
  t.match(err.message, "region")
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
  t.setenv("QUERN_TEST_TOKEN", "a-wrong-token")
  _, err = post(client { auth = auth.bearer { token = { kind = "secret_env", name = "QUERN_TEST_TOKEN" } } })
  t.setenv("QUERN_TEST_TOKEN", nil)
  t.match(err.message, "answered 401: no; the API does not accept the bearer token %(QUERN_TEST_TOKEN%)$")
end)
