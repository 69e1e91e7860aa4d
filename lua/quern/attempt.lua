--- One request with its retries: auth, gate, exchange, and what the failure table says to the answer.
---
--- A lane is what requests of one kind share: `base`, `own` (URLs whose origins may see secrets), `gate`, `policy`,
--- `breaker`, `counts` and, for an API, `authorizer`; `hint` says what to do about a 401 without one; `patience`, if it is to be waited
--- for instead of deferred; `quiet`: its troubles alert nobody. A client is the lane of its API; the token endpoint has its own, so
--- that its troubles neither hold the API's gate nor open its circuit.
local errors = require "quern.core.error"
local event = require "quern.core.event"
local exchange = require "quern.exchange"
local flow = require "quern.core.flow"
local header = require "quern.core.header"
local task = require "quern.core.task"
local patiences = require "quern.patience"

local M = {}

local NETWORK = { dns = true, connect = true, timeout = true, reset = true, truncated = true, failed = true }
local CLASSES = { retry = true, split = true, restart = true, fail = true, skip = true }
local END_KINDS = { [400] = "invalid", [401] = "auth", [403] = "forbidden" }

-- ---- what an outcome means ----
-- Each answers an outcome in the words of quern.core.flow and the error that stands if nothing else helps.

local HINTS = {
  [403] = "the client lacks a permission: give its role the scope or permission that this endpoint needs",
}

local function of_transport(request, result)
  local kind = NETWORK[result.kind] and "network" or result.kind
  local what = result.message and result.message ~= "" and result.message or result.kind
  local place = kind == "network" and exchange.place(request) or exchange.whole_place(request)
  local hint = kind == "tls" and "; if the server's certificate is issued by your own authority, name it with --ca-file" or ""
  return { outcome = kind, never_sent = result.never_sent },
    errors.new(kind, ("%s: %s%s"):format(place, what, hint), { retryable = kind == "network", cause = result.kind })
end

local function of_body(request, response, err)
  local what = tostring(err and err.message or "it was not accepted")
  if (response.headers["content-type"] or ""):lower():find "^%s*text/html" then what = "an HTML page; " .. what end
  return { outcome = "body" }, errors.new("body", ("%s answered %d with a body that cannot be used: %s"):format(
    exchange.whole_place(request), response.status, what), { retryable = true, status = response.status })
end

local function of_status(request, response)
  local text, oauth_error, context = exchange.words(response)
  local hint = HINTS[response.status]
  local outcome = { outcome = "status", status = response.status }
  if response.headers["retry-after"] then
    outcome.retry_after_ms = header.retry_after(response.headers["retry-after"], task.wall())
  end
  if response.status == 400 and text then
    outcome.about_size, outcome.about_cursor = flow.about_size(text), flow.about_cursor(text)
  end
  local message = ("%s answered %d%s%s"):format(exchange.whole_place(request), response.status,
    text and ": " .. text or "", hint and "; " .. hint or "")
  return outcome, errors.new("status", message, { status = response.status, oauth_error = oauth_error, correlation = context })
end

-- Nothing when the response is good; `false` and an error when `accept` failed for a reason that no retry mends.
local function outcome_of(request, result, response, opts)
  if result.kind ~= "answer" then return of_transport(request, result) end
  local status = response.status
  local whole = status >= 200 and status < 300 and (status ~= 204 or opts.empty_ok or not opts.accept)
  if not whole then return of_status(request, response) end
  if not opts.accept then return nil end
  local value, err = opts.accept(response)
  if value ~= nil then
    response.accepted = value
    return nil
  end
  if errors.is(err) and err.kind ~= "body" then return false, err end
  return of_body(request, response, err)
end

-- ---- the loop ----

---@class quern.Sending  one request on its way
local Sending = {}
Sending.__index = Sending

-- However it ends: if it was the probe, another one is.
function Sending:__close()
  if self.lane.patience then self.lane.patience:leave(self) end
end

-- Another attempt is counted by its cause: a status, "reset", "body", ...
function Sending:count(err)
  local why = err.cause or (err.kind == "status" and tostring(err.status)) or err.kind
  local counts = self.lane.counts
  counts.retries = counts.retries + 1
  counts.causes[why] = (counts.causes[why] or 0) + 1
  return why
end

function Sending:tell(err, wait_ms)
  local why = self:count(err)
  event.emit { type = "retry", why = why, status = err.status, wait_ms = wait_ms, attempt = self.attempt, leaf = self.opts.leaf,
               message = tostring(err.message) }
  if wait_ms >= 1000 then
    event.emit { type = "waiting", reason = why, ms = wait_ms, leaf = self.opts.leaf }
    if self.opts.on_wait then self.opts.on_wait(why, wait_ms) end
  end
end

-- Waits before the next attempt. A wait that all share is the gate's; any other ends early when the circuit opens.
function Sending:pause(wait_ms, shared, err)
  self:tell(err, wait_ms)
  if shared then return self.lane.gate:hold(wait_ms) end
  local breaker, until_ms = self.lane.breaker, task.now() + wait_ms
  while task.now() < until_ms and not breaker:open(task.now()) do
    local left_ms = until_ms - task.now()
    task.sleep(math.min(left_ms, breaker:left(task.now()) or left_ms))
  end
