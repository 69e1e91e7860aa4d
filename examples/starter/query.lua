-- Conversations of a range, one row each. As it stands it asks the API of `quern emulate`; README.md says how.
local quern = require "quern"

return quern.query {
  name = "conversations",
  summary = "Conversations of a range, one row each",
  params = {
    from = quern.param.time { default = "2024-01-01", summary = "first instant, included" },
    to = quern.param.time { default = "2024-01-08", summary = "last instant, excluded" },
  },
  client = {
    base_url = quern.env "API_URL",
    auth = quern.auth.client_credentials {
      token_url = quern.env "API_TOKEN_URL",
      id = quern.env "API_CLIENT_ID",
      secret = quern.secret.env "API_CLIENT_SECRET",
    },
    limit = quern.limit { rate = "300/min" },
  },
  -- A request a day; a day that the API calls too large is halved, down to an hour.
  chunk = quern.chunk.by_time { size = "P1D", floor = "PT1H" },
  request = function(_, chunk)
    return {
      method = "POST",
      path = "/api/v2/analytics/conversations/details/query",
      json = { interval = chunk.from:iso("s") .. "/" .. chunk.to:iso("s") },
    }
  end,
  pages = quern.pages.number { size = 100, stop = "count", count = "$.pageCount" },
  records = "$.conversations[*]",
  total = "$.total",
  key = "$.conversationId",
  owner = "$.startTime",
  columns = {
    { "conversation", "$.conversationId" },
    { "start", "$.startTime", as = "time" },
    { "queue", "$.queueName" },
    { "agent", "$.agentName", default = "nobody" },
    { "seconds", "$.duration", as = "number", scale = 0.001, round = 1 },
  },
  format = "csv",
}
