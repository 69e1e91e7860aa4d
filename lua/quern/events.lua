--- The one event stream: everything a run does, as it happens. Progress, log, audit, alerts and hooks only read it.
---
---     local events = quern.events
---     local watch = events.subscribe(function(event) count = count + 1 end, { type = "page" })
---     events.emit("queue_loaded", { queues = 12 })        -- type "script.queue_loaded"
---     watch:close()
---
--- The types of the library's own events are listed in docs/reference/summary.md. Main state only: a transform neither emits nor
--- listens.
local core = require "quern.core.event"
local errors = require "quern.core.error"
local json = require "quern.core.json"
local secrets = require "quern.core.secret"
local options = require "quern.options"

local M = {}

local OWN = "script." -- before the types of scripts, so that they never collide with the library's

local subscriptions = {} -- replaced, never changed: a subscriber may close itself or another while an event is told

-- ---- what subscribers see ----

-- A copy that its reader may keep and change, without secrets.
local function plain(value)
  if type(value) == "string" then return secrets.redact(value) end
  if secrets.is(value) then return "[secret]" end
  if type(value) ~= "table" or (getmetatable(value) and not json.is_array(value)) then return value end
  local copy = json.is_array(value) and json.array {} or {}
  for key, item in pairs(value) do copy[key] = plain(item) end
  return copy
end

local function tell(subscription, event)
  subscription.busy = true -- what it emits by itself is not told to it again
  local ok, err = pcall(subscription.fn, plain(event))
  subscription.busy = false
  if ok then return end
  subscription:close()
  core.emit { type = "log", level = "error", message = ("a subscriber of events failed and was removed: %s"):format(tostring(err)) }
end

local function deliver(event)
  for _, subscription in ipairs(subscriptions) do
    if subscription.fn and not subscription.busy and (not subscription.types or subscription.types[event.type]) then
      tell(subscription, event)
    end
  end
end

-- ---- subscriptions ----

---@class quern.Subscription
local Subscription = {}
Subscription.__index = Subscription
Subscription.__name = "quern.subscription"

--- No event is told any more. Twice is fine.
function Subscription:close()
  self.fn = nil
  local left = {}
  for _, other in ipairs(subscriptions) do
    if other ~= self then left[#left + 1] = other end
  end
  subscriptions = left
  if #left == 0 then core.listen(nil) end
end

Subscription.__close = Subscription.close

local function type_set(types)
  if types == nil then return nil end
  local set = {}
  for _, name in ipairs(type(types) == "table" and types or { types }) do
    if type(name) ~= "string" then error("events.subscribe: type is a text or a list of texts", 3) end
    set[name] = true
  end
  return set
end

--- Calls fn(event) for each event from now on. The event is a table of its own for each subscriber, with secrets redacted:
--- `type`, `time` (ISO 8601, UTC) and the members of its type. fn must not wait; to wait, give the query `on_event`, or hand
--- the event to a task. When fn raises, that is logged once and the subscription ends; the run goes on.
---@param fn fun(event: table)
---@param opts? { type?: string|string[] }  `type`: only events of this type or these types
---@return quern.Subscription subscription  `:close()` ends it; may be a `<close>` variable
function M.subscribe(fn, opts)
  if not options.is_type(fn, "callable") then error(("events.subscribe takes a function, not a %s"):format(type(fn)), 2) end
  opts = options.check("events.subscribe", opts, { type = "string|table" })
  local subscription = setmetatable({ fn = fn, types = type_set(opts.type) }, Subscription)
  local all = table.move(subscriptions, 1, #subscriptions, 1, {})
  all[#all + 1] = subscription
  subscriptions = all
  core.listen(deliver)
  return subscription
end

-- ---- events of scripts ----

local function check_value(where, name, value)
  if secrets.is(value) then
    error(("%s: %s is a secret; events are printed, so they hold none"):format(where, name), 4)
  end
  if type(value) == "function" or type(value) == "thread" then
    error(("%s: %s is a %s, which an event cannot hold"):format(where, name, type(value)), 4)
  end
end

--- A copy of an event's own fields. Raises at the caller's caller for what an event cannot hold: secrets, functions, and the
--- names in `reserved`. For the library.
---@param where string  the function's name, for messages
---@param fields? table<string, any>
---@param reserved table<string, boolean>
---@return table
function M.fields(where, fields, reserved)
  local copy = {}
  if fields ~= nil and type(fields) ~= "table" then error(("%s: fields is a table, not a %s"):format(where, type(fields)), 3) end
  for name, value in pairs(fields or {}) do
    if type(name) ~= "string" then error(("%s: the names of fields are texts, not a %s"):format(where, type(name)), 3) end
    if reserved[name] then error(("%s: the field '%s' is the event's own; use another name"):format(where, name), 3) end
    check_value(where, name, value)
    copy[name] = value
  end
  local ok, err = pcall(json.encode, copy)
  if not ok then error(("%s: %s"):format(where, tostring(errors.is(err) and err.message or err)), 3) end
  return copy
end

--- Emits an event of the script's own: one line with --log json, told to every subscriber. Its type is "script." and the name
--- given, so that it never collides with the library's. Texts that hold secrets are redacted; a secret itself is refused.
---@param name string  letters, digits and underscores, such as "queue_loaded"
---@param fields? table<string, any>  what JSON can hold; not `type` and `time`
function M.emit(name, fields)
  if type(name) ~= "string" or not name:find "^%a[%w_]*$" then
    error(("events.emit: '%s' is not a name: letters, digits and underscores, such as \"queue_loaded\""):format(tostring(name)), 2)
  end
  local event = M.fields("events.emit", fields, { type = true, time = true })
  event.type = OWN .. name
  core.emit(event)
end

return options.strict("quern.events", M, { fields = true })
