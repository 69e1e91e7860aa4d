-- A transform that reads about forty values of each record: sums of all metrics by name, and what the columns read.
local query = require "base"

local METRICS = { "tAlert", "tAnswered", "tTalk", "tHeld", "tAcw", "tHandle" }
local FIELDS = { "conversation", "start", "end", "direction", "mos", "caller", "agent", "queue" }
for _, name in ipairs(METRICS) do FIELDS[#FIELDS + 1] = name end

return query {
  name = "transform",
  fields = FIELDS,
  transform = function(record)
    local row = {
      conversation = record.conversationId, start = record.conversationStart, ["end"] = record.conversationEnd,
      direction = record.originatingDirection, mos = record.mediaStatsMinConversationMos,
    }
    for _, participant in ipairs(record.participants) do
      local session = participant.sessions[1]
      if participant.purpose == "customer" then
        row.caller = session.ani
      elseif participant.purpose == "agent" then
        row.agent = participant.userId
        row.queue = session.segments[2].queueId
      end
      for _, metric in ipairs(session.metrics) do
        local name = metric.name
        row[name] = (row[name] or 0) + metric.value
      end
    end
    local result = {}
    for _, name in ipairs(FIELDS) do result[name] = row[name] end
    return result
  end,
  format = "csv",
}
