-- A plugin: adds to a query's rows without touching the query. README.md says how to run it.
return {
  name = "long_calls",
  columns = {
    { "channel", "$.channel" }, -- from the record, like a column of the query
    { "long" }, -- set below
  },
  -- Gets each row of the query; what it returns is written: the row, a list of rows, or nil for none.
  transform = function(_, row)
    row.long = row.seconds > 300
    return row
  end,
}
