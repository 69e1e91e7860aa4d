-- Leaves out chats, and tells the length in minutes.
return {
  name = "no_chats",
  columns = { { "minutes", "$.duration", as = "number", scale = 0.0000166666666666667, round = 1 } },
  transform = function(record, row)
    if record.channel == "chat" then return nil end
    return row
  end,
}
