--- Structured log: each line is an event of type "log" (a line of JSON with --log json). Secrets are redacted.
---
---     log.info("queues loaded", { count = 12 })
local event = require "quern.core.event"

local M = {}

for _, level in ipairs { "debug", "info", "warn", "error" } do
  --- A line of this level.
  ---@param message string
  ---@param fields? table<string, any>
  M[level] = function(message, fields)
    local line = { type = "log", level = level, message = tostring(message) }
    for key, value in pairs(fields or {}) do
      if line[key] == nil then line[key] = value end
    end
    event.emit(line)
  end
end

return M
