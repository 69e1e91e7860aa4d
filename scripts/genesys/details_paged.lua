--- details_paged: conversations as flat rows, page by page, CSV.
---
--- One chunk, which a 413 may split. Pages are read until the answer's `pageCount`; without one, until the first empty page.
--- More than `max_pages` pages end the run as incomplete (exit 3).
---
---     quern run details_paged -p from=-7d -p queues=q-sales,q-support -o conversations.csv
---
--- Environment: GENESYS_BASE_URL or GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET.
local quern = require "quern"
local genesys = require "quern.genesys"

local COLUMNS = { "conversationId", "channel", "startTime", "endTime", "duration", "queueName", "agentName", "disposition" }

local columns = {}
for index, name in ipairs(COLUMNS) do columns[index] = { name, "$." .. name } end

return quern.query {
  name = "details_paged",
  summary = "Conversations as flat rows, read page by page",
  params = {
    from = quern.param.time { default = "-7d", summary = "first instant, included" },
    to = quern.param.time { default = "now", summary = "last instant, excluded" },
    queues = quern.param.list { summary = "queue ids; every queue when absent" },
    page_size = quern.param.integer { default = 1000, min = 1, max = 1000, summary = "records a page" },
    max_pages = quern.param.integer { default = 100, min = 1, summary = "pages a chunk" },
    pace = quern.param.duration { default = "500ms", summary = "least time between requests" },
  },
  client = genesys.tutorial { credentials = "basic", pace = function(p) return p.pace end },
  chunk = quern.chunk.by_time { floor = "PT1H", grain = "PT1S" },
  request = function(p, chunk)
    return {
      method = "POST",
      path = "/api/v2/analytics/conversations/details/query",
      json = {
        interval = chunk.from:iso("s") .. "/" .. chunk.to:iso("s"),
        view = "default",
        groupBy = { "conversationId" },
        metrics = COLUMNS,
        filters = p.queues and { { type = "queueId", values = p.queues } } or nil,
      },
    }
  end,
  pages = quern.pages.number {
    size = function(p) return p.page_size end,
    stop = "count",
    count = "$.pageCount",
    max = function(p) return p.max_pages end,
  },
  records = "$.conversations[*]",
  key = "$.conversationId",
  owner = "$.startTime",
  columns = columns,
  format = "csv",
}
