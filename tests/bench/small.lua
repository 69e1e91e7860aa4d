-- Answers of one record: `leaves` walks of `pages` pages each.
local quern = require "quern"

return quern.query {
  name = "small",
  params = { leaves = quern.param.integer { default = 4 }, pages = quern.param.integer { default = 1 } },
  client = { base_url = quern.env "BENCH_URL", limit = { concurrency = 1000 } },
  chunk = quern.chunk.by_list {
    items = function(p)
      local items = {}
      for number = 1, p.leaves do items[number] = tostring(number) end
      return items
    end,
    size = 1,
  },
  request = function(p, chunk) return { path = "/small", query = { item = chunk.items[1], pages = p.pages } } end,
  pages = quern.pages.number { size = 1, stop = "count", count = "$.pageCount" },
  records = "$.items[*]",
  columns = { { "id", "$.id" } },
  format = "csv",
}
