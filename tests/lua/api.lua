--- What the tests of the HTTP client share: a client of a simulated API, scripted answers, and a server of tokens.
local t = require "harness"
local http = require "quern.http"
local auth = require "quern.auth"
local secrets = require "quern.core.secret"

local M = {
  BASE = "http://api.test/v1",
  TOKEN = "http://login.test/oauth/token",
  GOOD = { status = 200, headers = { { "Content-Type", "application/json" } }, body = "{}" },
  BACKOFF = { 0, 1000, 3000, 7000, 15000, 31000 }, -- six attempts: 1, 2, 4, 8, 16 s between them
}

function M.answer(status, body, headers)
  return { status = status, body = body or "{}", headers = headers or {} }
end

function M.fault(kind, fields)
  local result = { kind = kind, message = kind .. " by test" }
  for key, value in pairs(fields or {}) do result[key] = value end
  return result
end

--- Answers are used up one after another; the last one is repeated.
function M.script(answers)
  local at = 0
  t.serve(function()
    at = math.min(at + 1, #answers)
    return answers[at]
  end)
end

--- A client without jitter, so that instants are exact.
function M.client(changes)
  local spec = { base_url = M.BASE, retry = { jitter = false } }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return assert(http.client(spec))
end

function M.post(api, request, opts)
  local full = { method = "POST", path = "/q", json = { a = 1 } }
  for key, value in pairs(request or {}) do full[key] = value end
  return api:send(full, opts)
end

function M.oauth_client(changes)
  local spec = { auth = auth.client_credentials { token_url = M.TOKEN, id = "me", secret = secrets.new "hush-hush", style = "basic" } }
  for key, value in pairs(changes or {}) do spec[key] = value end
  return M.client(spec)
end

--- A server of tokens t1, t2, ... that live `life` seconds; `refuse(token, n)` says which data requests are refused.
function M.token_server(life, refuse)
  local state = { tokens = 0, data = 0 }
  t.serve(function(request)
    if request.url == M.TOKEN then
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

return M