end

-- Tells those who operate the run; at most once until the trouble is over.
function Sending:alert(what, reason)
  local patience = self.lane.patience
  if self.lane.alerted ~= what and not self.lane.quiet then
    event.emit { type = "alert", alert = what, reason = reason, ["until"] = patience and patience["until"] }
  end
  self.lane.alerted = what
end

function Sending:deferred(reason, status)
  local what = self.last and tostring(self.last.message) or exchange.whole_place(self.request) .. " was not sent"
  return errors.new("deferred", ("%s; %s"):format(what, reason), { exit = 75, status = status })
end

-- Nothing while the request may be sent, else the error that defers it. With patience it waits until it may.
function Sending:admit()
  local lane = self.lane
  local patience = lane.patience
  if (not patience or patience:free(self)) and lane.breaker:open(task.now()) then
    local reason = ("nothing but 503 for %d s"):format(lane.policy.breaker_ms // 1000)
    if patience then patience:trouble(self, "503", ("%s from %s"):format(reason, lane.base)) end
    self:alert("circuit_open", ("the circuit is open: %s from %s"):format(reason, lane.base))
    if not patience then return self:deferred(reason, 503) end
  end
  return self:stay(patience) or self:stay(self.patience)
end

-- Waits as long as a patience says; the failure table begins anew then. Answers the error if it has come to its end.
function Sending:stay(patience)
  if not patience then return nil end
  local waited = patience:pass(self, self.opts.on_wait and function(ms) self.opts.on_wait("unavailable", ms) end)
  if waited == nil then return self:deferred("no answer for 24 hours", self.last and self.last.status) end
  if waited then self.state, self.started_ms = flow.retry(self.lane.policy), nil end
end

-- The patience whose probe this request is, or nil.
function Sending:probing()
  for _, patience in pairs { self.lane.patience, self.patience } do
    if patience.prober == self then return patience end
  end
end

-- A request that met nothing but 503 while others succeed waits for itself; any other deferral concerns the lane.
function Sending:patience_for(status)
  if status ~= 503 or self:probing() then return self:probing() or self.lane.patience end
  self.patience = self.patience or patiences.new()
  return self.patience
end

-- What a probe's answer says about the API. True: it is still not available, and the next pause has begun.
function Sending:probed(status, outcome, err)
  local patience = self:probing()
  if not patience then return false end
  if status == 503 or (outcome and outcome.never_sent) then
    patience:trouble(self, self:count(err), tostring(err.message), outcome.retry_after_ms)
    return true
  end
  if status ~= 429 then
    patience:back()
    self.lane.alerted = nil
  end
  return false
end

-- 401: replay with a newer token (true), or the end.
function Sending:unauthorized(err, generation)
  local authorizer = self.lane.authorizer
  if authorizer and authorizer:refused(generation) == "replay" then
    self:count(err)
    event.emit { type = "unauthorized", generation = generation, leaf = self.opts.leaf }
    return true
  end
  return false, self:refused(err)
end

function Sending:refused(err)
  local authorizer = self.lane.authorizer
  local hint = authorizer and authorizer.hint or self.lane.hint or "no credentials were sent: give the client auth"
  return errors.new("auth", ("%s; %s"):format(tostring(err.message), hint), { exit = 4, status = 401, oauth_error = err.oauth_error })
end

-- "…; all attempts are used up (6 sent in 31 s)"
function Sending:because(err, why)
  if not why then return tostring(err.message) end
  return ("%s; %s (%d sent in %d s)"):format(tostring(err.message), why, self.attempt, (task.now() - self.started_ms) // 1000)
end

-- What each verdict of the failure table does: true (again), or false and the error.
local verdicts = {
  wait = function(self, verdict, err)
    self:pause(verdict.wait_ms, verdict.shared, err)
    return true
  end,
  auth = function(self, _, err, generation)
    return self:unauthorized(err, generation)
  end,
  split = function(self, verdict, err)
    return false, errors.new(err.status == 504 and "split" or "too_large", self:because(err, verdict.why), { status = err.status })
  end,
  restart = function(_, _, err)
    return false, errors.new("restart", tostring(err.message), { status = err.status })
  end,
  defer = function(self, verdict, err)
    local message = self:because(err, verdict.why)
    if not self.lane.patience then
      self:alert("deferred", message)
      return false, errors.new("deferred", message, { exit = 75, status = err.status })
    end
    local why = self:count(err)
    self:patience_for(err.status):trouble(self, why, message, verdict.retry_after_ms)
    self:alert("waiting", message)
    return true
  end,
  ["end"] = function(self, verdict, err)
    if err.status == 401 then return false, self:refused(err) end
    err.exit = verdict.exit
    err.kind = END_KINDS[err.status] or err.kind
    return false, err
  end,
  fail = function(self, verdict, err)
    err.unclear = self.request.safe == false and verdict.why ~= nil or nil -- it may have arrived, or not
    err.message = self:because(err, verdict.why)
    return false, err
  end,
}

-- What the script's classify says to an answer, or nil.
function Sending:classified(response)
  local class = response and self.opts.classify and self.opts.classify(response)
  if class ~= nil and not CLASSES[class] then
    error(errors.new("script", ("classify answered '%s'; it may answer retry, split, restart, fail, skip or nil"):format(tostring(class)),
      { exit = 1 }), 0)
  end
  return class
end

local function of_class(class, request, response)
  local text = exchange.words(response)
  local message = ("%s answered %d%s, which the query classifies as %s"):format(exchange.whole_place(request), response.status,
    text and ": " .. text or "", class)
  local kind = (class == "retry" or class == "fail") and "status" or class
  local err = errors.new(kind, message, { status = response.status, retryable = class == "retry" })
  if class == "retry" then return { outcome = "network" }, err end
  return false, err
end

-- An answer that tells nothing about the token: it may come from a gateway in front of the API.
local NO_PROOF = { [401] = true, [408] = true, [425] = true, [429] = true }

-- What an answer means: nothing when it is good, else the outcome (or false: no retry mends it) and the error. The event of the
-- exchange is told then.
function Sending:outcome(result, response, sent, told)
  local _ <close> = told -- whatever accept or classify raise
  local class = self:classified(response)
  local outcome, err
  if class then outcome, err = of_class(class, sent, response)
  else outcome, err = outcome_of(sent, result, response, self.opts) end
  if outcome ~= nil then
    told:add { error = tostring(err.message), correlation = err.correlation }
  elseif type(response.accepted) == "table" then
    told:add { records = math.tointeger(response.accepted.count) }
  end
  return outcome, err
end

-- Judges one turn: the response when it is good; false and an error when it is over; nothing: once more.
function Sending:judge(response, generation, outcome, err)
  local lane = self.lane
  local status = response and response.status
  lane.breaker:note(status == 503, task.now())
  if status and status < 500 and not NO_PROOF[status] and lane.authorizer then lane.authorizer:accepted(generation) end
  if not outcome then
    self:probed(status)
    if outcome == nil then return response end
    return false, err
  end
  self.last = err
  if self:probed(status, outcome, err) then return nil end
  outcome.safe = self.request.safe ~= false
  outcome.chance = task.random()
  outcome.stale_token = status == 401 and lane.authorizer ~= nil and not lane.authorizer:holds(generation)
  local verdict = { retry_after_ms = outcome.retry_after_ms }
  verdict.action, verdict.wait_ms, verdict.shared, verdict.exit, verdict.why = self.state:decide(outcome, task.now())
  local again, final = verdicts[verdict.action](self, verdict, err, generation)
  if not again then return false, final end
end

local function authorized(request, name, value)
  local copy, headers = {}, {}
  for key, item in pairs(request) do copy[key] = item end
  for key, item in pairs(request.headers) do
    if key:lower() ~= name:lower() then headers[key] = item end
  end
  headers[name] = value
  copy.headers = headers
  return copy
end

-- One turn through the gate. Answers result, response, the request as sent, its event, and the token's generation; or nil, err; or
-- false: the lane began to wait while this one waited for its turn.
function Sending:turn()
  local lane, request = self.lane, self.request
  local authorizer = lane.authorizer
  local name, value, generation
  if authorizer then
    name, value, generation = authorizer:header()
    if not name then return nil, value end
  end
  local asked_ms = task.now()
  local _ <close> = lane.gate:enter()
  if authorizer and task.now() > asked_ms then -- the token may have grown old while its user waited for a turn
    name, value, generation = authorizer:header()
    if not name then return nil, value end
  end
  if lane.patience and not lane.patience:free(self) then return false end
  self.attempt = self.attempt + 1
  self.started_ms = self.started_ms or task.now()
  self.state:begin(task.now())
  if name then request = authorized(request, name, value) end
  local result, response, sent, told = exchange.send(lane, request, { attempt = self.attempt, leaf = self.opts.leaf })
  return result, response, sent, told, generation
end

--- Sends until an answer is accepted or the failure table ends it. Waits.
---@async
---@param lane table  see above
---@param request { method: string, url: string, headers: table, body: any, safe: boolean? }
---@param opts { accept: function?, classify: function?, leaf: string?, empty_ok: boolean?, on_wait: function? }  `empty_ok`: 204
---  is an answer that `accept` may judge
---@return quern.Response? response
---@return table? err
function M.send(lane, request, opts)
  local sending <close> = setmetatable({ lane = lane, request = request, opts = opts, state = flow.retry(lane.policy), attempt = 0 }, Sending)
  while true do
    local deferred = sending:admit()
    if deferred then return nil, deferred end
    local result, response, sent, told, generation = sending:turn()
    if result == nil then return nil, response end
    if result then
      local good, err = sending:judge(response, generation, sending:outcome(result, response, sent, told))
      if good then return good end
      if response then response.body:release() end -- a refused body must not wait for the collector
      if err then return nil, err end
    end
  end
end

return M
