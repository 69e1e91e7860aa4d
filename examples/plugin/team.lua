-- Which team took a conversation: a column for any query whose records have agentName.
local quern = require "quern"

local TEAMS = { ["Ada Lovelace"] = "north", ["O'Brien, Patrick"] = "north", ["山田 太郎"] = "south" }

return {
  name = "team",
  columns = { { "team" } },
  transform = function(record, row)
    local agent = record.agentName -- nil where it is missing, quern.null for null
    if agent and not quern.is_null(agent) then row.team = TEAMS[agent] or "other" end
    return row
  end,
}
