-- A query, for currencies.lua: open orders, one row an order.
local quern = require "quern"

return quern.query {
  name = "open_orders",
  client = { base_url = quern.env "SHOP_URL", auth = quern.auth.bearer(quern.secret.env "SHOP_TOKEN") },
  request = function() return { path = "/v1/orders", query = { status = "open" } } end,
  pages = quern.pages.next_link { path = "$.links.next" },
  records = { "$.data.customers[*]", "$.orders[*]" },
  columns = { { "order", "$.id" }, { "currency", "$.price.currency" } },
}
