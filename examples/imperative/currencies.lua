-- A program that reads the rows of a query: how many open orders there are in each currency.
local quern = require "quern"

return function()
  local counts, currencies = {}, {}
  for row in quern.rows "orders.lua" do
    if not counts[row.currency] then currencies[#currencies + 1] = row.currency end
    counts[row.currency] = (counts[row.currency] or 0) + 1
  end
  table.sort(currencies)
  for _, currency in ipairs(currencies) do quern.emit { currency = currency, orders = counts[currency] } end
end
