--- Alerts (`--alert-url URL`): tells operations staff that the API is not available, or how a run ended, by a POST of JSON.
---
--- They are sent while the run goes on and never change what becomes of it. Such URLs often hold a token in their path: only the
--- origin is ever printed. Nothing of the run's credentials goes there.
local core = require "quern.core.event"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local url = require "quern.core.url"
local attempt = require "quern.attempt"
local feed = require "quern.feed"
local http = require "quern.http"
local limit = require "quern.limit"
local retry = require "quern.retry"

local M = {}

local LAST_MS = 60000 -- for what is still to be sent when the run has ended
local HURRY_MS = 10000 -- after an interrupt
local LONG_PATH = 12 -- bytes: a path that may be a token and is not a word that occurs elsewhere

---@class quern.Alerts
local Alerts = {}
Alerts.__index = Alerts

local function lane_of(origin)
  local lane = http.client {
    base_url = origin, limit = limit.new { concurrency = 1 },
    retry = retry.new { attempts = 4, max_elapsed = "60s", max_wait = "30s", unavailable = "5s", breaker = "10m" },
  }
  if lane then lane.quiet, lane.patience = true, nil end
  return lane
end

-- "https://hooks.example.com", without user and path.
local function shown(text)
  local scheme, authority = text:match "^(%a[%w+.-]*://)([^/?#]*)"
  return scheme .. authority:gsub("^.*@", "")
end

local function message_of(alerts, event)
  local message = { type = event.alert, reason = event.reason, run = alerts.run, query = alerts.query, script = alerts.script, time = event.time,
                    exit = event.exit, ["until"] = event["until"], rows = event.rows, holes = event.holes }
  return secrets.redact(json.encode(message))
end

local function send(alerts, event)
  if event.type == "run_started" then
    if not event.parent then alerts.query = event.query end
    return
  end
  local _, err = attempt.send(alerts.lane, {
    method = "POST", url = alerts.url, shown = alerts.shown, headers = { ["Content-Type"] = "application/json" }, body = message_of(alerts, event),
  }, {})
  if err then
    core.emit { type = "log", level = "warn", message = ("the alert '%s' could not be sent: %s"):format(event.alert, tostring(err.message)) }
  end
end

--- Begins to send alerts, in a task of the caller's.
---@param opts { alert_url: string, run_id: string, script: string? }
---@return quern.Alerts? alerts
---@return table? err  kind "usage": it is not a URL
function M.start(opts)
  local text = opts.alert_url
  local origin = text:find "^https?://[^/?#]" and url.origin(text)
  local lane = origin and lane_of(origin)
  if not lane then
    return nil, errors.new("usage", "--alert-url: it is not a URL such as https://hooks.example.com/path", { exit = 2 })
  end
  local path = text:match "^%a[%w+.-]*://[^/?#]*(.*)$"
  local alerts = setmetatable({ url = text, shown = shown(text), lane = lane, run = opts.run_id, script = opts.script,
                                secret = #path >= LONG_PATH and secrets.new(path) or nil }, Alerts)
  alerts.feed = feed.start("--alert-url", function(event) send(alerts, event) end, { type = { "alert", "run_started" } })
  return alerts
end

local ENDS = { [3] = "incomplete", [75] = "deferred" }
local NOBODYS = { [0] = true, [130] = true, [141] = true } -- well, interrupted by a person, or the reader went away

--- Tells how the run ended, and waits until everything has been sent or given up.
---@async
---@param result table  of the command: exit, message, and what a summary has
function Alerts:finish(result)
  if not NOBODYS[result.exit] then
    core.emit { type = "alert", alert = ENDS[result.exit] or "failed", reason = result.message, exit = result.exit, rows = result.rows,
                holes = result.holes and #result.holes }
  end
  self.feed:close(result.exit == 130 and HURRY_MS or LAST_MS)
end

return M
