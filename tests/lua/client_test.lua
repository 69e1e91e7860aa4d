-- Where requests may go, what they carry, and what is told about them.
local t = require "harness"
local helpers = require "api"
local http = require "quern.http"
local auth = require "quern.auth"
local secrets = require "quern.core.secret"

local BASE, TOKEN, GOOD, answer, fault = helpers.BASE, helpers.TOKEN, helpers.GOOD, helpers.answer, helpers.fault
local script, client, post, oauth_client = helpers.script, helpers.client, helpers.post, helpers.oauth_client

-- ---- origins and redirects ----

t.test("a request by URL to another origin is not sent with a credential", function()
  script { GOOD }
  local secret = secrets.new "static-token"
  for _, changes in ipairs { { auth = auth.bearer(secret) }, { auth = auth.basic("me", secret) }, { headers = { ["X-Key"] = secret } },
                             { auth = auth.api_key { header = "X-Key", secret = secret } } } do
    local _, err = client(changes):send { url = "http://evil.test/v1/q" }
    t.equal(err.kind, "denied")
    t.match(err.message, "evil.test.*http://api.test")
  end
  local _, err = client():send { url = "http://evil.test/v1/q", form = { password = secret } }
  t.equal(err.kind, "denied")
  t.equal(#t.requests, 0)
end)

t.test("a client without secrets may be led to another origin", function()
  script { answer(302, "", { { "Location", "http://files.test/data" } }), GOOD }
  local response = assert(client():get "/q")
  t.equal(response.url, "http://files.test/data")
end)

t.test("the login origin may see the client's secrets", function()
  t.serve(function(request)
    if request.url == TOKEN then return answer(200, '{"access_token":"token-1"}') end
    if request.url:find "/q$" then return answer(307, "", { { "Location", "http://login.test/q2" } }) end
    return GOOD
  end)
  assert(post(oauth_client()))
  t.equal(t.requests[3].url, "http://login.test/q2")
  t.equal(t.requests[3].headers.Authorization, "Bearer token-1")
end)

t.test("the token request is not led to another origin", function()
  script { answer(307, "", { { "Location", "http://evil.test/oauth/token" } }) }
  local _, err = post(oauth_client())
  t.equal(err.kind, "denied")
  t.equal(err.exit, 1)
  t.equal(#t.requests, 1)
end)

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

t.test("secrets travel in headers and forms, never in URLs", function()
  script { GOOD }
  local key = secrets.new "k&y"
  assert(client():send { method = "POST", path = "/f", form = { b = key, a = "x y" }, headers = { ["X-Key"] = key } })
  t.equal(t.requests[1].body, "a=x+y&b=k%26y")
  t.equal(t.requests[1].headers["X-Key"], "k&y")
  local _, err = client():get("/f", { query = { key = key } })
  t.equal(err.exit, 2)
  t.match(err.message, "'key' is a secret")
  t.equal(#t.requests, 1)
end)

t.test("url query: lists repeat, times and numbers are written", function()
  script { GOOD }
  local instant = require "quern.instant"
  assert(client():get("/f", { query = { id = { "a", "b" }, at = instant.new(0), n = 12 } }))
  t.equal(t.requests[1].url, "http://api.test/v1/f?at=1970-01-01T00%3A00%3A00.000Z&id=a&id=b&n=12")
end)

t.test("events tell each request, each retry and each wait", function()
  script { answer(429, "{}", { { "Retry-After", "12" } }), fault "reset", GOOD }
  local waits = {}
  assert(post(client(), nil, { leaf = "L", on_wait = function(reason, ms) waits[#waits + 1] = reason .. " " .. ms end }))
  local sent, retries, waiting = t.events "request", t.events "retry", t.events "waiting"
  t.equal(#sent, 3)
  t.equal(sent[1].status, 429)
  t.equal(sent[2].error, "reset by test")
  t.equal(sent[3].attempt, 3)
  t.equal(sent[3].leaf, "L")
  t.equal(sent[3].url, "http://api.test/v1/q")
  t.equal(#retries, 2)
  t.equal(retries[1].why, "429")
  t.equal(retries[1].wait_ms, 12000)
  t.equal(retries[2].why, "reset")
  t.equal(waiting[1].reason, "429")
  t.equal(waiting[1].ms, 12000)
  t.same(waits, { "429 12000", "reset 1000" })
end)

t.test("no event and no error ever holds a secret or one of its forms", function()
  t.serve(function(request)
    if request.url == TOKEN then return answer(400, '{"error":"x","error_description":"bad secret hush-hush in bWU6aHVzaC1odXNo"}') end
    return GOOD
  end)
  local api = oauth_client() -- a secret is guarded as long as its client lives
  local _, err = post(api)
  t.ok(err)
  t.ok(not err.message:find("hush-hush", 1, true))
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

t.test("a secret may stand in a header, a form or a JSON body of a request, as a handle or by the name of its variable", function()
  t.setenv("QUERN_TEST_KEY", 'k"e\ny-1')
  t.serve(function() return { status = 200, body = "{}" } end)
  local quern = require "quern"
  local api = assert(require("quern.http").client { base_url = "http://api.test" })
  local key, other = quern.secret.env "QUERN_TEST_KEY", secrets.new "second-key"
  assert(api:send { path = "/", method = "POST", json = { a = { key, other }, b = "plain", key = key } })
  assert(api:send { path = "/", method = "POST", json = require("quern.json").decode '{"list":[],"ids":["a"]}' })
  t.equal(t.requests[2].body, '{"ids":["a"],"list":[]}')
  t.equal(t.requests[1].body, '{"a":["k\\"e\\ny-1","second-key"],"b":"plain","key":"k\\"e\\ny-1"}')
  assert(api:send { path = "/", method = "POST", form = { key = key } })
  t.equal(t.requests[3].body, "key=k%22e%0Ay-1")
  assert(api:send { path = "/", headers = { ["X-Key"] = other } })
  t.equal(t.requests[4].headers["X-Key"], "second-key")
  t.raises(function() api:send { path = "/", headers = { ["X-Key"] = quern.secret.env "QUERN_TEST_NONE" } } end, "QUERN_TEST_NONE is not set")
  t.ok(not t.event_text():find("second-key", 1, true))
  t.setenv("QUERN_TEST_KEY", nil)
end)
