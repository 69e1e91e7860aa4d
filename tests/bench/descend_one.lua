-- One column that searches the whole record.
local query = require "base"

return query {
  name = "descend_one",
  columns = { { "spent", "$..value", reduce = "sum" } },
  format = "csv",
}
