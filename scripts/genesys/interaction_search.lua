--- interaction_search: conversations that a filter finds, through an asynchronous job, each unchanged.
---
--- The query is checked against the API's limits before anything is sent. The job is polled every `poll`, at most `polls` times;
--- with `--listen` the API may call when it is done. With `expected`, fewer than `accuracy` of that number end the
--- run as incomplete (exit 3).
---
---     quern run interaction_search -p from=2024-01-01 -p to=2024-02-01 -p expected=1200 -o found.ndjson
---
--- Environment: GENESYS_BASE_URL or GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET, GENESYS_ORGANIZATION_ID, and if the
--- API shall call: GENESYS_WEBHOOK_URL.
local quern = require "quern"
local genesys = require "quern.genesys"

return quern.query {
  name = "interaction_search",
  summary = "Conversations found by a filter, through an asynchronous job",
  params = {
    from = quern.param.time { default = "-30d", summary = "first instant, included" },
    to = quern.param.time { default = "now", summary = "last instant, excluded" },
    filterBy = quern.param.table {
      default = '[{"type":"field","property":"mediaType","op":"in","value":["voice","chat","email","callback","message"]}]',
      summary = "expressions of which all must hold: fields, and / or / not of such lists",
    },
    groupBy = quern.param.table { default = '[{"type":"interval","property":"createdDate","bucketSize":"day"}]',
                                  summary = "at most three" },
    page_size = quern.param.integer { default = 10000, min = 1, summary = "records a page, at most 10000" },
    poll = quern.param.duration { default = "2s", summary = "wait between two looks at the job" },
    polls = quern.param.integer { default = 30, min = 1, summary = "looks at the job before it is given up" },
    expected = quern.param.integer { min = 0, summary = "conversations that should be found" },
    accuracy = quern.param.number { default = 0.95, min = 0, max = 1, summary = "share of them that must be" },
  },
  validate = genesys.validate_search,
  client = genesys.tutorial { credentials = "form", headers = { ["x-genesys-org-id"] = quern.env "GENESYS_ORGANIZATION_ID" } },
  chunk = quern.chunk.by_time { floor = "P1D", grain = "PT1S" },
  request = function(p, chunk)
    return {
      method = "POST",
      path = genesys.DETAILS_QUERY,
      headers = { ["x-genesys-async"] = "true" },
      json = { dateFrom = chunk.from:iso("s"), dateTo = chunk.to:iso("s"), filterBy = p.filterBy, groupBy = p.groupBy,
               pageSize = p.page_size },
    }
  end,
  job = genesys.search_job { every = function(p) return p.poll end, polls = function(p) return p.polls end },
  pages = quern.pages.cursor { path = "$.nextPageCursor", name = "nextPageCursor", stable = true },
  records = "$.conversations[*]",
  key = "$.conversationId",
  completeness = function(p) return p.expected and { expected = p.expected, accuracy = p.accuracy } end,
  raw = true,
  format = "ndjson",
}
