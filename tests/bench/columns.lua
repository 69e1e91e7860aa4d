-- What a report of conversations reads, as columns.
local query = require "base"

local AGENT = "$.participants[3]"

return query {
  name = "columns",
  columns = {
    { "conversation", "$.conversationId" },
    { "start", "$.conversationStart" },
    { "end", "$.conversationEnd" },
    { "direction", "$.originatingDirection" },
    { "mos", "$.mediaStatsMinConversationMos" },
    { "caller", "$.participants[0].sessions[0].ani" },
    { "remote", "$.participants[0].sessions[0].remote" },
    { "agent", AGENT .. ".userId" },
    { "agent_name", AGENT .. ".participantName" },
    { "queue", AGENT .. ".sessions[0].segments[1].queueId" },
    { "disconnect", AGENT .. ".sessions[0].segments[2].disconnectType" },
    { "talk_ms", AGENT .. ".sessions[0].metrics[?@.name == 'tTalk'].value", reduce = "sum" },
  },
  format = "csv",
}
