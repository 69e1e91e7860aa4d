--- Structured log. A line is an event of type "log": words on stderr, or one JSON line with --log json. Secrets in texts are
--- redacted; a secret itself is refused. Main state only: a transform has no log.
---
---     local log = quern.log
---     log.info("queues loaded", { count = 12 })
---
--- | level | for |
--- | --- | --- |
--- | debug | what only the author of a script wants to see; people see it with --log-level debug |
--- | info | what happened |
--- | warn | what may need somebody's attention |
--- | error | what failed; the run goes on all the same |
local core = require "quern.core.event"
local events = require "quern.events"
local options = require "quern.options"

local M = {}

local RESERVED = { type = true, time = true, level = true, message = true }

local function write(level, message, event)
  event.type, event.level, event.message = "log", level, tostring(message)
  core.emit(event)
end

--- What only the author of a script wants to see.
---@param message string
---@param fields? table<string, any>  further members of the event; not `type`, `time`, `level`, `message`
function M.debug(message, fields) write("debug", message, events.fields("log.debug", fields, RESERVED)) end

--- What happened.
---@param message string
---@param fields? table<string, any>
function M.info(message, fields) write("info", message, events.fields("log.info", fields, RESERVED)) end

--- What may need somebody's attention.
---@param message string
---@param fields? table<string, any>
function M.warn(message, fields) write("warn", message, events.fields("log.warn", fields, RESERVED)) end

--- What failed; the run goes on all the same.
---@param message string
---@param fields? table<string, any>
function M.error(message, fields) write("error", message, events.fields("log.error", fields, RESERVED)) end

return options.strict("quern.log", M, {})
