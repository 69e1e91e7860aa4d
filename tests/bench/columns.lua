-- What a report of conversations reads, as columns.
local quern = require "quern"

local AGENT = "$.participants[3]"

return quern.query {
  name = "columns",
  params = { from = quern.param.time { required = true }, to = quern.param.time { required = true } },
  client = { base_url = quern.env "BENCH_URL" },
  chunk = quern.chunk.by_time { size = "P1D", split = false },
  request = function(_, chunk) return { path = "/page", query = { day = chunk.from:iso("s"):sub(1, 10) } } end,
  pages = quern.pages.number { size = 1000, stop = "count", count = "$.pageCount" },
  records = "$.conversations[*]",
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
