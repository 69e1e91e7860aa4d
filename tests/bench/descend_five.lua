-- Five columns that search the whole record.
local query = require "base"

return query {
  name = "descend_five",
  columns = {
    { "spent", "$..value", reduce = "sum" },
    { "queue", "$..queueId", reduce = "last" },
    { "segments", "$..segmentType", reduce = "count" },
    { "caller", "$..ani", reduce = "first" },
    { "latest", "$..segmentEnd", reduce = "max" },
  },
  format = "csv",
}
